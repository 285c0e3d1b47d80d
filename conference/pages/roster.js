// The delegates of a hall: who is here, and marks that the technician sets for those without a phone or a code.

import { MARKS, STANDINGS } from "./checkin-words.js";
import { $, both, english, make, number, reconcile, setText } from "./dom.js";
import { matches } from "./search.js";

const FIRST_ROWS = 60; // as many as an old phone draws at once; more by the button

/** The list and its dialog. */
export class Roster {
  #onMark;
  #people = new Map(); // number -> {number, name, standing, …}; in memory only: no name is stored on the device
  #most = FIRST_ROWS;
  #chosen = null;

  /** `onMark(number, mark)` is called when the technician marks a delegate. */
  constructor(onMark) {
    this.#onMark = onMark;
    const every = ["", "Tất cả", "All"];
    for (const [value, vi, en] of [every, ...Object.entries(STANDINGS).map(([key, [, vi, en]]) => [key, vi, en])]) {
      $("standing").append(new Option(`${vi} / ${en}`, value));
    }
    for (const field of [$("search"), $("standing")]) {
      field.addEventListener("input", () => {
        this.#most = FIRST_ROWS;
        this.draw();
      });
    }
    $("roster-more").addEventListener("click", () => {
      this.#most *= 4;
      this.draw();
    });
    for (const [mark, [sign, vi, en]] of Object.entries(MARKS)) {
      const button = make("button", "big", make("span", "sign", sign), " ", ...both(vi, en));
      button.value = mark;
      $("mark-buttons").append(button);
    }
    $("mark").addEventListener("close", () => this.#marked($("mark").returnValue));
  }

  /** Takes the coordinator's list. */
  fill(people) {
    this.#people = new Map(people.map((each) => [each.number, each]));
    this.draw();
  }

  /** A delegate's name, or "". */
  nameOf(number) {
    return this.#people.get(number)?.name ?? "";
  }

  /** A delegate's standing, or "" for who is not on this hall's list (or while there is none). */
  standingOf(number) {
    return this.#people.get(number)?.standing ?? "";
  }

  /** What this page has learned of a delegate; the next list of the coordinator has the last word. */
  learn(number, mark) {
    const person = this.#people.get(number);
    const standing = mark === "void" ? "none" : mark;
    if (!person || person.standing === standing) return;
    person.standing = standing;
    this.draw();
  }

  /** Shows what the search asks for. */
  draw() {
    const [wanted, standing] = [$("search").value, $("standing").value];
    const found = [...this.#people.values()].filter(
      (each) => (!standing || each.standing === standing) && (!wanted || matches(`${each.number} ${each.name} ${each.position}`, wanted)),
    );
    const words = this.#people.size
      ? both(`${number(found.length)} đại biểu`, `${number(found.length)} delegates`)
      : both("Chưa tải được danh sách. Vẫn quét và gõ số được.", "The list is not here yet. Scanning and typing work.");
    $("roster-words").replaceChildren(...words);
    $("roster-more").hidden = found.length <= this.#most;
    reconcile($("roster-rows"), found.slice(0, this.#most), (each) => each.number, (each) => this.#row(each), showRow);
  }

  #row(person) {
    const button = make("button", "row", make("b", "number"), make("span", "name"), make("span", "standing"));
    button.type = "button";
    button.addEventListener("click", () => this.#choose(person.number));
    return make("li", "", button);
  }

  #choose(number) {
    const person = this.#people.get(number);
    if (!person) return;
    this.#chosen = number;
    setText($("mark-name"), `${person.number} · ${person.name}`);
    const [sign, vi, en] = STANDINGS[person.standing] ?? STANDINGS.none;
    $("mark-standing").replaceChildren(`${sign} `, ...both(vi, en));
    $("mark").returnValue = "";
    $("mark").showModal();
  }

  #marked(mark) {
    if (!mark || this.#chosen === null) return;
    this.#onMark(this.#chosen, mark);
  }
}

function showRow(row, person) {
  const [place, name, standing] = row.firstElementChild.children;
  const [sign, vi, en] = STANDINGS[person.standing] ?? STANDINGS.none;
  setText(place, String(person.number));
  setText(name, person.position ? `${person.name}, ${person.position}` : person.name);
  if (standing.dataset.standing === person.standing) return;
  standing.dataset.standing = person.standing;
  standing.replaceChildren(`${sign} ${vi} `, english(en));
}
