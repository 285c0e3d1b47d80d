// A hall's phone or PC at the door: takes scans and marks into the device's queue, shows each at once, and sends them.

import { call, jittered } from "./api.js";
import { drawNonce, importKey, judge, readCode } from "./checkin-code.js";
import { openQueue } from "./checkin-queue.js";
import { isGood, Uploader } from "./checkin-sync.js";
import { LINES, resultOf } from "./checkin-words.js";
import { $, both, make, number as written, reconcile, setText, time } from "./dom.js";
import { Roster } from "./roster.js";

const ANSWER_MS = 900; // so long a scan is shown as being sent; then it is shown as kept, and the answer comes later
const COUNTS_EVERY_MS = 60_000; // other phones of this hall check in too
const COUNTS_WITHOUT_LINE_MS = 4_000;
// Each reading of names is noted by the coordinator: when the page opens, and when somebody looks at the list again.
const ROSTER_AGE_MS = 120_000;
const LATEST = 8;

/** The hall's side of the page. */
export class HallCheckin {
  #token;
  #claims;
  #place;
  #show;
  #queue = null;
  #uploader = null;
  #roster;
  #publicKey = null;
  #latest = [];
  #shown = 0; // the entry whose result is on the screen
  #countsWait = new AbortController(); // of the pause before the counts are read again
  #rosterAtMs = -Infinity; // when the list was read
  #individual = null; // the hall's figures as the coordinator last told them
  #taken = new Map(); // number -> when it was taken on this device since the page was opened

  constructor(token, claims, show) {
    this.#token = token;
    this.#claims = claims;
    this.#place = `${claims.conference}/${claims.hall}`;
    this.#show = show;
    this.#roster = new Roster((number, mark) => this.#mark(number, mark));
    this.told = { kind: "hall", line: "unknown", waiting: 0, sent: 0, results: [] };
  }

