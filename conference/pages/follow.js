// Follows a hall's feed: joins, plays from the primary relay, keeps a warm standby on the backup, and moves by itself.
//
// No coordinator is on the path of a failover. What is shown where is the stage's business (stage.js); when to move is
// decided in watch.js.

import { call, jittered, sleep } from "./api.js";
import { grade, LineMeter } from "./quality.js";
import { Watch } from "./watch.js";
import { WhepSession } from "./whep.js";

const TICK_MS = 100;
const TRYING_TICK_MS = 40; // while the standby is asked, each tick is a part of the interruption
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 8000;
const TURN_CODES = ["admission", "joins_paused"]; // the coordinator is well and says when it is this hall's turn
const TOLD = ["lost", "ended", "waiting", "queued"]; // stands on the screen until the hall plays
const PROBE_EVERY_MS = 2000;
const RENEW_EVERY_MS = 4 * 60_000; // relay tokens live ten minutes; by interval, because this clock may be wrong
const MISSING_MS = 2000; // picture or sound gone for so long is said on the screen
const SHOW_WITHIN_MS = 5000; // a relay begins with its cached pictures; a next keyframe is due by then

/**
 * States: joining, connecting, playing, silent (linked, nothing comes), lost, waiting (conference not open), ended,
 * refused (the link is not valid any more).
 */
export class Follower {
  state = "idle";
  detail = "";
  assignment = null;
  active = null;
  standby = null;
  moves = [];
  picture = false;
  sound = false;
  quality = "";
  path = ""; // how media comes, see WhepSession

  #token;
  #stage;
  #onChange;
  #stop = new AbortController();
  #watch = new Watch(0);
  #meter = new LineMeter();
  #outcome = "";
  #standbyAttempt = 0;
  #standbyBusy = false;
  #standbyAt = 0;
  #standbyWait = BACKOFF_FIRST_MS;
  #planned = false;
  #probedAt = 0;
  #activeGone = false;
  #renewAt = 0;
  #seen = { video: 0, audio: 0, videoAt: -Infinity, audioAt: -Infinity };
  #framesBefore = 0;
  #played = false;
  #ice = { servers: [], needed: false };

  constructor({ token, stage, onChange }) {
    this.#token = token;
    this.#stage = stage;
    this.#onChange = onChange;
  }

  /** Frames decoded since the page was opened, over all sessions. */
  get framesDecoded() {
    return this.#framesBefore + (this.active?.received.frames ?? 0) + (this.standby?.received.frames ?? 0);
  }

