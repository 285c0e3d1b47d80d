// The check of a hall before the day: line, sound, camera and microphone, and a plain verdict with what to do.
// What is good or bad the coordinator says; the page measures, asks and shows.

import { call } from "./api.js";
import { $, both, english, make } from "./dom.js";
import { tryDownload, tryRelay } from "./precheck-line.js";

const TONE_HZ = 523; // clear on poor speakers
const TONE_S = 1.5;
const TRIED = ["camera", "microphone"];

// In the order in which a technician should read them: what is to be done stands first.
const GRADES = {
  bad: ["✗", "Kém", "Bad"],
  fair: ["~", "Tạm được", "Fair"],
  unmeasured: ["?", "Chưa đo", "Not measured"],
  good: ["✓", "Tốt", "Good"],
};
const ORDER = Object.keys(GRADES);
const VERDICTS = {
  ready: ["Điểm cầu đã sẵn sàng.", "This hall is ready."],
  signed_off: ["Điểm cầu đã được xác nhận sẵn sàng.", "This hall is signed off."],
  doubtful: ["Cần xem lại các dòng chưa tốt dưới đây.", "Some lines below need another look."],
  failed: ["Chưa đạt. Hãy làm theo các dòng “Kém” dưới đây rồi kiểm tra lại.", "Not ready. Follow the lines marked “Bad”, then check again."],
  not_checked: ["Chưa kiểm tra.", "Not checked yet."],
};
const PLACES = { primary: ["trạm chính", "the primary relay"], backup: ["trạm dự phòng", "the backup relay"] };

/** "Edg 140": the most particular name that a browser gives itself, and its version; its own text where none is known. */
export function browserName(userAgent) {
  for (const name of ["coc_coc_browser", "Edg", "OPR", "SamsungBrowser", "Firefox", "Chrome", "Safari"]) {
    const found = userAgent.match(new RegExp(`\\b${name}/(\\d+)`));
    if (found) return `${name} ${found[1]}`;
  }
  return userAgent.slice(0, 80);
}

/** A tone through the hall's speakers. */
async function playTone() {
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: TONE_HZ });
  const volume = new GainNode(context, { gain: 0.4 });
  tone.connect(volume).connect(context.destination);
  tone.start();
  tone.stop(context.currentTime + TONE_S);
  await new Promise((resolve) => (tone.onended = resolve));
  await context.close();
}

/** Asks for one device and lets go of it again: "ok" or "failed". */
async function tryDevice(kind) {
  try {
    const stream = await navigator.mediaDevices.getUserMedia(kind === "camera" ? { video: true } : { audio: true });
    for (const track of stream.getTracks()) track.stop();
    return "ok";
  } catch {
    return "failed";
  }
}

class Precheck {
  #token;
  #devices = {};
  #line = null; // what was measured, once it was
  #sending = Promise.resolve();

  constructor(token) {
    this.#token = token;
  }

  /** Measures the line anew, and reports it. */
  async run() {
    $("precheck-run").disabled = true;
    this.#line = null;
    $("precheck-findings").replaceChildren();
    try {
      this.#line = await this.#measure();
      await this.#send();
    } catch (error) {
      this.#say("failed", "Không kiểm tra được: máy chủ điều phối không trả lời. Hãy xem lại đường truyền rồi thử lại.", `The coordinator did not answer. ${error.detail ?? ""}`);
    } finally {
      $("precheck-run").disabled = false;
    }
  }

  async #measure() {
    this.#busy("Đang hỏi máy chủ điều phối…", "Asking the coordinator…");
    const plan = await call(this.#token, "POST", "/api/v1/halls/precheck/plan");
    const servers = plan.ice_servers ?? [];
    const relays = [];
    let mediaBps = null;
    for (const place of ["primary", "backup"]) {
      if (!plan[place]) continue;
      const [vi, en] = PLACES[place];
      this.#busy(`Đang thử ${vi} ${plan[place].relay_id}…`, `Trying ${en}…`);
      const { relay, bps } = await tryRelay(plan[place], place, servers);
      relays.push(relay);
      if (bps !== null) mediaBps = Math.max(mediaBps ?? 0, bps);
    }
    const line = { relays, layer_bps: plan.layer_bps };
    if (mediaBps !== null) line.media_bps = mediaBps;
    if (mediaBps === null || mediaBps < plan.layer_bps) {
      this.#busy("Đang đo băng thông…", "Measuring the throughput…");
      const bps = await tryDownload(this.#token, "/api/v1/halls/precheck/payload");
      if (bps !== null) line.download_bps = bps;
    }
    return line;
  }

  /** A person or a device answered. */
  async answer(name, outcome) {
    this.#devices[name] = outcome;
    if (this.#line) await this.#send();
  }

  /** The technician answers for the hall. */
  async signOff() {
    try {
      const readiness = await call(this.#token, "POST", "/api/v1/halls/signoff", {});
      this.#verdict(readiness.state);
    } catch (error) {
      this.#say("failed", "Chưa gửi được xác nhận, hãy thử lại.", `Not sent, try again. ${error.detail ?? ""}`);
    }
  }

  /** Reports what is known by now; reports follow each other, so that the last holds everything. */
  #send() {
    const report = async () => {
      const devices = { ...this.#devices, screen_width_px: screen.width, screen_height_px: screen.height };
      const precheck = { source: "page", version: browserName(navigator.userAgent), devices, ...this.#line };
      const { findings, readiness } = await call(this.#token, "POST", "/api/v1/halls/precheck", { precheck });
      this.#show(findings, readiness.state);
    };
    this.#sending = this.#sending.catch(() => {}).then(report);
    return this.#sending;
  }

  #show(findings, state) {
    const sorted = [...findings].sort((one, other) => ORDER.indexOf(one.grade) - ORDER.indexOf(other.grade));
    $("precheck-findings").replaceChildren(
      ...sorted.map(({ code, place, grade, vi, en }) => {
        const [sign, word, wordEn] = GRADES[grade];
        const mark = make("b", "grade", `${sign} ${word}`);
        mark.title = wordEn;
        const row = make("li", "", mark, make("span", "", vi, " ", english(en)));
        Object.assign(row.dataset, { grade, code, place: place ?? "" });
        return row;
      }),
    );
    this.#verdict(state);
  }

  #verdict(state) {
    this.#say(state, ...VERDICTS[state]);
    $("precheck-sign").hidden = state === "failed" || state === "signed_off";
  }

  #busy(vi, en) {
    $("precheck-sign").hidden = true;
    this.#say("busy", vi, en);
  }

  #say(state, vi, en) {
    const verdict = $("precheck-verdict");
    verdict.dataset.state = state;
    verdict.replaceChildren(...both(vi, en));
  }
}

/** Makes the button and the dialog work. */
export function precheckDialog(token) {
  const dialog = $("precheck");
  const check = new Precheck(token);
  const told = (name, outcome) => check.answer(name, outcome).catch(() => {});
  $("precheck-open").addEventListener("click", () => {
    dialog.showModal();
    check.run();
  });
  $("precheck-close").addEventListener("click", () => dialog.close());
  $("precheck-run").addEventListener("click", () => check.run());
  $("precheck-sign").addEventListener("click", () => check.signOff());
  $("precheck-tone").addEventListener("click", async () => {
    await playTone().catch(() => {});
    $("precheck-heard").hidden = false;
  });
  $("precheck-yes").addEventListener("click", () => told("speaker", "ok"));
  $("precheck-no").addEventListener("click", () => told("speaker", "failed"));
  $("precheck-devices").addEventListener("click", async () => {
    for (const name of TRIED) await told(name, await tryDevice(name));
  });
}
