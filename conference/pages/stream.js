// Follows the live stream for as long as the page is open, and says how the line is.

import { jittered } from "./api.js";
import { $, time } from "./dom.js";
import { readEvents } from "./sse.js";

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 8000;
const STALE_MS = 30_000; // the stream sends a heartbeat more often; without one it is opened again

const LINK = {
  connecting: "Đang nối… / Connecting…",
  live: "Trực tiếp / Live",
  lost: "Mất kết nối, đang nối lại… / Link lost, reconnecting…",
  refused: "Đường dẫn không còn hiệu lực / This link is not valid any more",
  forbidden: "Đường dẫn này chỉ xem được đơn vị của mình / This link reaches its own unit only",
};

/** Shows the line's state in the page's header, and of what moment the figures are. */
export function showLink(state, at) {
  const link = $("link");
  link.dataset.state = state;
  link.querySelector("span").textContent = at ? `${LINK[state]} · ${time(at)}` : LINK[state];
}

/**
 * Calls `onSnapshot(snapshot)` for each, and `onLink(state)` when the line changes. Ends when the link is refused, or
 * forbidden: the stream is about the whole country, which not everybody reaches.
 */
export async function follow({ token, onSnapshot, onLink }) {
  for (let wait = BACKOFF_FIRST_MS; ; wait = Math.min(wait * 2, BACKOFF_MAX_MS)) {
    const attempt = new AbortController();
    let opened = false;
    try {
      await readEvents("/api/v1/live", {
        token,
        signal: attempt.signal,
        onOpen: () => {
          opened = true;
          onLink("live");
        },
        onEvent: (type, data) => type === "snapshot" && onSnapshot(JSON.parse(data)),
        onBytes: watchdog(attempt),
      });
    } catch (error) {
      if (error.status === 401) return onLink("refused");
      if (error.status === 403) return onLink("forbidden");
    }
    attempt.abort();
    if (opened) wait = BACKOFF_FIRST_MS;
    onLink("lost");
    await jittered(wait);
  }
}

// A line that broke without a word leaves a stream that never ends.
function watchdog(attempt) {
  let timer = 0;
  const stir = () => {
    clearTimeout(timer);
    if (!attempt.signal.aborted) timer = setTimeout(() => attempt.abort(), STALE_MS);
  };
  attempt.signal.addEventListener("abort", () => clearTimeout(timer));
  stir();
  return stir;
}