  /** Joins and follows until `stop()`. */
  async run() {
    const { signal } = this.#stop;
    let wait = BACKOFF_FIRST_MS;
    while (!signal.aborted) {
      if (!TOLD.includes(this.state)) this.#become("joining");
      const assignment = await this.#join();
      if (this.state === "refused") return;
      if (assignment) {
        const delivered = await this.#play(assignment);
        if (delivered) wait = BACKOFF_FIRST_MS;
        if (signal.aborted) return;
        if (this.#outcome === "lost") this.#become("lost");
      }
      await jittered(wait, signal, this.#retryAfterMs);
      wait = Math.min(wait * 2, BACKOFF_MAX_MS);
    }
  }

  /** Leaves in order; may be called while the page goes away. */
  stop() {
    this.#stop.abort();
    this.#closeAll();
    fetch("/api/v1/halls/leave", {
      method: "POST",
      headers: { Authorization: `Bearer ${this.#token}` },
      keepalive: true,
    }).catch(() => {});
  }

  #retryAfterMs = 0;

  #become(state, detail = "") {
    if (state === this.state && detail === this.detail) return;
    this.state = state;
    this.detail = detail;
    this.#onChange();
  }

  async #join() {
    this.#retryAfterMs = 0;
    try {
      return await call(this.#token, "POST", "/api/v1/halls/join", { agent: "page", virtual: false });
    } catch (error) {
      this.#retryAfterMs = Math.min(error.retryAfterMs, 60_000);
      if (error.status === 401 || error.status === 403) this.#become("refused", error.detail);
      else if (error.status === 409) this.#become(this.#played ? "ended" : "waiting", error.detail);
      else if (TURN_CODES.includes(error.code)) this.#become("queued");
      else {
        this.#become("lost", error.detail);
        // The coordinator is away; the relays of before may well be there.
        if (error.status === 0 && this.assignment) return this.assignment;
      }
      return null;
    }
  }

  /** Plays until both relays are lost or the conference ended. Returns whether anything was delivered. */
  async #play(assignment) {
    this.assignment = assignment;
    this.#ice.servers = assignment.ice_servers ?? [];
    this.#outcome = "";
    this.#standbyAt = 0;
    this.#standbyWait = BACKOFF_FIRST_MS;
    this.#renewAt = performance.now() + RENEW_EVERY_MS;
    if (!TOLD.includes(this.state)) this.#become("connecting");
    const first = await this.#openFirst(assignment);
    if (!first) {
      this.#outcome = "lost";
      return false;
    }
    this.#take(first);
    this.#stage.present(first);
    if (first.relay !== assignment.primary.relay_id) {
      this.#report(assignment.primary.relay_id, first.relay, "refused", 0);
    }
    while (!this.#outcome && !this.#stop.signal.aborted) {
      await this.#tick();
      await sleep(this.#watch.trying ? TRYING_TICK_MS : TICK_MS, this.#stop.signal);
    }
    const { delivered } = this.#watch;
    this.#closeAll();
    return delivered;
  }

  async #openFirst(assignment) {
    for (const access of [assignment.primary, assignment.backup]) {
      const session = access && (await this.#open(access, false));
      if (session) return session;
    }
    return null;
  }

  async #open(access, standby) {
    try {
      const session = await WhepSession.open(access, {
        standby,
        onEvent: (from, type) => this.#handleEvent(from, type),
        ice: this.#ice,
      });
      if (this.#stop.signal.aborted) {
        session.close();
        return null;
      }
      this.#stage.attach(session);
      return session;
    } catch {
      return null;
    }
  }

