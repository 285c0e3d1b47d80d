// The technician's page: find halls and their telephone numbers, import lists, hand out links.

import { call } from "./api.js";
import { $, both, english, make, number, reconcile, setText, virtualMark } from "./dom.js";
import { importPanel } from "./import.js";
import { proposalsPanel } from "./proposals.js";
import { readinessPanel } from "./readiness.js";
import { cell, chooseConference, complain, enter, phone, save, tabs } from "./staff.js";

const PAGE = 100;
const PAUSE_MS = 250; // between the last letter of a search and the question

const STATUSES = {
  present: ["●", "Đang dự", "Present", "good"],
  waiting: ["○", "Chưa vào", "Waiting", ""],
  lost: ["✕", "Mất kết nối", "Lost", "bad"],
  left: ["–", "Đã rời", "Left", ""],
};

const { token, claims } = enter();
const units = new Map(); // code -> unit
let asked = 0; // the newest question; an older answer is dropped
let shown = [];
let next = "";

function query(after) {
  const wanted = {
    conference: $("conference").value,
    unit: $("unit").value,
    status: $("conference").value && $("status").value,
    search: $("search").value.trim(),
    order: "name",
    limit: PAGE,
    after,
  };
  return new URLSearchParams(Object.entries(wanted).filter(([, value]) => value !== ""));
}

async function list(after = "") {
  const question = ++asked;
  try {
    const answer = await call(token, "GET", `/api/v1/halls?${query(after)}`);
    if (question !== asked) return;
    complain($("problem"));
    shown = after ? [...shown, ...answer.halls] : answer.halls;
    next = answer.next;
    draw();
  } catch (error) {
    if (question === asked) complain($("problem"), error);
  }
}

function draw() {
  $("list-more").hidden = !next;
  const more = next ? "+" : "";
  $("list-words").replaceChildren(...both(`${number(shown.length)}${more} điểm cầu`, `${shown.length}${more} halls`));
  reconcile(
    $("hall-rows"),
    shown,
    (hall) => hall.hall_id,
    (hall) => {
      const links = make("button", "", "Đường dẫn ", english("Links"));
      links.type = "button";
      links.addEventListener("click", () => showLinks(hall));
      return make(
        "tr",
        "",
        cell("", "head"),
        cell("Đơn vị", ""),
        cell("Người trực", ""),
        cell("Điện thoại", ""),
        cell("Tình trạng", "mark"),
        cell("", "", ...(claims.role === "operator" ? [] : [links])),
      );
    },
    (row, hall) => {
      const [name, unit, contact, telephone, status] = row.children;
      name.replaceChildren(hall.name, ...(hall.virtual ? [" ", virtualMark()] : []), make("small", "", hall.hall_id));
      setText(unit, units.get(hall.unit)?.name ?? hall.unit);
      setText(contact, hall.contact_name || "–");
      telephone.replaceChildren(phone(hall.contact_phone));
      const [sign, vi, en, tone] = STATUSES[hall.status] ?? ["", "", "", ""];
      status.className = `mark ${tone}`;
      status.replaceChildren(...(vi ? [`${sign} ${vi} `, english(en)] : []));
    },
  );
}

async function showLinks(hall) {
  if (!$("conference").value) return;
  try {
    const body = { conference_id: $("conference").value };
    const { link } = await call(token, "POST", `/api/v1/halls/${encodeURIComponent(hall.hall_id)}/link`, body);
    setText($("link-hall"), hall.name);
    $("link-screen").value = link;
    $("link-checkin").value = link.replace("/hall#", "/checkin#");
    complain($("link-problem"));
    for (const [id, what] of [["print-codes", "delegates/codes"], ["print-poster", "posters"]]) {
      $(id).onclick = () => print(what, hall.hall_id);
    }
    $("link-dialog").showModal();
    $("link-screen").select();
  } catch (error) {
    complain($("problem"), error);
  }
}

// A file to be opened and printed: a page that this one opened would have its policy, and no styles of its own.
async function print(what, hall) {
  const conference = encodeURIComponent($("conference").value);
  const address = `/api/v1/conferences/${conference}/${what}?${new URLSearchParams({ hall })}`;
  try {
    await save(token, address, `${what.replace("delegates/", "")}-${hall}.html`);
  } catch (error) {
    complain($("link-problem"), error);
  }
}

async function fillUnits() {
  const answer = await call(token, "GET", "/api/v1/units");
  for (const unit of answer.units) units.set(unit.code, unit);
  const top = answer.units.filter((each) => (claims.unit ? each.parent === claims.unit : each.parent === ""));
  const all = claims.unit ? (units.get(claims.unit)?.name ?? claims.unit) : "Tất cả / All";
  $("unit").replaceChildren(
    new Option(all, ""),
    ...top.sort((left, right) => left.name.localeCompare(right.name, "vi")).map((each) => new Option(each.name, each.code)),
  );
}

async function start() {
  const unitName = (code) => units.get(code)?.name ?? code;
  const readProposals = proposalsPanel({ token, claims, unitName, onChanged: () => list() });
  const wanted = () => ({ conference: $("conference").value, unit: $("unit").value });
  const readReadiness = readinessPanel({ token, claims, wanted });
  const readers = { list: () => list(), readiness: readReadiness, import: () => showFiles(), proposals: readProposals };
  let panel = "list";
  const read = () => readers[panel]?.();
  const showFiles = importPanel({
    token,
    claims,
    wanted,
    onChanged: () => {
      list();
      readProposals();
    },
  });
  tabs(["list", "readiness", "import", "proposals"], (name) => {
    const changed = panel !== name;
    panel = name;
    if (changed) read();
  });
  const every = ["", "Tất cả / All"];
  const words = Object.entries(STATUSES).map(([key, [, vi, en]]) => [key, `${vi} / ${en}`]);
  $("status").replaceChildren(...[every, ...words].map(([value, text]) => new Option(text, value)));
  let timer = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => list(), PAUSE_MS);
  });
  $("status").addEventListener("change", () => list());
  $("unit").addEventListener("change", () => read());
  $("list-more").addEventListener("click", () => list(next));
  try {
    await fillUnits();
    readProposals(); // the number of those that wait stands on the tab
    await chooseConference(token, $("conference"), () => read());
  } catch (error) {
    complain($("problem"), error);
  }
}

start();
