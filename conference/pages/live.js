// The operator's page: the country as the coordinator sees it, as it happens.

import { jittered, tokenOfLink } from "./api.js";
import { readEvents } from "./sse.js";

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 8000;
const STALE_MS = 30_000; // the stream sends a heartbeat more often; without one it is opened again
const MOST_LOST_ROWS = 200; // more cannot be phoned; the rest is counted

const PHASES = {
  draft: ["soạn thảo", "draft"],
  open: ["mở cổng", "open"],
  rehearsal: ["tổng duyệt", "rehearsal"],
  live: ["đang họp", "live"],
  ended: ["đã kết thúc", "ended"],
};

// key of the totals -> label, and a class that sets its tone
const TOTALS = [
  ["halls", "Điểm cầu", "Halls", ""],
  ["present", "Có mặt", "Present", "present"],
  ["waiting", "Chưa vào", "Waiting", "waiting"],
  ["lost", "Mất kết nối", "Lost", "gone"],
  ["summoned", "Triệu tập", "Summoned", ""],
  ["headcount_present", "Đại biểu có mặt", "Delegates present (headcount)", ""],
];

const LINK = {
  connecting: "Đang nối… / Connecting…",
  live: "Trực tiếp / Live",
  lost: "Mất kết nối, đang nối lại… / Link lost, reconnecting…",
  refused: "Đường dẫn không còn hiệu lực / This link is not valid any more",
};

