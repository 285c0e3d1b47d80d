// The attendance of a conference, level by level over either tree: three sources side by side, as they change.

import { call } from "./api.js";
import { $, both, english, make, number, reconcile, setText } from "./dom.js";
import { cell, chooseConference, complain, enter } from "./staff.js";
import { follow, showLink } from "./stream.js";

const LEAST_MS = 900; // between two questions, however often something changes
const SLOW_MS = 10_000; // asked again without a change too, with the discrepancies
const POLL_MS = 1_500; // by who may not follow the stream, which is about the whole country
const MOST_DISCREPANCIES = 200; // more cannot be phoned; the rest is counted

const unmarked = (each) => each.registered - each.present - each.excused - each.unexcused - each.exempt;

// Vietnamese, English, the figure, and the source where it begins.
const COLUMNS = [
  ["Đang dự", "Present", (each) => each.connection.present_now, "Kết nối"],
  ["Chưa vào", "Waiting", (each) => each.connection.waiting],
  ["Mất kết nối", "Lost", (each) => each.connection.lost],
  ["Điểm cầu đã báo", "Halls reported", (each) => each.headcount.halls_reported, "Báo số"],
  ["Triệu tập", "Summoned", (each) => each.headcount.summoned],
  ["Có mặt", "Present", (each) => each.headcount.present],
  ["Danh sách", "On rosters", (each) => each.individual.registered, "Từng người"],
  ["Có mặt", "Present", (each) => each.individual.present],
  ["Vắng, miễn", "Absent, exempt", (each) => each.individual.excused + each.individual.unexcused + each.individual.exempt],
  ["Chưa điểm danh", "Not yet marked", (each) => unmarked(each.individual)],
];

const { token } = enter();
let conference = "";
let unit = "";
let asked = 0; // the newest question; an older answer is dropped
let isWanted = false; // something changed while a question was under way

window.diemcau = { view: null };

function figure(row, of) {
  const virtual = of(row.virtual);
  return [number(of(row.real)), ...(virtual ? [make("small", "", `+ ${number(virtual)} ảo`)] : [])];
}

function fillRow(row, name, attendance) {
  row.replaceChildren(
    name,
    cell("Điểm cầu", "number", ...figure(attendance, (each) => each.halls)),
    ...COLUMNS.map(([vi, , of, source], place) => {
      const under = source ?? COLUMNS.slice(0, place).findLast((each) => each[3])[3];
      return cell(`${under}: ${vi.toLowerCase()}`, source ? "number first" : "number", ...figure(attendance, of));
    }),
  );
}

function head(...children) {
  const element = make("th", "", ...children);
  element.scope = "row";
  return element;
}

function go(code) {
  unit = code;
  refresh();
}

function link(code, text) {
  const button = make("button", "plain", text);
  button.type = "button";
  button.addEventListener("click", () => go(code));
  return button;
}

function show(view) {
  window.diemcau.view = view;
  const path = view.path.map((each) => [each.code, each.name]);
  const above = [["", "Toàn bộ / All"], ...path];
  $("crumbs").replaceChildren(
    ...above.map(([code, name], place) =>
      make("li", "", place === above.length - 1 ? Object.assign(make("b", "", name)) : link(code, name)),
    ),
  );
  const rows = view.children.map((each) => ({ key: `unit ${each.code}`, ...each }));
  const own = view.own.real.halls + view.own.virtual.halls;
  if (view.unit && own) {
    rows.unshift({ key: "own", code: "", name: "Điểm cầu trực thuộc / Its own halls", has_children: false, attendance: view.own });
  }
  reconcile(
    $("unit-rows"),
    rows,
    (each) => each.key,
    () => make("tr"),
    (row, each) => {
      const text = JSON.stringify(each);
      if (row.figures === text) return; // the focus stays where it is
      row.figures = text;
      fillRow(row, head(each.has_children ? link(each.code, each.name) : each.name), each.attendance);
    },
  );
  const total = make("tr");
  fillRow(total, head("Tổng cộng ", english("Total")), view.total);
  $("total-row").replaceChildren(total);
}

function showDiscrepancies({ discrepancies, next }) {
  $("discrepancies").hidden = discrepancies.length === 0;
  setText($("discrepancy-count"), `${number(discrepancies.length)}${next ? "+" : ""}`);
  reconcile(
    $("discrepancy-rows"),
    discrepancies.slice(0, MOST_DISCREPANCIES),
    (each) => `${each.hall_id} ${each.code}`,
    () => make("tr", "", cell("", "head"), cell("Lệch", "")),
    (row, each) => {
      row.children[0].replaceChildren(each.name, make("small", "", each.hall_id));
      row.children[1].replaceChildren(make("span", "", ...both(each.reason_vi, each.reason_en)));
    },
  );
  $("discrepancy-more").hidden = discrepancies.length <= MOST_DISCREPANCIES && !next;
  $("discrepancy-more").replaceChildren(...both(`Chỉ hiện ${MOST_DISCREPANCIES} dòng đầu.`, "The first ones only."));
}

function question(path) {
  const about = new URLSearchParams({ tree: $("tree").value, ...(unit ? { unit } : {}) });
  return call(token, "GET", `/api/v1/conferences/${encodeURIComponent(conference)}/${path}?${about}`);
}

async function refresh({ withDiscrepancies = true } = {}) {
  if (!conference) return;
  const mine = ++asked;
  try {
    const view = await question("attendance");
    if (mine !== asked) return;
    show(view);
    showLink("live", view.at_ms);
    complain($("problem"));
    if (withDiscrepancies) {
      const found = await question("discrepancies");
      if (mine === asked) showDiscrepancies(found);
    }
  } catch (error) {
    if (mine !== asked) return;
    complain($("problem"), error);
    showLink(error.status === 401 ? "refused" : "lost");
  }
}

/** Asks again soon: at once where nothing was asked lately. Several changes in between are one question. */
function soon() {
  if (isWanted) return;
  isWanted = true;
  const wait = Math.max(0, soon.last + LEAST_MS - performance.now());
  setTimeout(async () => {
    isWanted = false;
    soon.last = performance.now();
    await refresh({ withDiscrepancies: false });
  }, wait);
}
soon.last = -LEAST_MS;

async function start() {
  $("source-columns").replaceChildren(
    ...COLUMNS.map(([vi, en, , source]) => {
      const column = make("th", source ? "number first" : "number", vi, " ", english(en));
      column.scope = "col";
      return column;
    }),
  );
  $("tree").addEventListener("change", () => go(""));
  setInterval(() => refresh(), SLOW_MS);
  follow({
    token,
    onSnapshot: soon,
    onLink: (state) => {
      if (state !== "forbidden") return showLink(state);
      setInterval(soon, POLL_MS);
    },
  });
  try {
    await chooseConference(token, $("conference"), (chosen) => {
      conference = chosen;
      go("");
    });
  } catch (error) {
    complain($("problem"), error);
  }
}

start();
