// Server-sent events over fetch: EventSource can send no Authorization header, and a token in a query ends in logs.

const MAX_EVENT_CHARS = 16 * 1024 * 1024; // a national snapshot stays below a tenth of it

/**
 * Reads one stream until it ends.
 *
 * onEvent(type, data) is called for each event; onOpen() once the server accepted; onBytes() whenever anything came,
 * a heartbeat too. Throws an Error with `status` when
 * it refused (0 without an answer); returns when the server closed the stream or `signal` was aborted.
 */
export async function readEvents(url, { token, signal, onEvent, onOpen = () => {}, onBytes = () => {} }) {
  let answer;
  try {
    answer = await fetch(url, {
      headers: { Authorization: `Bearer ${token}`, Accept: "text/event-stream" },
      cache: "no-store",
      signal,
    });
  } catch (error) {
    if (signal?.aborted) return;
    throw Object.assign(error, { status: 0 });
  }
  if (!answer.ok || !answer.body) throw Object.assign(new Error(answer.statusText), { status: answer.status });
  onOpen();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const parse = parser(onEvent);
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      onBytes();
      parse(value);
    }
  } catch (error) {
    if (signal?.aborted) return;
    throw Object.assign(error, { status: 0 });
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** A parser of text/event-stream: feed it text as it comes. Fields other than event and data are ignored. */
export function parser(onEvent) {
  let rest = "";
  let type = "message";
  let data = [];
  let size = 0;

  const line = (text) => {
    if (text === "") {
      if (data.length) onEvent(type, data.join("\n"));
      type = "message";
      data = [];
      size = 0;
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return; // a comment keeps the connection open
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "event") type = value;
    if (field === "data") {
      size += value.length;
      data.push(value);
    }
  };

  return (text) => {
    rest += text;
    // A lone CR at the very end may be the first half of CRLF: it waits for the next piece.
    const pieces = rest.split(/\r\n|\n|\r(?!$)/);
    rest = pieces.pop();
    pieces.forEach(line);
    if (rest.length + size > MAX_EVENT_CHARS) throw new Error("event too large");
  };
}
