// The technician's headcount of one hall: summoned, present, excused, unexcused, exempt.

import { call } from "./api.js";

const FIGURES = ["summoned", "present", "excused", "unexcused", "exempt"];
const MOST = 100_000;

/** Reads the form into a report, or says in two languages what is wrong: {report} or {error: [vi, en], field}. */
export function readHeadcount(form) {
  const report = { note: form.note.value.trim() };
  for (const name of FIGURES) {
    const text = form[name].value.trim();
    const value = Number(text);
    if (text === "" || !Number.isInteger(value) || value < 0 || value > MOST) {
      return {
        field: form[name],
        error: [`Hãy nhập một số từ 0 đến ${MOST.toLocaleString("vi")}.`, `Enter a whole number from 0 to ${MOST}.`],
      };
    }
    report[name] = value;
  }
  const accounted = report.present + report.excused + report.unexcused + report.exempt;
  if (accounted > report.summoned) {
    return {
      field: form.present,
      error: [
        `Có mặt, vắng và miễn cộng lại là ${accounted}, nhiều hơn số triệu tập ${report.summoned}.`,
        `Present, absent and exempt make ${accounted}, more than the ${report.summoned} summoned.`,
      ],
    };
  }
  return { report };
}

/** Makes the dialog work. */
export function headcountDialog(token, root = document) {
  const dialog = root.getElementById("headcount");
  const form = root.getElementById("headcount-form");
  const result = root.getElementById("headcount-result");
  const send = root.getElementById("headcount-send");
  const say = (kind, vi, en) => {
    const english = Object.assign(root.createElement("span"), { textContent: en, lang: "en" });
    result.className = kind;
    result.replaceChildren(vi, " ", english);
  };
  root.getElementById("headcount-open").addEventListener("click", () => {
    result.replaceChildren();
    dialog.showModal();
  });
  root.getElementById("headcount-close").addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { report, error, field } = readHeadcount(form);
    if (error) {
      say("wrong", ...error);
      field.focus();
      return;
    }
    send.disabled = true;
    say("", "Đang gửi…", "Sending…");
    try {
      await call(token, "POST", "/api/v1/halls/headcount", report);
      const at = new Date().toLocaleTimeString("vi", { hour: "2-digit", minute: "2-digit" });
      say("right", `Đã gửi lúc ${at}. Có thể gửi lại khi số liệu thay đổi.`, "Sent. Send again when the figures change.");
    } catch (refused) {
      say("wrong", "Chưa gửi được, hãy thử lại.", `Not sent, try again. ${refused.detail}`);
    } finally {
      send.disabled = false;
    }
  });
}
