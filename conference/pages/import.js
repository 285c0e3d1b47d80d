// Imports a list from a file in two steps: what is wrong and what would change, then, once somebody has looked, all of it.

import { upload } from "./api.js";
import { $, both, make, number, reconcile } from "./dom.js";
import { fieldName, valuesOf } from "./hall-fields.js";
import { cell, complain, save, warn } from "./staff.js";

const TYPES = {
  csv: "text/csv",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
};
const MOST_ROWS = 500; // a person corrects or reads no more at a time; the rest is counted

const typeOf = (name) => TYPES[name.toLowerCase().split(".").pop()];

const HALLS = {
  address: () => "/api/v1/halls/import",
  files: () => [
    ["/api/v1/halls/export?format=xlsx", "diem-cau.xlsx", "Tải danh sách hiện có", "Present list"],
    ["/api/v1/templates?subject=halls&format=xlsx", "mau-diem-cau.xlsx", "Tải tệp mẫu", "Template"],
  ],
  // Vietnamese, English and how many of each; only what is left when nothing else is said counts as a change.
  counts: ({ difference }) => [
    ["thêm mới", "new", difference.new_count, true],
    ["thay đổi", "changed", difference.changed_count, true],
    ["giữ nguyên", "unchanged", difference.unchanged_count, false],
    ["không có trong tệp, giữ nguyên", "not in the file, left as they are", difference.absent_count, false],
  ],
  rows: ({ difference }) => [
    ...difference.new.map((code) => make("li", "", make("b", "", code), " ", make("ins", "", ...both("thêm mới", "new")))),
    ...difference.changed.map(({ code, changes }) =>
      make(
        "li",
        "",
        make("b", "", code),
        make("ul", "", ...changes.map((each) => make("li", "", `${fieldName(each.field)}: `, ...valuesOf(each.before, each.after)))),
      ),
    ),
  ],
};

const CHANGES = {
  added: ["thêm mới", "new"],
  changed: ["thay đổi", "changed"],
  moved: ["chuyển điểm cầu", "moved"],
  returned: ["vào lại danh sách", "returned"],
};

const DELEGATES = {
  address: (conference) => `/api/v1/conferences/${encodeURIComponent(conference)}/delegates/import`,
  files: (conference) => [
    [
      `/api/v1/conferences/${encodeURIComponent(conference)}/delegates/template`,
      "mau-dai-bieu.csv",
      "Tải tệp mẫu",
      "Template",
    ],
  ],
  counts: (answer) => [
    ...Object.entries(CHANGES).map(([key, [vi, en]]) => [vi, en, answer[key], true]),
    ["giữ nguyên", "unchanged", answer.unchanged, false],
  ],
  rows: ({ changes }) =>
    changes.map((each) => {
      const [vi, en] = CHANGES[each.change] ?? [each.change, ""];
      return make("li", "", make("b", "", each.name), ` · ${each.hall_id} `, make("ins", "", ...both(vi, en)));
    }),
};

/** Makes the panel work; `wanted()` names the conference, `onChanged` is called when something was changed. */
export function importPanel({ token, claims, wanted, onChanged }) {
  let file = null;
  let question = 0; // the newest file; the answer about an older one is dropped

  const subject = () => ($("import-subject").value === "delegates" ? DELEGATES : HALLS);

  const clear = () => {
    for (const id of ["import-errors", "difference", "apply", "import-done", "import-problem"]) $(id).hidden = true;
    $("import-words").replaceChildren();
  };

  const send = async (dryRun) => {
    const asked = ++question;
    clear();
    $("import-words").replaceChildren(...both("Đang kiểm tra…", "Checking…"));
    const about = new URLSearchParams({
      ...(dryRun ? { dry_run: 1 } : {}),
      ...($("follow-mergers").checked && subject() === HALLS ? { follow_mergers: 1 } : {}),
    });
    try {
      const path = `${subject().address(wanted().conference)}?${about}`;
      const answer = await upload(token, path, file, typeOf(file.name));
      if (asked !== question) return;
      $("import-words").replaceChildren();
      if (dryRun) showDifference(answer);
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

  const check = () => {
    clear();
    if (!file) return;
    if (typeOf(file.name)) return send(true);
    warn($("import-problem"), "Hãy chọn tệp .xlsx hoặc .csv.", "Choose a .xlsx or .csv file.");
  };

  const showDifference = (answer) => {
    const counts = subject().counts(answer);
    const changes = counts.reduce((sum, [, , many, isChange]) => sum + (isChange ? many : 0), 0);
    const rows = subject().rows(answer);
    $("difference").hidden = false;
    $("difference").replaceChildren(
      make(
        "ul",
        "success",
        ...counts.filter(([, , many]) => many > 0).map(([vi, en, many]) => make("li", "", `${number(many)} `, ...both(vi, en))),
      ),
      ...(rows.length ? [Object.assign(make("ul", "difference", ...rows.slice(0, MOST_ROWS)), { tabIndex: 0 })] : []),
      ...(rows.length > MOST_ROWS || changes > rows.length ? [make("p", "words", ...both("Chỉ hiện phần đầu.", "The first ones only."))] : []),
    );
    $("apply").hidden = changes === 0;
    $("apply").replaceChildren(
      ...(claims.unit && subject() === HALLS
        ? both(`Gửi đề xuất ${number(changes)} thay đổi`, "Propose these changes")
        : both(`Ghi ${number(changes)} thay đổi`, "Apply these changes")),
    );
  };

  const showFiles = () =>
    $("exports").replaceChildren(
      ...subject()
        .files(wanted().conference)
        .map(([path, name, vi, en]) => {
          const button = make("button", "", ...both(vi, en));
          button.type = "button";
          button.addEventListener("click", () => save(token, path, name).catch((error) => complain($("import-problem"), error)));
          return button;
        }),
    );

  $("file").accept = Object.keys(TYPES).map((each) => `.${each}`).join(",");
  $("file").addEventListener("change", () => {
    file = $("file").files[0] ?? null;
    check();
  });
  $("import-subject").addEventListener("change", () => {
    $("follow-mergers").parentElement.hidden = subject() !== HALLS;
    showFiles();
    check();
  });
  $("follow-mergers").addEventListener("change", check);
  $("apply").addEventListener("click", () => send(false));
  return showFiles;
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

function showDone({ proposal_id: proposal }) {
  $("import-done").hidden = false;
  $("import-done").replaceChildren(
    ...(proposal
      ? both(`Đã gửi đề xuất số ${proposal}; ban tổ chức sẽ duyệt.`, "Proposed; an organiser decides.")
      : both("Đã ghi.", "Applied.")),
  );
  $("file").value = "";
}