  #take(session) {
    this.active = session;
    this.#watch = new Watch(performance.now());
    this.#meter.reset();
    this.#activeGone = false;
    this.#probedAt = 0;
    this.#seen = { video: session.received.video, audio: session.received.audio, videoAt: -Infinity, audioAt: -Infinity };
    this.#onChange();
  }

  #drop(session) {
    if (!session || session.closed) return;
    this.#framesBefore += session.received.frames;
    session.close();
    this.#stage.detach(session);
  }

  #closeAll() {
    this.#standbyAttempt += 1; // an attempt that is under way is not taken any more
    const { active, standby } = this;
    this.active = this.standby = null;
    this.#drop(active);
    this.#drop(standby);
  }

  async #tick() {
    const { active } = this;
    const trying = this.#watch.trying;
    let arrived = 0;
    let standbyArrived = 0;
    try {
      arrived = await active.measure();
      if (trying && this.standby) standbyArrived = await this.standby.measure();
    } catch {
      // A connection that was closed meanwhile has no counters; nothing arrived.
    }
    if (active !== this.active) return;
    const now = performance.now();
    if (this.standby?.failed) this.#loseStandby();
    const usable = this.#planned ? null : this.standby; // while a planned move is under way it decides
    const decision = this.#watch.tick(
      now,
      { arrived, failed: active.failed || this.#activeGone },
      usable && {
        arrived: standbyArrived,
        sound: active.received.audio > 0,
        heard: usable.received.audio > (usable.heardBefore ?? 0),
        connected: usable.connected,
      },
    );
    if (decision === "try") await this.#tryStandby();
    else if (decision === "give_back") this.#order(this.standby, false);
    else if (decision === "move") this.#move(this.standby, "silence");
    if (arrived > 0) {
      this.#played = true;
      this.#activeGone = false;
    }
    this.#judge(now);
    this.#keep(now);
  }

  // --- what the screen is told

  #judge(now) {
    const { active } = this;
    const { received } = active;
    if (received.video > this.#seen.video) this.#seen.videoAt = now;
    if (received.audio > this.#seen.audio) this.#seen.audioAt = now;
    this.#seen.video = received.video;
    this.#seen.audio = received.audio;
    const picture = now - this.#seen.videoAt < MISSING_MS;
    const sound = now - this.#seen.audioAt < MISSING_MS;
    const quality = this.#watch.quietMs(now) < MISSING_MS ? grade(this.#meter.add(now, received)) : "";
    const told = { picture, sound, quality, path: active.path };
    const changed = Object.entries(told).some(([name, value]) => this[name] !== value);
    Object.assign(this, told);
    const quiet = this.#watch.quietMs(now);
    if (this.#watch.delivered && quiet < 1000) this.#become("playing");
    else if (active.connected && quiet >= 1000) this.#become("silent");
    if (changed) this.#onChange();
  }

  // --- the standby

  async #tryStandby() {
    const { standby } = this;
    // What it brought at an earlier trial is counted now, or it would be taken for what it brings at this one.
    await standby.measure().catch(() => {});
    if (standby !== this.standby) {
      this.#watch.trying = false; // another one will be tried
      return;
    }
    standby.heardBefore = standby.received.audio;
    standby.firstFrame = this.#stage.firstFrame(standby);
    this.#order(standby, true);
    this.#probe(performance.now());
  }

  // Orders to one relay keep their sequence, however slowly it answers.
  #order(session, active) {
    session.orders = (session.orders ?? Promise.resolve())
      .then(() => session.closed || session.setActive(active))
      .catch(() => {
        if (session === this.standby) this.#loseStandby();
      });
    return session.orders;
  }

  #loseStandby() {
    const { standby } = this;
    this.standby = null;
    this.#drop(standby);
    this.#standbyLater();
  }

  #standbyLater() {
    this.#standbyAt = performance.now() + this.#standbyWait * (0.5 + Math.random() / 2);
    this.#standbyWait = Math.min(this.#standbyWait * 2, BACKOFF_MAX_MS);
  }

  #standbyAccess() {
    const { primary, backup } = this.assignment;
    return [backup, primary].find((access) => access && access.relay_id !== this.active.relay);
  }

  async #openStandby() {
    const access = this.#standbyAccess();
    if (!access) return;
    const attempt = ++this.#standbyAttempt;
    this.#standbyBusy = true;
    const session = await this.#open(access, true);
    if (attempt !== this.#standbyAttempt) {
      if (session) this.#drop(session);
      return;
    }
    this.#standbyBusy = false;
    if (session) {
      this.standby = session;
      this.#standbyWait = BACKOFF_FIRST_MS;
      this.#onChange();
    } else {
      this.#standbyLater();
    }
  }

  // A standby on another relay than wanted is replaced; an attempt under way is forgotten.
  #renewStandby() {
    const wanted = this.#standbyAccess();
    if (this.standby && this.standby.relay !== wanted?.relay_id) {
      const { standby } = this;
      this.standby = null;
      this.#drop(standby);
    }
    this.#standbyAttempt += 1;
    this.#standbyBusy = false;
    this.#standbyAt = 0;
    this.#standbyWait = BACKOFF_FIRST_MS;
  }

  #keep(now) {
    if (!this.standby && !this.#standbyBusy && !this.#planned && now >= this.#standbyAt) this.#openStandby();
    if (now >= this.#renewAt) {
      this.#renewAt = now + RENEW_EVERY_MS * (0.9 + Math.random() / 5);
      this.#fetchAssignment();
    }
    const gone = this.active.failed || this.#activeGone;
    if (gone && !this.standby?.connected && !this.#planned) this.#outcome = "lost";
    else if (this.#watch.quietMs(now) >= PROBE_EVERY_MS && now - this.#probedAt >= PROBE_EVERY_MS) this.#probe(now);
  }

  // Asks the silent relay whether it still knows us: a relay that is gone cannot become loud again.
  async #probe(now) {
    const { active } = this;
    this.#probedAt = now;
    if ((await this.#isGone(active)) && active === this.active) this.#activeGone = true;
  }

  // A relay that does not answer while the coordinator does is gone. When neither does it is our own line, and over
  // another one the session may go on (whep.js).
  async #isGone(session) {
    for (let last = false; ; last = true) {
      try {
        await session.setActive(true);
        return false;
      } catch (error) {
        if ([404, 410].includes(error.status) || last) return true;
        if (error.status !== 0) return false;
      }
      if (!(await this.#coordinatorAnswers())) return false;
    }
  }

  async #coordinatorAnswers() {
    try {
      await call(this.#token, "GET", "/api/v1/halls/assignment");
    } catch (error) {
      return error.status !== 0;
    }
    return true;
  }

  // --- moving

  #move(session, reason) {
    const from = this.active;
    const lastPacketAt = from.received.lastPacketAt || performance.now();
    if (session === this.standby) this.standby = null;
    this.#take(session);
    this.#standbyAt = performance.now() + 1000; // the coordinator names a new backup meanwhile
    this.#framesBefore += from.received.frames;
    from.close();
    this.#finish(from, session, reason, lastPacketAt);
  }

  // The last picture of the old relay stays until the new one has its first.
  async #finish(from, session, reason, lastPacketAt) {
    const shown = session.firstFrame ?? this.#stage.firstFrame(session);
    const frameAt = await Promise.race([shown, sleep(SHOW_WITHIN_MS)]);
    this.#stage.present(session);
    this.#stage.detach(from);
    const interruptionMs = Math.max(0, (frameAt ?? performance.now()) - lastPacketAt);
    // The attribute of a picture that never stopped: made before broken.
    this.#report(from.relay, session.relay, reason, reason === "assignment" ? 0 : interruptionMs);
  }

  async #report(from, to, reason, interruptionMs) {
    const report = {
      epoch: this.assignment.epoch,
      from_relay: from,
      to_relay: to,
      reason,
      interruption_ms: Math.round(interruptionMs * 10) / 10,
    };
    this.moves.push(report);
    this.#onChange();
    for (let wait = BACKOFF_FIRST_MS; this.active?.relay === to; wait = Math.min(wait * 2, BACKOFF_MAX_MS)) {
      try {
        this.#adopt(await call(this.#token, "POST", "/api/v1/halls/moved", report));
        return;
      } catch (error) {
        if (error.status >= 400 && error.status < 500 && error.status !== 429) {
          this.#fetchAssignment(); // it was refused, for example as overtaken: the coordinator knows better
          return;
        }
      }
      await jittered(wait, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
    }
  }

  #handleEvent(session, type) {
    if (session !== this.active && session !== this.standby) return;
    if (type === "assignment") this.#fetchAssignment();
    else if (type === "ended" && session === this.active) this.#outcome = "ended";
  }

  async #fetchAssignment() {
    try {
      this.#adopt(await call(this.#token, "GET", "/api/v1/halls/assignment"));
    } catch (error) {
      if (error.status === 409) this.#outcome = "ended"; // the join that follows tells which it is
    }
  }

  #adopt(assignment) {
    if (!this.active || this.#outcome || assignment.epoch < this.assignment.epoch) return;
    const renewed = assignment.epoch === this.assignment.epoch;
    this.assignment = assignment;
    this.#ice.servers = assignment.ice_servers ?? [];
    for (const access of [assignment.primary, assignment.backup]) {
      for (const session of [this.active, this.standby]) {
        if (access && session?.relay === access.relay_id) session.token = access.token;
      }
    }
    this.#onChange();
    if (renewed) return;
    if (assignment.primary.relay_id === this.active.relay) this.#renewStandby();
    else this.#moveAsPlanned(assignment);
  }

  // Make before break: the old relay is left after the first picture of the new one.
  async #moveAsPlanned(assignment) {
    if (this.#planned) return;
    this.#planned = true;
    try {
      let next = this.standby;
      if (next?.relay === assignment.primary.relay_id) {
        next.firstFrame = this.#stage.firstFrame(next);
        await this.#order(next, true);
      } else {
        next = await this.#open(assignment.primary, false);
        if (next) next.firstFrame = this.#stage.firstFrame(next);
      }
      const frameAt = next && (await Promise.race([next.firstFrame, sleep(SHOW_WITHIN_MS, this.#stop.signal)]));
      const wanted = this.active && !this.#outcome && next && !next.closed;
      if (wanted && frameAt) this.#move(next, "assignment");
      else if (next && next === this.standby) this.#order(next, false);
      else if (next) this.#drop(next);
    } finally {
      this.#planned = false;
    }
    if (!this.active) return;
    this.#renewStandby();
    if (this.assignment.epoch > assignment.epoch && this.assignment.primary.relay_id !== this.active.relay) {
      this.#moveAsPlanned(this.assignment);
    }
  }
}
