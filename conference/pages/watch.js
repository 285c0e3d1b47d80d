// Decides when a hall leaves its relay. Pure: it is told what arrived and when, and says what to do.
//
// A silent relay and a silent source look the same from a hall. So the standby is asked: if it delivers, the relay was
// at fault and the hall moves; if it is silent as well, the source is, and nobody moves.

export const SILENCE_MS = 300; // audio alone sends 50 packets a second: 15 of them are missing by then
export const FIRST_PACKET_MS = 2000; // a session that has never delivered may be waiting for its first keyframe
// A relay answers an activation with its cached pictures even when its source is silent: those come within some 200 ms
// and stop. Only a standby that goes on delivering has a living source; sound, which is never cached, tells it sooner.
export const CONFIRM_MS = 100;
export const CONFIRM_WITHOUT_SOUND_MS = 400;

export class Watch {
  /** Starts to watch a session at `now` (milliseconds of one monotonic clock, as everywhere here). */
  constructor(now) {
    this.lastAt = now;
    this.delivered = false;
    this.trying = false;
    this.#confirm = null;
  }

  #confirm;

  /** How long nothing arrived. */
  quietMs(now) {
    return now - this.lastAt;
  }

  /**
   * One tick. `active` is {arrived, failed}; `standby` null, or {arrived, sound, heard, connected}: `sound` where the
   * active session used to bring sound, `heard` once the standby brought some.
   *
   * Returns "try" (activate the standby), "give_back" (the active one delivers again: back to standby), "move", or "".
   */
  tick(now, active, standby) {
    if (active.arrived > 0) {
      this.lastAt = now;
      this.delivered = true;
    }
    if (this.trying && !standby) this.trying = false; // it went away while it was tried
    if (this.trying) return this.#judge(now, active, standby);
    const patience = this.delivered ? SILENCE_MS : FIRST_PACKET_MS;
    if (standby?.connected && (active.failed || this.quietMs(now) >= patience)) {
      this.trying = true;
      this.#confirm = null;
      return "try";
    }
    return "";
  }

  #judge(now, active, standby) {
    if (active.arrived > 0) {
      this.trying = false;
      return "give_back";
    }
    if (standby.arrived > 0) this.#confirm ??= now;
    const patience = standby.sound ? CONFIRM_MS : CONFIRM_WITHOUT_SOUND_MS;
    const lives = standby.heard || !standby.sound;
    const goesOn = standby.arrived > 0 && lives && now - this.#confirm >= patience;
    if (goesOn || active.failed) {
      this.trying = false;
      return "move";
    }
    return "";
  }
}
