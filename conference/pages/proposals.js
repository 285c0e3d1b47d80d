// Changes of halls that provinces propose: what differs, and an organiser's decision.

import { call } from "./api.js";
import { $, both, make, number, reconcile, time } from "./dom.js";
import { fieldName, valuesOf } from "./hall-fields.js";
import { cell, complain, warn } from "./staff.js";

const ACTIONS = {
  created: ["+ Thêm mới", "New"],
  changed: ["~ Thay đổi", "Changed"],
  withdrawn: ["− Rút khỏi danh sách", "Withdrawn"],
};
const VERDICTS = { approved: ["✓ Đã duyệt", "Approved", "good"], rejected: ["✕ Không duyệt", "Rejected", "bad"] };

const when = (ms) => `${new Date(ms).toLocaleDateString("vi")} ${time(ms, { hour: "2-digit", minute: "2-digit" })}`;

/** Makes the panel work; `unitName(code)` names a unit. Returns a way to read the list again. */
export function proposalsPanel({ token, claims, unitName, onChanged }) {
  const mayDecide = claims.role === "organiser";
  let chosen = "";

  const read = async () => {
    try {
      const { proposals } = await call(token, "GET", "/api/v1/proposals");
      const waiting = proposals.filter((each) => !each.decision).length;
      $("proposal-count").textContent = waiting ? `(${number(waiting)})` : "";
      $("proposal-words").replaceChildren(
        ...(proposals.length ? [] : both("Chưa có đề xuất nào.", "No proposals yet.")),
      );
      draw(proposals);
      complain($("proposal-problem"));
    } catch (error) {
      complain($("proposal-problem"), error);
    }
  };

  const draw = (proposals) =>
    reconcile(
      $("proposal-rows"),
      // Those that wait come first.
      [...proposals].sort((left, right) => Number(Boolean(left.decision)) - Number(Boolean(right.decision))),
      (each) => each.proposal_id,
      (each) => {
        const look = make("button", "", ...both("Xem", "Look"));
        look.type = "button";
        look.addEventListener("click", () => open(each.proposal_id));
        const name = cell("", "head", unitName(each.unit), make("small", "", `số ${each.proposal_id}`));
        return make(
          "tr",
          "",
          name,
          cell("Người gửi", "", each.actor),
          cell("Lúc", "", when(each.at_ms)),
          cell("Điểm cầu", "number", number(each.count)),
          cell("Kết quả", "mark"),
          cell("", "", look),
        );
      },
      (row, each) => {
        const [vi, en, tone] = VERDICTS[each.decision?.verdict] ?? ["… Chờ duyệt", "Waiting", ""];
        row.children[4].className = `mark ${tone}`;
        const reason = each.decision?.reason ? [make("small", "", each.decision.reason)] : [];
        row.children[4].replaceChildren(...both(vi, en), ...reason);
      },
    );

  const open = async (proposalId) => {
    try {
      const answer = await call(token, "GET", `/api/v1/proposals/${encodeURIComponent(proposalId)}`);
      chosen = proposalId;
      const { proposal, halls, conflicts, more } = answer;
      $("proposal-title").textContent = `${unitName(proposal.unit)} – đề xuất số ${proposalId}`;
      complain($("decision-problem"));
      $("proposal-conflicts").hidden = conflicts === 0;
      $("proposal-conflicts").replaceChildren(
        ...both(`${number(conflicts)} điểm cầu đã đổi sau khi gửi đề xuất.`, `${conflicts} halls changed since.`),
      );
      $("proposal-halls").replaceChildren(...halls.map(showHall));
      $("proposal-more").hidden = more === 0;
      $("proposal-more").replaceChildren(...both(`và ${number(more)} điểm cầu nữa`, `and ${more} more`));
      for (const id of ["decision", "approve", "reject"]) $(id).hidden = !mayDecide || Boolean(proposal.decision);
      $("despite").parentElement.hidden = conflicts === 0;
      $("despite").checked = false;
      $("reason").value = "";
      $("proposal").showModal();
    } catch (error) {
      complain($("proposal-problem"), error);
    }
  };

  const decide = async (verdict) => {
    const reason = $("reason").value.trim();
    if (verdict === "rejected" && !reason) {
      warn($("decision-problem"), "Hãy ghi lý do không duyệt.", "Say why it is rejected.");
      return $("reason").focus();
    }
    try {
      const body = { proposal_ids: [chosen], verdict, reason, despite_changes: $("despite").checked };
      await call(token, "POST", "/api/v1/proposals/decide", body);
      $("proposal").close();
      onChanged();
      await read();
    } catch (error) {
      complain($("decision-problem"), error);
    }
  };

  $("approve").addEventListener("click", () => decide("approved"));
  $("reject").addEventListener("click", () => decide("rejected"));
  $("proposal-close").addEventListener("click", () => $("proposal").close());
  return read;
}

/** One hall of a difference: what it is called, what happens to it, and each field before and after. */
export function showHall({ hall, action, fields, conflict }) {
  const [vi, en] = ACTIONS[action] ?? ["= Đã như vậy", "So already"];
  const changes = fields.map(([field, before, after]) =>
    make("li", "", `${fieldName(field)}: `, ...valuesOf(before, after)),
  );
  return make(
    "li",
    "",
    make("b", "", hall.name),
    " ",
    make("small", "", hall.hall_id),
    make("p", conflict ? "mark bad" : "mark", ...both(conflict ? `${vi} – trùng với thay đổi khác` : vi, en)),
    ...(changes.length ? [make("ul", "", ...changes)] : []),
  );
}
