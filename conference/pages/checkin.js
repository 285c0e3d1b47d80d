// The check-in page. `#token=…` is the hall's own phone or PC: many delegates, by camera, scanner or keyboard, also
// without a line. `#hall=…` is a delegate's own phone at that hall: once.

import { claimsOf } from "./api.js";
import { CameraError, startCamera } from "./camera.js";
import { digitsOf, isScannerAtWork } from "./checkin-code.js";
import { CAMERAS, resultOf } from "./checkin-words.js";
import { $, both, setText } from "./dom.js";
import { HallCheckin } from "./hall-checkin.js";
import { SelfCheckin } from "./self-checkin.js";
import { allowSound, signal } from "./signals.js";

const SCANNER_PAUSE_MS = 250; // a scanner that sends no Enter has ended when nothing came for so long
const NUMBER = /^\d{1,7}$/;
const PIN = /^\d{6}$/;

const REFUSED = [
  "Đường dẫn này không đúng hoặc không còn hiệu lực. Hãy xin đường dẫn mới từ cán bộ kỹ thuật.",
  "This link is wrong or not valid any more. Ask the technician for a new one.",
];

/** Shows a result, large; `quietly` where its sound was heard before. */
export function showResult(result, who = "", { quietly = false, detail = "" } = {}) {
  const [tone, sign, vi, en] = resultOf(result);
  const card = $("result");
  card.dataset.tone = tone;
  card.dataset.result = result;
  setText(card.querySelector(".sign"), sign);
  card.querySelector(".words").replaceChildren(...both(vi, en));
  setText(card.querySelector(".who"), who);
  setText(card.querySelector(".detail"), detail);
  if (!quietly) signal(tone !== "look");
}

/** Reads the form: {number, pin} or {error: [vi, en], field}. */
export function readTyped(form) {
  const number = form.number.value.trim();
  const pin = form.pin.value.replace(/\s/g, "");
  if (!NUMBER.test(number) || Number(number) === 0) {
    return { field: form.number, error: ["Hãy nhập số in dưới mã QR.", "Enter the number below the QR code."] };
  }
  if (!PIN.test(pin)) {
    return { field: form.pin, error: ["Mã PIN có 6 chữ số.", "The PIN has 6 digits."] };
  }
  return { number: Number(number), pin };
}

function watchForm(checkin) {
  const form = $("typed");
  const complain = (vi, en) => $("typed-error").replaceChildren(...(vi ? both(vi, en) : []));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    allowSound();
    const { number, pin, error, field } = readTyped(form);
    complain(...(error ?? []));
    if (error) return field.focus();
    form.reset();
    form.number.focus();
    checkin.takeTyped(number, pin);
  });
}

/** A hand scanner types a code into whatever field has the focus; it is taken out of there. */
function watchScanners(checkin) {
  let timer = 0;
  const take = (field) => {
    clearTimeout(timer);
    const digits = digitsOf(field.value);
    field.value = "";
    checkin.takeCode(digits, "qr");
  };
  const isField = (element) => element instanceof HTMLInputElement;
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    if (/^\d$/.test(event.key) && !isField(event.target) && !$("scan").hidden) $("number").focus();
    if (event.key === "Enter" && isField(event.target) && isScannerAtWork(event.target.value)) {
      event.preventDefault();
      take(event.target);
    }
  });
  document.addEventListener("input", (event) => {
    clearTimeout(timer);
    if (isField(event.target) && isScannerAtWork(event.target.value)) {
      event.stopPropagation();
      timer = setTimeout(() => take(event.target), SCANNER_PAUSE_MS);
    }
  }, { capture: true });
}

function watchCamera(checkin) {
  let stop = null;
  const button = $("camera");
  const say = (vi, en) => {
    $("camera-words").hidden = !vi;
    $("camera-words").replaceChildren(...(vi ? both(vi, en) : []));
  };
  const show = () => {
    $("viewer").hidden = !stop;
    button.classList.toggle("open", Boolean(stop));
    button.replaceChildren(...(stop ? both("Tắt máy ảnh", "Stop the camera") : both("Mở máy ảnh quét mã", "Scan with the camera")));
  };
  button.addEventListener("click", async () => {
    allowSound();
    if (stop) {
      stop();
      stop = null;
      return show();
    }
    button.disabled = true;
    say("Đang mở máy ảnh…", "Opening the camera…");
    try {
      $("viewer").hidden = false;
      stop = await startCamera($("video"), (text) => checkin.takeCode(digitsOf(text), "qr"));
      say();
    } catch (error) {
      if (!(error instanceof CameraError)) throw error;
      say(...CAMERAS[error.code]);
    } finally {
      button.disabled = false;
      show();
    }
  });
}

function keepForLater() {
  // Opens this page again without a line; only a secure origin has it.
  navigator.serviceWorker?.register("/checkin-worker.js", { scope: "/checkin" }).catch(() => {});
}

async function start() {
  const link = new URLSearchParams(location.hash.slice(1));
  const [token, poster] = [link.get("token") ?? "", link.get("hall") ?? ""];
  const claims = claimsOf(token || poster);
  if (!claims.hall || !claims.conference) {
    $("refused").hidden = false;
    return $("refused").replaceChildren(...both(...REFUSED));
  }
  $("checkin").hidden = false;
  const checkin = token ? new HallCheckin(token, claims, showResult) : new SelfCheckin(poster, claims, showResult);
  window.diemcau = checkin.told; // for tests and for a technician at the console; it holds no secret
  watchForm(checkin);
  watchScanners(checkin);
  watchCamera(checkin);
  keepForLater();
  await checkin.start();
}

// Another link opened in the same tab changes the fragment only.
addEventListener("hashchange", () => location.reload());
start();
