// Whom to phone before the day: halls that are not ready, why, and who has to act; with the numbers of each state.

import { call } from "./api.js";
import { $, both, english, make, number, reconcile } from "./dom.js";
import { cell, complain, phone, save } from "./staff.js";
import { matches } from "./search.js";

const MOST_ROWS = 300; // more than anybody phones in a day; the rest is counted, and in the table to take away

const STATES = {
  not_checked: ["○", "Chưa kiểm tra", "Not checked", ""],
  failed: ["✕", "Không đạt", "Failed", "bad"],
  doubtful: ["!", "Cần xem lại", "Doubtful", "bad"],
  ready: ["✓", "Sẵn sàng", "Ready", "good"],
  signed_off: ["✓✓", "Đã xác nhận", "Signed off", "good"],
};

const OWNERS = {
  hall_technician: "điểm cầu",
  province_technician: "kỹ thuật tỉnh",
  operator: "trực kỹ thuật",
  organiser: "ban tổ chức",
};

/** Makes the panel work; `wanted()` is {conference, unit}. Returns a way to read it again. */
export function readinessPanel({ token, claims, wanted }) {
  let halls = [];
  let asked = 0; // the newest question; an older answer is dropped

  const path = (what, more = {}) => {
    const { conference, unit } = wanted();
    const about = new URLSearchParams({ ...(unit ? { unit } : {}), ...more });
    return `/api/v1/conferences/${encodeURIComponent(conference)}/${what}?${about}`;
  };

  const read = async () => {
    if (!wanted().conference) return;
    const question = ++asked;
    try {
      const [{ total }, calls] = await Promise.all([
        call(token, "GET", path("readiness", { limit: 1 })),
        call(token, "GET", path("readiness/calls")),
      ]);
      if (question !== asked) return;
      complain($("readiness-problem"));
      halls = calls.halls;
      showTotals(total);
      draw();
    } catch (error) {
      if (question === asked) complain($("readiness-problem"), error);
    }
  };

  const showTotals = (total) =>
    $("readiness-totals").replaceChildren(
      ...Object.entries(STATES).map(([state, [sign, vi, en, tone]]) =>
        make("div", "", make("dt", `mark ${tone}`, `${sign} ${vi} `, english(en)), make("dd", "", number(total[state]))),
      ),
    );

  const draw = () => {
    const state = $("readiness-state").value;
    const text = $("readiness-search").value;
    const found = halls.filter(
      (each) =>
        (!state || each.readiness.state === state) &&
        (!text || matches(`${each.name} ${each.hall_id} ${each.province} ${each.unit_name} ${each.contact_phone}`, text)),
    );
    const more = found.length > MOST_ROWS ? ` (hiện ${number(MOST_ROWS)} dòng đầu)` : "";
    const en = `${found.length} halls to see to${more && `, the first ${MOST_ROWS}`}`;
    $("readiness-words").replaceChildren(...both(`${number(found.length)} điểm cầu cần lo${more}`, en));
    reconcile(
      $("readiness-rows"),
      found.slice(0, MOST_ROWS),
      (each) => each.hall_id,
      (each) => {
        const sign = make("button", "", ...both("Xác nhận sẵn sàng", "Sign off"));
        sign.type = "button";
        sign.addEventListener("click", () => signOff(each));
        const may = claims.role !== "operator";
        return make(
          "tr",
          "",
          cell("", "head"),
          cell("Còn thiếu", ""),
          cell("Người trực", ""),
          cell("Điện thoại", ""),
          cell("", "", ...(may ? [sign] : [])),
        );
      },
      (row, each) => {
        const [name, missing, contact, telephone] = row.children;
        name.replaceChildren(each.name, make("small", "", `${each.unit_name}, ${each.province} · ${each.hall_id}`));
        const [mark, vi, en, tone] = STATES[each.readiness.state] ?? ["?", each.readiness.state, "", ""];
        missing.replaceChildren(
          make(
            "div",
            "reasons",
            make("span", `mark ${tone}`, `${mark} ${vi} `, english(en)),
            ...each.readiness.reasons.map((reason) =>
              make("small", "", `${OWNERS[reason.owner] ?? reason.owner}: ${reason.vi} `, english(reason.en)),
            ),
          ),
        );
        contact.textContent = each.contact_name || "–";
        telephone.replaceChildren(phone(each.contact_phone));
      },
    );
  };

  const signOff = async (hall) => {
    try {
      const { conference } = wanted();
      const address = `/api/v1/conferences/${encodeURIComponent(conference)}/readiness/signoff`;
      await call(token, "POST", address, { hall_id: hall.hall_id });
      await read();
    } catch (error) {
      complain($("readiness-problem"), error);
    }
  };

  const every = ["", "Tất cả / All"];
  const words = Object.entries(STATES).map(([key, [, vi, en]]) => [key, `${vi} / ${en}`]);
  $("readiness-state").replaceChildren(...[every, ...words.slice(0, 3)].map(([value, text]) => new Option(text, value)));
  for (const id of ["readiness-state", "readiness-search"]) $(id).addEventListener("input", draw);
  for (const form of ["xlsx", "csv"]) {
    const button = make("button", "", ...both(`Tải danh sách gọi (${form.toUpperCase()})`, "Download the call list"));
    button.type = "button";
    button.addEventListener("click", async () => {
      try {
        await save(token, path("readiness/calls", { format: form }), `goi-dien.${form}`);
      } catch (error) {
        complain($("readiness-problem"), error);
      }
    });
    $("readiness-files").append(button);
  }
  return read;
}
