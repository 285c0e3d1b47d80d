// The operator's page: the country as the coordinator sees it, as it happens.

import { $, english, make, number, reconcile, setText, time, virtualMark } from "./dom.js";
import { enter } from "./staff.js";
import { follow, showLink } from "./stream.js";

const MOST_LOST_ROWS = 200; // more cannot be phoned; the rest is counted

const PHASES = {
  draft: ["soạn thảo", "draft"],
  open: ["mở cổng", "open"],
  rehearsal: ["tổng duyệt", "rehearsal"],
  live: ["đang họp", "live"],
  ended: ["đã kết thúc", "ended"],
};

// key of the totals -> labels, and a class that sets its tone; counts of halls have a simulated share beside them
const TOTALS = [
  ["halls", "Điểm cầu", "Halls", ""],
  ["present", "Đang dự", "Present", "present"],
  ["waiting", "Chưa vào", "Waiting", "waiting"],
  ["lost", "Mất kết nối", "Lost", "gone"],
  ["left", "Đã rời", "Left", ""],
  ["summoned", "Đại biểu triệu tập", "Delegates summoned", ""],
  ["headcount_present", "Có mặt theo báo số", "Present by headcount", "present"],
  ["individual_registered", "Đại biểu trong danh sách", "Delegates on rosters", ""],
  ["individual_present", "Có mặt theo điểm danh", "Present by check-in", "present"],
];

// Halls are counted without the simulated ones; those stand below, labelled.
function showTile(tile, totals, key) {
  const simulated = totals[`virtual_${key}`] ?? 0;
  setText(tile.querySelector("dd"), number(totals[key] - simulated));
  let line = tile.querySelector(".simulated");
  if (!simulated) return line?.remove();
  if (!line) {
    line = make("dd", "simulated", make("span"), " ", virtualMark());
    tile.append(line);
  }
  setText(line.firstElementChild, `+ ${number(simulated)}`);
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
      reconcile(
        section.querySelector(".totals"),
        TOTALS.filter(([key]) => each.totals?.[key] !== undefined),
        ([key]) => key,
        ([, viLabel, enLabel, tone]) => make("div", tone, make("dt", "", viLabel, english(enLabel)), make("dd")),
        (tile, [key]) => showTile(tile, each.totals, key),
      );
    },
  );
}

function part(of, all) {
  return all > 0 ? `${(100 * of) / all}%` : "0%";
}

function showProvinces(provinces) {
  $("provinces-virtual").hidden = !provinces.some((each) => each.virtual_halls > 0);
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
      const { waiting } = each;
      row.classList.toggle("has-lost", each.lost > 0);
      row.title = `${each.name}: ${each.present} đang dự, ${waiting} chưa vào, ${each.lost} mất kết nối; ảo: ${each.virtual_halls ?? 0}`;
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

// What operators want of a relay, and what of it is still to be done.
function ordered(relay) {
  if (relay.mode === "cordoned") return "⏸ Ngừng nhận mới / Cordoned";
  if (relay.mode !== "draining" && relay.mode !== "evacuating") return "";
  if (relay.is_empty) return "◇ Đã trống, có thể dừng / Empty";
  const left = relay.halls_primary + relay.halls_backup + relay.halls_leaving + relay.children;
  return `⇥ Đang chuyển đi, còn ${number(left)} / Draining, ${number(left)} left`;
}

function showRelays(relays, provinces) {
  const regions = new Map(provinces.map((each) => [each.code, each.name]));
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
      // Its media flows and its lease still runs; only the control connection is gone.
      const parted = !lost && each.connected === false;
      const health = lost ? "✕ Mất / Lost" : parted ? "◌ Mất điều khiển / No control" : "● Tốt / Up";
      // It says that it is well, and its halls left it because nothing came.
      const suspected = !lost && each.suspected_until_ms > 0 ? "⚠ Nghi không phát / Suspected" : "";
      setText(row.children[1], [suspected || health, ordered(each)].filter(Boolean).join(" · "));
      setText(row.children[2], regions.get(each.region) ?? (each.region || "trung tâm"));
      setText(row.children[3], (each.parents ?? []).map((name) => name.replaceAll("-", "\u2011")).join(" → ") || "–");
      setText(row.children[4], number(each.halls));
      setText(row.children[5], number(each.sessions));
    },
  );
}

// The list comes in the order in which to phone: real halls first, the longest lost first. `all` counts what it leaves out.
function showLost(lost, all) {
  $("lost").hidden = lost.length === 0;
  setText($("lost-count"), number(all));
  const shown = lost.slice(0, MOST_LOST_ROWS);
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
      setText(row.children[4], each.since_ms ? time(each.since_ms) : "–");
    },
  );
  const more = all - shown.length;
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
  const lost = snapshot.lost ?? [];
  const focus = (snapshot.conferences ?? []).find((each) => each.conference_id === snapshot.focus);
  showLost(lost, Math.max(lost.length, focus?.totals?.lost ?? 0));
  showProvinces(snapshot.provinces ?? []);
  showRelays(snapshot.relays ?? [], snapshot.provinces ?? []);
  showLink("live", snapshot.at_ms);
  window.diemcau = { state: "live", snapshot };
}

const { token } = enter();
window.diemcau = { state: "connecting", snapshot: null };
showLink(token ? "connecting" : "refused");
if (token) follow({ token, onSnapshot: show, onLink: showLink });