  /** Opens the device's store, then shows the page; works until it is closed. */
  async start() {
    for (const id of ["hall-only", "line", "scanner-hint"]) $(id).hidden = false;
    this.#tabs();
    try {
      this.#queue = await openQueue();
    } catch {
      return this.#show("no_store"); // a private window; nothing is taken that could be lost
    }
    const known = await this.#queue.known(this.#place);
    this.#name(known ?? {});
    this.#uploader = new Uploader({
      queue: this.#queue,
      token: this.#token,
      place: this.#place,
      onSettled: (entry) => this.#settled(entry),
      onLine: (line) => this.#line(line),
    });
    this.#uploader.run();
    addEventListener("offline", () => this.#uploader.heard(false));
    await this.#showStored();
    $("number").focus();
    await this.#followCounts();
  }

  /** A code that a camera or a scanner read; "" where what it read is no code at all. */
  async takeCode(digits, method) {
    const code = digits ? readCode(digits) : null;
    const problem = await judge(code, this.#claims.conference, this.#publicKey);
    if (problem) return this.#show(problem, code ? `Số ${code.number}` : "");
    await this.#take({ kind: "checkin", code: digits, method }, code.number);
  }

  /** Number and PIN that somebody typed. */
  takeTyped(number, pin) {
    return this.#take({ kind: "checkin", number, pin, method: "typed" }, number);
  }

  #mark(number, mark) {
    return this.#take({ kind: "mark", number, mark }, number);
  }

  async #take(what, number) {
    const label = this.#label(number);
    let entry;
    try {
      entry = await this.#queue.put({ ...what, number, place: this.#place, at_ms: Date.now(), nonce: drawNonce() });
    } catch {
      return this.#show("full", label);
    }
    this.#shown = entry.id;
    this.#uploader.hurry();
    this.#counts();
    const isKnownHere = what.kind === "checkin" && this.#taken.has(number);
    this.#taken.set(number, entry.at_ms);
    const isDown = this.#uploader.line === "down" || this.#uploader.line === "refused";
    if (isDown) return this.#kept(entry, isKnownHere);
    this.#show("sending", label, { quietly: true });
    setTimeout(() => this.#shown === entry.id && this.#kept(entry, isKnownHere), ANSWER_MS);
  }

  // No answer yet. What the device itself knows is said: it may have taken this delegate before.
  #kept(entry, isKnownHere) {
    const standing = this.#roster.standingOf(entry.number);
    const known = entry.kind === "checkin" && (isKnownHere || standing === "present");
    this.#show("kept", this.#label(entry.number), { detail: known ? "Đã có trên máy này / Already taken here" : "" });
    this.#roster.learn(entry.number, entry.kind === "mark" ? entry.mark : "present");
    this.#counts();
  }

  async #settled(entry) {
    this.told.sent += 1;
    // Until the coordinator is asked again, the count goes on by what this device brought.
    if (this.#individual && entry.result === "counted") this.#individual.present += 1;
    else if (entry.kind === "mark") this.#countsWait.abort();
    this.told.results = [...this.told.results, [entry.number, entry.result]].slice(-200);
    const isPresent = entry.kind === "checkin" ? isGood(entry.result) : entry.mark === "present";
    if (isPresent) this.#roster.learn(entry.number, "present");
    else if (entry.kind === "mark" && isGood(entry.result)) this.#roster.learn(entry.number, entry.standing ?? entry.mark);
    if (this.#shown === entry.id) {
      this.#shown = 0;
      const where = entry.hall_id ? `Điểm cầu / Hall: ${entry.hall_id}` : "";
      this.#show(entry.result, this.#label(entry.number), { detail: where });
    }
    this.#latest = [entry, ...this.#latest].slice(0, LATEST);
    await this.#showStored();
  }

  #label(number) {
    const name = this.#roster.nameOf(number);
    return name ? `${number} · ${name}` : `Số ${number}`;
  }

  async #followCounts() {
    for (;;) {
      let wait = COUNTS_EVERY_MS;
      try {
        this.#individual = (await call(this.#token, "GET", "/api/v1/halls/checkins")).individual;
        this.#uploader.heard(true);
        if (this.#rosterAtMs < 0) await this.#readRoster();
        this.#counts();
      } catch (error) {
        if (error.status === 401 || error.status === 403) this.#line("refused");
        else if (error.status === 0) this.#uploader.heard(false);
        wait = COUNTS_WITHOUT_LINE_MS;
      }
      this.#countsWait = new AbortController();
      await jittered(wait, this.#countsWait.signal);
    }
  }

  async #readRoster() {
    if (performance.now() - this.#rosterAtMs < ROSTER_AGE_MS) return;
    const roster = await call(this.#token, "GET", "/api/v1/halls/roster");
    this.#rosterAtMs = performance.now();
    this.#name(roster);
    await this.#queue.remember({
      place: this.#place,
      hall_name: roster.hall_name,
      conference_title: roster.conference_title,
      public_key: roster.public_key,
    });
    this.#roster.fill(roster.delegates);
    // What still waits here is newer than the coordinator's list.
    for (const entry of await this.#queue.waiting(this.#place)) {
      this.#roster.learn(entry.number, entry.kind === "mark" ? entry.mark : "present");
    }
  }

  async #name({ hall_name, conference_title, public_key }) {
    setText($("hall-name"), hall_name || this.#claims.hall);
    setText($("conference-title"), conference_title || this.#claims.conference);
    if (public_key && !this.#publicKey) this.#publicKey = await importKey(public_key);
  }

  #line(line) {
    // The line is back: the figures are old, or were never here.
    if (line === "up" && this.told.line !== "up") this.#countsWait.abort();
    this.told.line = line;
    const [vi, en] = LINES[line];
    $("line").dataset.line = line;
    $("line").replaceChildren(...both(vi, en));
  }

  async #counts() {
    const figures = this.#individual;
    const counts = figures ? `${written(figures.present)} / ${written(figures.registered)}` : "–";
    setText($("count").firstElementChild, counts);
    const { here, elsewhere } = await this.#queue.counts(this.#place);
    this.told.waiting = here;
    const words = here
      ? both(`${written(here)} lượt chờ gửi, đã giữ trên máy`, `${written(here)} kept here, to be sent`)
      : both("Đã gửi hết", "All sent");
    const others = elsewhere ? [make("span", "others", ` Điểm cầu khác: ${written(elsewhere)} lượt chưa gửi / of other halls`)] : [];
    $("waiting").dataset.waiting = String(here);
    $("waiting").replaceChildren(...words, ...others);
  }

  async #showStored() {
    const review = await this.#queue.review(this.#place);
    $("review").hidden = review.length === 0;
    reconcile(
      $("review-rows"),
      review,
      (each) => each.id,
      (each) => {
        const dismiss = make("button", "", ...both("Đã xem", "Seen"));
        dismiss.addEventListener("click", () => this.#queue.dismiss(each.id).then(() => this.#showStored()));
        return make("li", "", make("span"), dismiss);
      },
      (row, each) => {
        const [, sign, vi, en] = resultOf(each.result);
        row.firstElementChild.replaceChildren(`${sign} ${this.#label(each.number)} · ${time(each.at_ms)} – `, ...both(vi, en));
      },
    );
    $("latest").hidden = this.#latest.length === 0;
    reconcile(
      $("latest-rows"),
      this.#latest,
      (each) => each.id,
      () => make("li"),
      (row, each) => {
        const [, sign, vi] = resultOf(each.result);
        setText(row, `${sign} ${this.#label(each.number)} · ${vi} · ${time(each.at_ms)}`);
      },
    );
    await this.#counts();
  }

  #tabs() {
    const tabs = { scan: $("tab-scan"), roster: $("tab-roster") };
    const choose = (chosen) => {
      for (const [name, tab] of Object.entries(tabs)) {
        tab.setAttribute("aria-selected", String(name === chosen));
        tab.tabIndex = name === chosen ? 0 : -1;
        $(name).hidden = name !== chosen;
      }
      if (chosen === "roster") {
        $("search").focus();
        this.#readRoster().catch(() => {}); // what is here is shown
      }
    };
    for (const [name, tab] of Object.entries(tabs)) {
      tab.addEventListener("click", () => choose(name));
      tab.addEventListener("keydown", (event) => {
        if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
        const other = name === "scan" ? "roster" : "scan";
        choose(other);
        tabs[other].focus();
      });
    }
  }
}