const $ = (id) => document.getElementById(id);
const number = (value) => (Number(value) || 0).toLocaleString("vi");
const time = (ms) => new Date(ms).toLocaleTimeString("vi", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

const english = (text) => Object.assign(make("span", "", text), { lang: "en" });
const virtualMark = () => Object.assign(make("span", "virtual", "ảo"), { title: "Mô phỏng / Simulated" });

function showLink(state, at) {
  const link = $("link");
  link.dataset.state = state;
  link.querySelector("span").textContent = at ? `${LINK[state]} · ${time(at)}` : LINK[state];
}

// Rows keep their element while their key lives, so that a table of thousands does not flicker or lose a selection.
function reconcile(parent, items, keyOf, create, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let before = null;
  for (const item of items) {
    const key = String(keyOf(item));
    let row = old.get(key);
    if (row) old.delete(key);
    else {
      row = create(item);
      row.dataset.key = key;
    }
    update(row, item);
    const place = before ? before.nextSibling : parent.firstChild;
    if (row !== place) parent.insertBefore(row, place);
    before = row;
  }
  for (const row of old.values()) row.remove();
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function virtualTotals(totals) {
  const halls = totals.virtual_halls ?? 0;
  if (!halls) return null;
  const parts = [`${number(halls)} điểm cầu ảo`];
  if (totals.virtual_present !== undefined) parts.push(`${number(totals.virtual_present)} có mặt`);
  if (totals.virtual_lost) parts.push(`${number(totals.virtual_lost)} mất kết nối`);
  return parts.join(" · ");
}

function showConferences(conferences) {
  reconcile(
    $("conferences"),
    conferences,
    (each) => each.conference_id,
    () => $("conference-template").content.firstElementChild.cloneNode(true),
    (section, each) => {
      setText(section.querySelector(".title"), each.title);
      const [vi, en] = PHASES[each.phase] ?? [each.phase, ""];
      const phase = section.querySelector(".phase");
      phase.dataset.phase = each.phase;
      setText(phase, `${vi} / ${en}`);
      const tiles = TOTALS.filter(([key]) => each.totals?.[key] !== undefined);
      reconcile(
        section.querySelector(".totals"),
        tiles,
        ([key]) => key,
        ([, viLabel, enLabel, tone]) => make("div", tone, make("dt", "", viLabel, english(enLabel)), make("dd")),
        (tile, [key]) => setText(tile.querySelector("dd"), number(each.totals[key])),
      );
      const simulated = virtualTotals(each.totals ?? {});
      let line = section.querySelector(".simulated");
      if (!simulated) return line?.remove();
      if (!line) {
        line = make("p", "simulated", virtualMark(), make("span"));
        section.append(line);
      }
      setText(line.lastElementChild, `trong đó mô phỏng: ${simulated} / of these simulated`);
    },
  );
}

function part(of, all) {
  return all > 0 ? `${(100 * of) / all}%` : "0%";
}

function showProvinces(provinces) {
  reconcile(
    $("provinces"),
    provinces,
    (each) => each.code,
    (each) =>
      make(
        "div",
        "province",
        make("span", "name", each.name),
        make("span", "figures"),
        make("span", "bar", make("i", "present"), make("i", "waiting"), make("i", "gone")),
      ),
    (row, each) => {
      const waiting = each.waiting ?? Math.max(0, each.halls - each.present - each.lost);
      row.classList.toggle("has-lost", each.lost > 0);
      row.title = `${each.name}: ${each.present} có mặt, ${waiting} chưa vào, ${each.lost} mất kết nối`;
      const lost = each.lost > 0 ? ` ✕ ${number(each.lost)}` : "";
      setText(row.querySelector(".figures"), `${number(each.present)}/${number(each.halls)}${lost}`);
      const [present, later, gone] = row.querySelector(".bar").children;
      present.style.width = part(each.present, each.halls);
      later.style.width = part(waiting, each.halls);
      gone.style.width = part(each.lost, each.halls);
    },
  );
}

function cells(...classes) {
  return make("tr", "", ...classes.map((each) => make("td", each)));
}

// Real relays first and lost ones on top: a country of simulated relays must not hide a real one.
function relayOrder(left, right) {
  return (
    Number(left.virtual) - Number(right.virtual) ||
    Number(left.status !== "lost") - Number(right.status !== "lost") ||
    left.relay_id.localeCompare(right.relay_id)
  );
}

function showRelays(relays) {
  reconcile(
    $("relay-rows"),
    [...relays].sort(relayOrder),
    (each) => each.relay_id,
    (each) => {
      const row = cells("name", "status", "", "", "number", "number");
      row.children[0].append(each.relay_id, ...(each.virtual ? [" ", virtualMark()] : []));
      return row;
    },
    (row, each) => {
      const lost = each.status === "lost";
      row.classList.toggle("is-lost", lost);
      setText(row.children[1], lost ? "✕ Mất / Lost" : "● Tốt / Up");
      setText(row.children[2], each.region || "trung tâm");
      setText(row.children[3], (each.parents ?? []).join(" → ") || "–");
      setText(row.children[4], number(each.halls));
      setText(row.children[5], number(each.sessions));
    },
  );
}

function showLost(lost) {
  $("lost").hidden = lost.length === 0;
  setText($("lost-count"), number(lost.length));
  const shown = [...lost].sort((left, right) => left.since_ms - right.since_ms).slice(0, MOST_LOST_ROWS);
  reconcile(
    $("lost-rows"),
    shown,
    (each) => each.hall_id,
    (each) => {
      const row = cells("name", "", "", "phone", "number");
      if (each.virtual) row.children[0].append(make("span"), " ", virtualMark());
      else row.children[0].append(make("span"));
      return row;
    },
    (row, each) => {
      setText(row.children[0].firstElementChild, each.name || each.hall_id);
      setText(row.children[1], each.province ?? "");
      setText(row.children[2], each.contact_name || "–");
      const phone = each.contact_phone ?? "";
      if (row.children[3].textContent !== (phone || "–")) {
        const digits = phone.replace(/[^0-9+]/g, "");
        const call = Object.assign(document.createElement("a"), { textContent: phone, href: `tel:${digits}` });
        row.children[3].replaceChildren(digits ? call : "–");
      }
      setText(row.children[4], time(each.since_ms));
    },
  );
  const more = lost.length - shown.length;
  $("lost-more").hidden = more <= 0;
  setText($("lost-more"), `và ${number(more)} điểm cầu nữa / and ${number(more)} more`);
}

let waitingSnapshot = null;

// Drawn with the next frame of the screen: of several snapshots at once only the newest is.
function show(snapshot) {
  if (!waitingSnapshot) requestAnimationFrame(draw);
  waitingSnapshot = snapshot;
}

function draw() {
  const snapshot = waitingSnapshot;
  waitingSnapshot = null;
  $("empty").hidden = true;
  showConferences(snapshot.conferences ?? []);
  showLost(snapshot.lost ?? []);
  showProvinces(snapshot.provinces ?? []);
  showRelays(snapshot.relays ?? []);
  showLink("live", snapshot.at_ms);
  window.diemcau = { state: "live", snapshot };
}

async function follow(token) {
  for (let wait = BACKOFF_FIRST_MS; ; wait = Math.min(wait * 2, BACKOFF_MAX_MS)) {
    const attempt = new AbortController();
    let opened = false;
    try {
      await readEvents("/api/v1/live", {
        token,
        signal: attempt.signal,
        onOpen: () => {
          opened = true;
          showLink("live");
        },
        onEvent: (type, data) => type === "snapshot" && show(JSON.parse(data)),
        onBytes: watchdog(attempt),
      });
    } catch (error) {
      if (error.status === 401 || error.status === 403) return showLink("refused");
    }
    attempt.abort();
    if (opened) wait = BACKOFF_FIRST_MS;
    showLink("lost");
    await jittered(wait);
  }
}

// A line that broke without a word leaves a stream that never ends.
function watchdog(attempt) {
  let timer = 0;
  const stir = () => {
    clearTimeout(timer);
    if (!attempt.signal.aborted) timer = setTimeout(() => attempt.abort(), STALE_MS);
  };
  attempt.signal.addEventListener("abort", () => clearTimeout(timer));
  stir();
  return stir;
}

const token = tokenOfLink(location);
window.diemcau = { state: "connecting", snapshot: null };
showLink(token ? "connecting" : "refused");
if (token) follow(token);
