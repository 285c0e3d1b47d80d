// One WHEP session: a receive-only RTCPeerConnection to one relay, with its state and its events.

import { jittered, sleep } from "./api.js";
import { readEvents } from "./sse.js";

const CONNECT_TIMEOUT_MS = 4000; // an answer of a relay that is alive takes milliseconds
const DIRECT_MS = 2500; // the way to a relay is found within some round trips, or UDP is taken to be blocked
const PATH_TICK_MS = 250;
const RESTART_EVERY_MS = 3000;
const MAX_RESTARTS = 5; // then the browser gives up soon, and so do we
const STATE_REL = "urn:diemcau:whep:ext:state";
const EVENTS_REL = "urn:ietf:params:whep:ext:core:server-sent-events";

/** `<a>; rel="x", <b>; rel="y"` (RFC 8288) as a map from relation to absolute URL. */
export function linksOf(header, base) {
  const links = new Map();
  for (const match of (header ?? "").matchAll(/<([^>]*)>\s*;[^,]*?rel="?([^";,]+)"?/g)) {
    links.set(match[2], new URL(match[1], base).href);
  }
  return links;
}

/**
 * Sets our offer. Where the browser lets us, it reports reference times (RFC 3611): a player that sends no media knows its
 * round trip by nothing else, and without it asks again for a lost packet after 100 ms only.
 */
async function describe(pc) {
  const offer = await pc.createOffer();
  const sdp = offer.sdp.replace(/a=rtcp-fb:(\d+) nack\r\n/g, "$&a=rtcp-fb:$1 rrtr\r\n");
  try {
    await pc.setLocalDescription({ type: "offer", sdp });
  } catch {
    await pc.setLocalDescription(offer);
  }
}

const sameOrigin = (url, base) => new URL(url).origin === new URL(base).origin;

/** The ICE credentials of a description or a fragment. */
function credentialsOf(sdp) {
  const value = (name) => sdp.match(new RegExp(`^a=${name}:([A-Za-z0-9+/]+)\\s*$`, "m"))?.[1];
  const [ufrag, pwd] = [value("ice-ufrag"), value("ice-pwd")];
  if (!ufrag || !pwd) throw Object.assign(new Error("no ICE credentials"), { status: 502 });
  return { ufrag, pwd };
}

/** A session that was opened at a relay. Create with `WhepSession.open`. */
export class WhepSession {
  /**
   * Opens a session; resolves when the relay accepted it. Throws an Error with `status` (0 without an answer).
   *
   * access: {relay_id, whep_url, token}; standby: send nothing until `setActive(true)`;
   * onEvent(session, type): "assignment" or "ended"; ice: {servers, needed}, TURN servers for a hall that reaches no
   * relay directly, and whether this one turned out to be such, which a session notes for those after it; `only`: try
   * no other way, to see whether the servers are of use.
   */
  static async open(access, { standby, onEvent, ice }) {
    const session = new WhepSession(access, onEvent, ice);
    try {
      await session.#negotiate(standby);
    } catch (error) {
      session.close();
      throw error;
    }
    session.#follow();
    session.#keepPath();
    return session;
  }

  constructor(access, onEvent, ice) {
    this.relay = access.relay_id;
    this.token = access.token;
    this.whepUrl = access.whep_url;
    this.stream = new MediaStream();
    this.closed = false;
    /** What was received until the last `measure()`. */
    this.received = { packets: 0, video: 0, audio: 0, lost: 0, frames: 0, jitterS: 0, roundTripS: 0, lastPacketAt: 0 };
    /** How media comes: "direct", "turn", or "" as long as it does not. */
    this.path = "";
    this.pc = new RTCPeerConnection({
      bundlePolicy: "max-bundle",
      iceServers: ice.needed ? ice.servers : [],
      iceTransportPolicy: ice.only ? "relay" : "all",
    });
    this.#onEvent = onEvent;
    this.#ice = ice;
  }

  #onEvent;
  #ice;
  #resource = "";
  #links = new Map();
  #stop = new AbortController();

