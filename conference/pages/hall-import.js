// Imports halls from a file in two steps: what is wrong and what would change, then, once somebody has looked, all of it.

import { download, upload } from "./api.js";
import { $, both, make, number, reconcile } from "./dom.js";
import { cell, complain, warn } from "./staff.js";

const TYPES = {
  csv: "text/csv",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
};
const MOST_ROWS = 500; // a person corrects no more at a time; the rest is counted

const typeOf = (name) => TYPES[name.toLowerCase().split(".").pop()];

/** Makes the panel work; `onChanged` is called when halls were changed. */
export function importPanel({ token, claims, onChanged }) {
  let file = null;
  let question = 0; // the newest file; the answer about an older one is dropped

  const clear = () => {
    for (const id of ["import-errors", "difference", "apply", "import-done", "import-problem"]) $(id).hidden = true;
    $("import-words").replaceChildren();
  };

  const send = async (dryRun) => {
    const asked = ++question;
    clear();
    $("import-words").replaceChildren(...both("Đang kiểm tra…", "Checking…"));
    try {
      const path = `/api/v1/halls/import${dryRun ? "?dry_run=1" : ""}`;
      const answer = await upload(token, path, file, typeOf(file.name));
      if (asked !== question) return;
      $("import-words").replaceChildren();
      if (dryRun) showDifference(answer, claims);
      else {
        showDone(answer);
        onChanged();
      }
    } catch (error) {
      if (asked !== question) return;
      $("import-words").replaceChildren();
      if (error.errors?.length) showErrors(error.errors);
      else complain($("import-problem"), error);
    }
  };

  $("file").accept = Object.keys(TYPES).map((each) => `.${each}`).join(",");
  $("file").addEventListener("change", () => {
    file = $("file").files[0] ?? null;
    clear();
    if (!file) return;
    if (typeOf(file.name)) return send(true);
    warn($("import-problem"), "Hãy chọn tệp .xlsx hoặc .csv.", "Choose a .xlsx or .csv file.");
  });
  $("apply").addEventListener("click", () => send(false));
  $("exports").replaceChildren(
    ...[["/api/v1/halls/export", "diem-cau.csv", "CSV"]].map(([path, name, kind]) => {
      const button = make("button", "", ...both(`Tải danh sách (${kind})`, "Download"));
      button.type = "button";
      button.addEventListener("click", () => save(token, path, name));
      return button;
    }),
  );
}

async function save(token, path, name) {
  try {
    const url = URL.createObjectURL(await download(token, path));
    Object.assign(document.createElement("a"), { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch (error) {
    complain($("import-problem"), error);
  }
}

function showErrors(errors) {
  $("import-errors").hidden = false;
  const [vi, en] = [`${number(errors.length)} chỗ cần sửa. Chưa có gì được ghi.`, `${errors.length} to correct. Nothing was written.`];
  $("import-words").replaceChildren(...both(vi, en));
  reconcile(
    $("error-rows"),
    errors.slice(0, MOST_ROWS).map((each, key) => ({ ...each, key })),
    (each) => each.key,
    () => make("tr", "", cell("Dòng", "number"), cell("Cột", ""), cell("Đang ghi", ""), cell("Sai vì", "")),
    (row, each) => {
      const [line, column, value, reason] = row.children;
      line.textContent = number(each.row);
      column.textContent = each.column;
      value.textContent = each.value || "(trống / empty)";
      reason.replaceChildren(make("span", "", ...both(each.reason_vi, each.reason_en)));
    },
  );
}

function showDifference(answer, claims) {
  $("difference").hidden = false;
  const none = answer.changed === 0;
  $("difference").replaceChildren(
    make(
      "p",
      "success",
      ...both(
        none
          ? `Tệp có ${number(answer.halls)} điểm cầu, không có gì khác so với hiện tại.`
          : `Tệp có ${number(answer.halls)} điểm cầu, ${number(answer.changed)} điểm cầu mới hoặc có thay đổi.`,
        none ? `${answer.halls} halls, nothing differs.` : `${answer.halls} halls, ${answer.changed} new or changed.`,
      ),
    ),
  );
  $("apply").hidden = none;
  $("apply").replaceChildren(
    ...(claims.unit
      ? both(`Gửi đề xuất ${number(answer.changed)} thay đổi`, "Propose these changes")
      : both(`Ghi ${number(answer.changed)} thay đổi`, "Apply these changes")),
  );
}

function showDone(answer) {
  $("import-done").hidden = false;
  $("import-done").replaceChildren(
    ...(answer.proposal_id
      ? both(`Đã gửi đề xuất số ${answer.proposal_id}; ban tổ chức sẽ duyệt.`, "Proposed; an organiser decides.")
      : both(`Đã ghi ${number(answer.changed)} thay đổi.`, `${answer.changed} changes applied.`)),
  );
  $("file").value = "";
}
