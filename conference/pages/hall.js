// The page of a hall: one link, one button, then the programme; a clear sentence whenever something is missing.

import { call, claimsOf, tokenOfLink } from "./api.js";
import { doorDialog } from "./door.js";
import { Follower } from "./follow.js";
import { headcountDialog } from "./headcount.js";
import { precheckDialog } from "./precheck.js";
import { Stage } from "./stage.js";

const IDLE_MS = 8000; // then the bar and the pointer leave the picture alone

const NOTICES = {
  joining: ["Đang vào hội nghị…", "Joining the conference…"],
  connecting: ["Đang nối đường truyền…", "Connecting…"],
  silent: ["Chưa có hình từ hội trường chính", "No picture from the main hall yet"],
  lost: ["Mất kết nối, đang nối lại…", "Link lost, reconnecting…"],
  waiting: ["Hội nghị chưa mở. Trang này sẽ tự vào khi mở cổng.", "The conference is not open yet. This page joins by itself."],
  queued: ["Nhiều điểm cầu đang vào cùng lúc. Trang này sẽ tự vào khi đến lượt.", "Many halls are joining. This page joins by itself in its turn."],
  ended: ["Hội nghị đã kết thúc. Xin cảm ơn.", "The conference has ended. Thank you."],
  refused: [
    "Đường dẫn này không còn hiệu lực. Hãy xin đường dẫn mới từ cán bộ kỹ thuật.",
    "This link is not valid any more. Ask the technician for a new one.",
  ],
  picture: ["Mất hình từ hội trường chính, tiếng vẫn có", "No picture from the main hall; the sound is there"],
  sound: ["Mất tiếng từ hội trường chính, hình vẫn có", "No sound from the main hall; the picture is there"],
  unsupported: [
    "Trình duyệt này quá cũ. Hãy dùng Chrome, Edge hoặc Cốc Cốc bản mới.",
    "This browser is too old. Use a current Chrome, Edge or Firefox.",
  ],
};

const QUALITY = {
  good: ["Đường truyền tốt", "Good line"],
  fair: ["Đường truyền trung bình", "Fair line"],
  bad: ["Đường truyền kém", "Bad line"],
  "": ["Không có tín hiệu", "No signal"],
};

const $ = (id) => document.getElementById(id);
const token = tokenOfLink(location);
let follower = null;

function nameHall(assignment) {
  const claims = claimsOf(token);
  const name = assignment?.hall_name || claims.hall || claims.sub || "Điểm cầu";
  $("hall-name").textContent = name;
  $("bar-hall").textContent = name;
  $("conference-title").textContent = assignment?.conference_title ?? claims.conference ?? "";
  document.title = `${name} – Điểm Cầu`;
}

/** Which sentence the screen needs now, as a key of NOTICES, or "". */
function noticeOf({ state, picture, sound }) {
  if (state !== "playing") return state;
  if (!picture) return "picture";
  return sound ? "" : "sound";
}

function notify(key, detail = "") {
  const notice = $("notice");
  notice.hidden = key === "";
  if (key === "") return;
  const [vi, en] = NOTICES[key];
  $("notice-vi").textContent = vi;
  $("notice-en").textContent = en;
  $("notice-detail").textContent = detail;
  notice.dataset.kind = key;
}

function show() {
  if (follower.assignment) nameHall(follower.assignment);
  notify(noticeOf(follower), follower.state === "lost" || follower.state === "refused" ? follower.detail : "");
  const [vi, en] = QUALITY[follower.quality];
  $("line").dataset.quality = follower.quality || "none";
  $("line-text").textContent = vi;
  $("line").title = en;
  const throughTurn = follower.path === "turn";
  $("relay").textContent = follower.active ? `Trạm ${follower.active.relay}${throughTurn ? " · qua TURN" : ""}` : "";
  $("relay").title = throughTurn ? "Through a TURN server: this network lets no UDP out" : "";
  document.body.dataset.state = follower.state;
}

function fullScreen() {
  // A refusal (a kiosk, a test) leaves the page as it is.
  if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  else document.documentElement.requestFullscreen?.().catch(() => {});
}

function keepAwake() {
  const ask = () => navigator.wakeLock?.request("screen").catch(() => {});
  ask();
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && ask());
}

function hideBarWhenIdle() {
  let timer = 0;
  const stir = () => {
    document.body.classList.remove("idle");
    clearTimeout(timer);
    timer = setTimeout(() => document.body.classList.add("idle"), IDLE_MS);
  };
  for (const event of ["pointermove", "pointerdown", "keydown"]) document.addEventListener(event, stir);
  stir();
}

function startClock() {
  const tick = () => {
    $("clock").textContent = new Date().toLocaleTimeString("vi", { hour: "2-digit", minute: "2-digit" });
  };
  tick();
  setInterval(tick, 1000);
}

function join() {
  $("lobby").hidden = true;
  $("bar").hidden = false;
  follower.run();
  if (!document.fullscreenElement) fullScreen();
  keepAwake();
  hideBarWhenIdle();
}

function start() {
  nameHall(null);
  startClock();
  if (!("RTCPeerConnection" in window) || !("requestVideoFrameCallback" in HTMLVideoElement.prototype)) {
    $("join").disabled = true;
    return notify("unsupported");
  }
  if (!token) {
    $("join").disabled = true;
    return notify("refused");
  }
  follower = new Follower({ token, stage: new Stage($("room")), onChange: show });
  // What the page tells about itself, for tests and for a technician at the console. It holds no secret.
  window.diemcau = {
    get state() {
      return follower.state;
    },
    get relay() {
      return follower.active?.relay ?? "";
    },
    get standby() {
      return follower.standby?.relay ?? "";
    },
    get path() {
      return follower.path;
    },
    get quality() {
      return follower.quality;
    },
    get moves() {
      return structuredClone(follower.moves);
    },
    framesDecoded: () => follower.framesDecoded,
  };
  headcountDialog(token);
  doorDialog(token);
  precheckDialog(token);
  $("join").addEventListener("click", join, { once: true });
  $("full-screen").addEventListener("click", fullScreen);
  addEventListener("pagehide", () => follower.state !== "idle" && follower.stop());
  // A hall that was here before knows its name already; a new one learns it when it joins.
  call(token, "GET", "/api/v1/halls/assignment").then(nameHall, () => {});
  $("join").focus();
}

start();