  async #negotiate(standby) {
    this.pc.addTransceiver("video", { direction: "recvonly" });
    this.pc.addTransceiver("audio", { direction: "recvonly" });
    this.pc.ontrack = (event) => this.stream.addTrack(event.track);
    await describe(this.pc);
    const url = new URL(this.whepUrl, location.href);
    if (standby) url.searchParams.set("standby", "1");
    // The relay is ICE-lite and learns our address from our checks: the offer need not wait for candidates.
    const answer = await this.#fetch(url.href, {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: this.pc.localDescription.sdp,
      signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS),
    });
    if (answer.status !== 201) throw Object.assign(new Error(`WHEP ${answer.status}`), { status: answer.status });
    const sdp = await answer.text();
    this.#resource = new URL(answer.headers.get("Location") ?? "", url).href;
    this.#links = linksOf(answer.headers.get("Link"), url);
    // A relay cannot make this page send its token elsewhere.
    const ours = [STATE_REL, EVENTS_REL].map((rel) => this.#links.get(rel)).filter(Boolean);
    if (![this.#resource, ...ours].every((each) => sameOrigin(each, url))) {
      throw Object.assign(new Error("WHEP answer points to another origin"), { status: 502 });
    }
    if (this.closed) throw Object.assign(new Error("closed"), { status: 0 });
    await this.pc.setRemoteDescription({ type: "answer", sdp });
  }

  async #fetch(url, options = {}) {
    const headers = { ...options.headers, Authorization: `Bearer ${this.token}` };
    try {
      return await fetch(url, { cache: "no-store", ...options, headers });
    } catch (error) {
      throw Object.assign(new Error(error.message), { status: 0 });
    }
  }

  // The relay tells over its events that the assignment changed. A lost stream is opened again as long as we play.
  async #follow() {
    const url = this.#links.get(EVENTS_REL);
    for (let wait = 500; url && !this.closed; wait = Math.min(wait * 2, 8000)) {
      const { signal } = this.#stop;
      const opened = () => (wait = 500);
      try {
        await readEvents(url, {
          token: this.token,
          signal,
          onOpen: opened,
          onEvent: (type) => this.#onEvent(this, type),
        });
      } catch (error) {
        if (error.status === 404 || error.status === 410) return; // the session is gone; its silence will tell
      }
      await jittered(wait, signal);
    }
  }

  // A way that breaks (another network, a NAT that forgot us) is replaced by an ICE restart, and one that is not found
  // is looked for through TURN. The session, its keys and its pictures stay.
  async #keepPath() {
    const { signal } = this.#stop;
    let restarts = 0;
    let reached = false;
    let dueAt = performance.now() + DIRECT_MS;
    while (!signal.aborted) {
      await sleep(PATH_TICK_MS, signal);
      const now = performance.now();
      const state = this.pc.iceConnectionState;
      if (state === "connected" || state === "completed") {
        if (!reached && restarts > 0) this.#ice.needed = true;
        reached = true;
        restarts = 0;
        dueAt = 0;
      } else if (!signal.aborted && now >= dueAt) {
        const turn = this.#ice.servers.length > 0 && (!reached || restarts > 0);
        if (restarts >= (reached ? MAX_RESTARTS : Number(turn))) return;
        dueAt = now + RESTART_EVERY_MS;
        try {
          await this.#restart(turn);
          restarts += 1;
        } catch (error) {
          if (error.status >= 400 && error.status < 500) return; // the session is gone, or the relay knows no restarts
        }
      }
    }
  }

  // RFC 9725 section 4.3.3. Until the new way is validated media comes over the old one.
  async #restart(turn) {
    const { pc } = this;
    if (turn) pc.setConfiguration({ ...pc.getConfiguration(), iceServers: this.#ice.servers });
    pc.restartIce();
    await pc.setLocalDescription();
    try {
      const own = credentialsOf(pc.localDescription.sdp);
      const answer = await this.#fetch(this.#resource, {
        method: "PATCH",
        headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" },
        body: `a=ice-ufrag:${own.ufrag}\r\na=ice-pwd:${own.pwd}\r\n`,
        signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS),
      });
      if (answer.status !== 200) throw Object.assign(new Error(`ICE ${answer.status}`), { status: answer.status });
      const theirs = credentialsOf(await answer.text());
      const sdp = pc.remoteDescription.sdp
        .replace(/^a=ice-ufrag:.*$/gm, `a=ice-ufrag:${theirs.ufrag}`)
        .replace(/^a=ice-pwd:.*$/gm, `a=ice-pwd:${theirs.pwd}`);
      await pc.setRemoteDescription({ type: "answer", sdp });
    } catch (error) {
      if (pc.signalingState === "have-local-offer") await pc.setLocalDescription({ type: "rollback" });
      throw error;
    }
  }

  /** Asks the relay to send, or to stop sending. Throws an Error with `status`; 404 and 410: the session is gone. */
  async setActive(active) {
    const url = this.#links.get(STATE_REL) ?? `${this.#resource}/state`;
    const answer = await this.#fetch(url, {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ state: active ? "active" : "standby" }),
      signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS),
    });
    if (!answer.ok) throw Object.assign(new Error(`state ${answer.status}`), { status: answer.status });
  }

  /** True while media could arrive. */
  get connected() {
    return !this.closed && this.pc.connectionState === "connected";
  }

  /** True when the browser gave up on the other end. */
  get failed() {
    return this.closed || this.pc.connectionState === "failed" || this.pc.connectionState === "closed";
  }

  /** Reads the counters; `now` is performance.now(). Returns how many packets came since the last time. */
  async measure() {
    const before = this.received;
    const seen = { ...before, packets: 0, video: 0, audio: 0, lost: 0, frames: 0 };
    let newest = 0;
    const stats = await this.pc.getStats();
    const now = performance.now();
    stats.forEach((entry) => {
      if (entry.type === "inbound-rtp") {
        seen.packets += entry.packetsReceived ?? 0;
        seen.lost += entry.packetsLost ?? 0;
        newest = Math.max(newest, entry.lastPacketReceivedTimestamp ?? 0);
        if (entry.kind === "video") {
          seen.video = entry.packetsReceived ?? 0;
          seen.frames = entry.framesDecoded ?? 0;
          seen.jitterS = entry.jitter ?? 0;
        } else {
          seen.audio = entry.packetsReceived ?? 0;
        }
      } else if (entry.type === "candidate-pair" && entry.nominated && entry.currentRoundTripTime !== undefined) {
        seen.roundTripS = entry.currentRoundTripTime;
        if (entry.state === "succeeded") {
          this.path = stats.get(entry.localCandidateId)?.candidateType === "relay" ? "turn" : "direct";
        }
      }
    });
    const arrived = seen.packets - before.packets;
    if (arrived > 0) {
      // The wall clock says when within the last tick; it may be adjusted, so it is believed only for a second.
      const ago = newest ? Date.now() - newest : 0;
      seen.lastPacketAt = now - (ago > 0 && ago < 1000 ? ago : 0);
    }
    this.received = seen;
    return arrived;
  }

  /** Ends the session at both ends. */
  close() {
    if (this.closed) return;
    this.closed = true;
    this.#stop.abort();
    this.pc.close();
    if (this.#resource) this.#fetch(this.#resource, { method: "DELETE", keepalive: true }).catch(() => {});
  }
}
