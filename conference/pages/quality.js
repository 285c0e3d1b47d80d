// Grades a hall's line as good, fair or bad. Pure.

// Thresholds of the field: good when all are met, bad when one of the others is passed, fair between them.
export const GOOD = { loss: 0.01, roundTripMs: 50, jitterMs: 30 };
export const BAD = { loss: 0.025, roundTripMs: 150, jitterMs: 80 };
const WINDOW_MS = 5000; // shorter and a single lost burst paints a good line red

/** "good", "fair" or "bad" for {loss (0..1), roundTripMs, jitterMs}. */
export function grade(line) {
  const measures = Object.keys(GOOD);
  if (measures.some((name) => line[name] > BAD[name])) return "bad";
  return measures.every((name) => line[name] < GOOD[name]) ? "good" : "fair";
}

/** Keeps the last seconds of one session's counters and tells the loss within them. */
export class LineMeter {
  #samples = [];

  /** `received` as in WhepSession. Returns {loss, roundTripMs, jitterMs}. */
  add(now, received) {
    this.#samples.push({ now, packets: received.packets, lost: received.lost });
    while (this.#samples.length > 2 && this.#samples[0].now < now - WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0];
    const lost = Math.max(0, received.lost - first.lost); // a late packet takes its loss back
    const packets = received.packets - first.packets;
    return {
      loss: lost + packets > 0 ? lost / (lost + packets) : 0,
      roundTripMs: received.roundTripS * 1000,
      jitterMs: received.jitterS * 1000,
    };
  }

  /** Another session is measured from now. */
  reset() {
    this.#samples = [];
  }
}
