// Sends what waits on this device to the coordinator, oldest first, whenever there is a line. An entry may be sent
// twice (the answer was lost): the coordinator knows it by its nonce and answers again.

import { call, jittered } from "./api.js";

const MOST = 500; // entries of one request: some 150 kB, and half of what the coordinator takes
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 15_000;

const PATHS = { checkin: "/api/v1/halls/checkins", mark: "/api/v1/halls/marks" };

// What the protocol takes of an entry. A code says whose it is; a number stands for itself only with its PIN.
const BODIES = {
  checkin: ({ code, number, pin, at_ms, nonce, method }) => ({
    ...(code ? { code } : { number, pin }),
    at_ms,
    nonce,
    method,
  }),
  mark: ({ number, mark, at_ms, nonce }) => ({ number, mark, at_ms, nonce }),
};

// Nothing to do about them: the delegate is counted, or was before, or the technician's own mark is taken.
const GOOD = new Set(["counted", "again", "recorded"]);

/** True when nobody has to look at a result. */
export const isGood = (result) => GOOD.has(result);

/**
 * Uploads the queue of one place. `line` is "unknown", "up", "down", "busy", "closed" (the
 * conference takes none now) or "refused" (this link is not valid any more).
 */
export class Uploader {
  #queue;
  #token;
  #place;
  #onSettled;
  #onLine;
  #wake = () => {};
  #work = 0; // counts calls of `hurry`, so that none between two looks is missed
  #backoffMs = BACKOFF_FIRST_MS;

  /** `onSettled(entry, answer)` is called for each entry that was answered for; `onLine(line)` when the line changes. */
  constructor({ queue, token, place, onSettled, onLine }) {
    this.#queue = queue;
    this.#token = token;
    this.#place = place;
    this.#onSettled = onSettled;
    this.#onLine = onLine;
    this.line = "unknown";
  }

  /** There is something new, or the line may be back. */
  hurry() {
    this.#work += 1;
    this.#wake();
  }

  /** Works until the link is refused. */
  async run() {
    addEventListener("online", () => this.#isBack());
    for (;;) {
      const work = this.#work;
      try {
        const entries = await this.#queue.waiting(this.#place, MOST);
        if (entries.length === 0) {
          if (work === this.#work) await new Promise((resolve) => (this.#wake = resolve));
          continue;
        }
        // One kind a request, in the order in which they were taken.
        const other = entries.findIndex((each) => each.kind !== entries[0].kind);
        await this.#send(other < 0 ? entries : entries.slice(0, other));
        this.#backoffMs = BACKOFF_FIRST_MS;
      } catch (error) {
        if (error.status === 401 || error.status === 403) return this.#setLine("refused");
        const closed = error.status === 409 || error.status === 404; // not open yet, or not registered any more
        // Without a status it is the device's own store that failed: what is on the disk stays there.
        this.#setLine(error.status === 0 ? "down" : closed ? "closed" : "busy");
        const waiting = new AbortController();
        // What is new is tried at once where there was no line; a server that asks for time is given it.
        this.#wake = error.status === 0 ? () => waiting.abort() : () => {};
        const wait = this.#backoffMs;
        this.#backoffMs = Math.min(wait * 2, BACKOFF_MAX_MS);
        await jittered(wait, waiting.signal, error.retryAfterMs);
      }
    }
  }

  /** Says whether the coordinator was reached, by whatever call. */
  heard(isUp) {
    if (this.line === "refused") return;
    this.#setLine(isUp ? "up" : "down");
    if (isUp) this.#isBack();
  }

  // What failed without a line says nothing of the line that there is now.
  #isBack() {
    this.#backoffMs = BACKOFF_FIRST_MS;
    this.hurry();
  }

  #setLine(line) {
    if (line === this.line) return;
    this.line = line;
    this.#onLine(line);
  }

  async #send(entries) {
    const { kind } = entries[0];
    const body = { schema: 1, [`${kind}s`]: entries.map(BODIES[kind]) };
    let answers;
    try {
      answers = (await call(this.#token, "POST", PATHS[kind], body)).results;
    } catch (error) {
      const isBody = error.status === 400 || error.status === 413 || error.status === 422;
      if (!isBody) throw error;
      // One entry that the coordinator cannot read must not hold up the others: the batch is halved until it is alone.
      if (entries.length > 1) {
        const half = entries.length >> 1;
        await this.#send(entries.slice(0, half));
        return this.#send(entries.slice(half));
      }
      answers = [{ result: "unreadable" }];
    }
    this.#setLine("up");
    const settled = entries.map((entry, at) => ({ ...entry, ...answers[at], number: entry.number }));
    await this.#queue.settle(
      entries.map((entry) => entry.id),
      settled.filter((entry) => !isGood(entry.result)).map(({ pin: _pin, code: _code, ...entry }) => entry),
    );
    settled.forEach((entry) => this.#onSettled(entry));
  }
}
