// What the pages of the staff share: the token of the link, the way between the pages, the conference that is chosen.

import { call, claimsOf, download, tokenOfLink } from "./api.js";
import { $, both, make } from "./dom.js";

const PAGES = [
  ["/live", "Trực kỹ thuật", "Operations"],
  ["/halls", "Điểm cầu", "Halls"],
  ["/attendance", "Điểm danh", "Attendance"],
];

const PROBLEMS = {
  0: ["Không nối được máy chủ. Hãy kiểm tra mạng.", "The server cannot be reached."],
  401: ["Đường dẫn hết hiệu lực. Hãy xin đường dẫn mới.", "This link is not valid any more."],
  403: ["Đường dẫn này không được phép làm việc đó.", "This link may not do that."],
  413: ["Tệp quá lớn.", "The file is too large."],
  429: ["Thao tác quá nhanh, hãy đợi một lát.", "Too fast; wait a moment."],
  503: ["Máy chủ đang bận, hãy thử lại.", "The server is busy; try again."],
};

/** The staff member's side of a page: {token, claims}. Makes the links to the other pages. */
export function enter() {
  const token = tokenOfLink(location);
  const links = PAGES.map(([path, vi, en]) => {
    const link = Object.assign(make("a", "", ...both(vi, en)), { href: `${path}#token=${token}` });
    if (path === location.pathname) link.setAttribute("aria-current", "page");
    return link;
  });
  $("pages").replaceChildren(...links);
  // Another link opened in the same tab changes the fragment only.
  addEventListener("hashchange", () => location.reload());
  return { token, claims: claimsOf(token) };
}

/** Says what is to be put right before anything is asked of the coordinator. */
export function warn(place, vi, en) {
  place.hidden = false;
  place.replaceChildren(...both(vi, en));
}

/** Says what went wrong, in both languages, in `place`; without an error it is cleared. */
export function complain(place, error) {
  place.hidden = !error;
  if (!error) return;
  const [vi, en] = PROBLEMS[error.status] ?? ["Máy chủ từ chối.", "The server refused."];
  const own = error.detail && ![0, 401, 413, 429].includes(error.status) ? [make("span", "own", ` ${error.detail}`)] : [];
  place.replaceChildren(...both(vi, en), ...own);
}

/**
 * Fills the choice of a conference and calls `onChange(conference_id)` now and whenever it changes.
 *
 * The one that a viewer most likely means comes first: live, then open, then the latest to begin.
 */
export async function chooseConference(token, select, onChange) {
  const order = ["live", "rehearsal", "open", "draft", "ended"];
  const { conferences } = await call(token, "GET", "/api/v1/conferences");
  const rank = (each) => order.indexOf(each.phase);
  const sorted = [...conferences].sort((left, right) => rank(left) - rank(right) || right.starts_at_ms - left.starts_at_ms);
  select.replaceChildren(...sorted.map((each) => new Option(each.title, each.conference_id)));
  const wanted = new URLSearchParams(location.hash.slice(1)).get("conference");
  if (sorted.some((each) => each.conference_id === wanted)) select.value = wanted;
  select.addEventListener("change", () => onChange(select.value));
  onChange(select.value);
}

/** Tabs: buttons `tab-NAME` show the section NAME. `onShow(name)` is called for the first and for each chosen. */
export function tabs(names, onShow = () => {}) {
  const choose = (chosen) => {
    for (const name of names) {
      $(`tab-${name}`).setAttribute("aria-selected", String(name === chosen));
      $(`tab-${name}`).tabIndex = name === chosen ? 0 : -1;
      $(name).hidden = name !== chosen;
    }
    onShow(chosen);
  };
  names.forEach((name, place) => {
    $(`tab-${name}`).addEventListener("click", () => choose(name));
    $(`tab-${name}`).addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      const next = names[(place + step + names.length) % names.length];
      choose(next);
      $(`tab-${next}`).focus();
    });
  });
  choose(names[0]);
}

/** A telephone number that calls when it is pressed. */
export function phone(text) {
  const digits = (text ?? "").replace(/[^0-9+]/g, "");
  return digits ? Object.assign(make("a", "phone", text), { href: `tel:${digits}` }) : "–";
}

/** A label of a table's cell, which a phone shows beside it. */
export function cell(label, className, ...children) {
  const element = make("td", className, ...children);
  element.dataset.label = label;
  return element;
}


/** Fetches a file and hands it to the browser to keep. Throws ApiError. */
export async function save(token, path, name) {
  const url = URL.createObjectURL(await download(token, path));
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
