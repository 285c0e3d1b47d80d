// Measures a hall's line before the day: the way to a relay, and what the line carries. Nothing is shown here.

import { sleep } from "./api.js";
import { WhepSession } from "./whep.js";

const CONNECT_MS = 6000; // ICE on a bad line; TURN over TLS needs some round trips more
const SETTLE_MS = 1000; // a relay greets with its cached group of pictures, which would count as throughput
const LISTEN_MS = 5000; // long enough for a loss of one in a hundred to show among some 1,500 packets
const TICK_MS = 50;
const DOWNLOAD_MS = 6000; // then what came by then tells the rate

/** Opens a session and waits until media could flow: {session, connectMs}, or null. */
async function connect(access, ice) {
  const started = performance.now();
  let session;
  try {
    session = await WhepSession.open(access, { standby: false, onEvent() {}, ice });
  } catch {
    return null;
  }
  while (!session.connected) {
    if (session.failed || performance.now() - started > CONNECT_MS) {
      session.close();
      return null;
    }
    await sleep(TICK_MS);
  }
  return { session, connectMs: performance.now() - started };
}

/** What the browser counted so far. */
async function counted(session) {
  const stats = await session.pc.getStats();
  const seen = { at: performance.now(), packets: 0, lost: 0, bytes: 0, jitterS: 0, roundTripS: null, transport: "none" };
  stats.forEach((entry) => {
    if (entry.type === "inbound-rtp") {
      seen.packets += entry.packetsReceived ?? 0;
      seen.lost += entry.packetsLost ?? 0;
      seen.bytes += (entry.bytesReceived ?? 0) + (entry.headerBytesReceived ?? 0);
      seen.jitterS = Math.max(seen.jitterS, entry.jitter ?? 0);
    } else if (entry.type === "candidate-pair" && entry.nominated && entry.state === "succeeded") {
      seen.roundTripS = entry.currentRoundTripTime ?? seen.roundTripS;
      const local = stats.get(entry.localCandidateId);
      seen.transport = local?.candidateType === "relay" ? `turn_${local.relayProtocol ?? "udp"}` : "udp";
    }
  });
  return seen;
}

/** Listens for some seconds: what a relay's line is like; a measure that needs media is left out where none came. */
async function listen(session) {
  await sleep(SETTLE_MS);
  const before = await counted(session);
  await sleep(LISTEN_MS);
  const after = await counted(session);
  const packets = after.packets - before.packets;
  const lost = Math.max(0, after.lost - before.lost);
  const line = { transport: after.transport };
  if (after.roundTripS !== null) line.rtt_ms = after.roundTripS * 1000;
  if (packets <= 0) return { line, bps: null };
  line.loss = lost / (lost + packets);
  line.jitter_ms = after.jitterS * 1000;
  return { line, bps: ((after.bytes - before.bytes) * 8000) / (after.at - before.at) };
}

/**
 * Tries one relay: directly by UDP, and through TURN where there are servers.
 *
 * Returns {relay, bps}: `relay` as in `bridges.prechecks.RelayReach`, `bps` what came of media or null.
 */
export async function tryRelay(access, place, servers) {
  const relay = { relay_id: access.relay_id, place, transport: "none" };
  let bps = null;
  const listened = async (way) => {
    const found = await listen(way.session);
    Object.assign(relay, found.line, { connect_ms: way.connectMs });
    bps = found.bps;
  };
  const direct = await connect(access, { servers: [], needed: false });
  if (direct) {
    await listened(direct);
    direct.session.close();
  }
  if (servers.length > 0) {
    const through = await connect(access, { servers, needed: true, only: true });
    if (through && !direct) await listened(through);
    else if (through) await sleep(SETTLE_MS); // the browser names the pair a moment later
    relay.turn = through ? (await counted(through.session)).transport : "none";
    through?.session.close();
  }
  return { relay, bps };
}

/** Downloads for some seconds; bit/s, or null where the coordinator did not give it. */
export async function tryDownload(token, path) {
  const stop = AbortSignal.timeout(DOWNLOAD_MS);
  let started = 0;
  let bytes = 0;
  try {
    const answer = await fetch(path, { headers: { Authorization: `Bearer ${token}` }, cache: "no-store", signal: stop });
    if (!answer.ok) return null;
    started = performance.now();
    const reader = answer.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      bytes += value.length;
    }
  } catch {
    if (bytes === 0) return null;
  }
  return (bytes * 8000) / Math.max(1, performance.now() - started);
}
