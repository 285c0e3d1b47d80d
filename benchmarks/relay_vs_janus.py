"""The whole relay process against Debian's Janus: processor time for each packet that reached a receiver.

Both send the same programme of constant rate to the same swarm, in turn for each number of receivers, each in a fresh
process. Counted is what the server process used (user and system, `/proc`) in a window in which nobody joins, over the
packets that the receivers got in it. Janus runs twice: as the package comes (a thread for each peer, and the cipher
that it prefers), and at its best (`event_loops = 2`, and AES-128-GCM as the relay chooses it). Trust rows without loss,
taken on a machine that was otherwise idle.

Of the SRTP profiles that a receiver offers, the server's order chooses the one: Janus as shipped takes AES-256-GCM from
a swarm and from Chromium alike, although Chromium names AES-CM with SHA-1 first. `--profile AES128_CM_SHA1_80` measures
every side with receivers that know nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from benchmarks.support.janus import JanusSignalling, janus_under_test
from benchmarks.support.processes import machine, publishing, relay_under_test, running, usage
from relay.core.srtp import SrtpProfile
from relay.swarm.signalling import Signalling, WhepSignalling
from relay.swarm.swarm import Swarm, SwarmOptions

SIDES = ("relay", "janus_best", "janus_default")
KEYFRAME_INTERVAL_S = 1.0  # a plain RTP source hears no requests, so both get a keyframe each second
SETTLE_S = 2.0
RAMP_PER_S = 50.0
MAX_RECEIVERS = 500


@contextlib.asynccontextmanager
async def _server(
    side: str, directory: Path, client: aiohttp.ClientSession, seed: int
) -> AsyncIterator[tuple[int, Signalling]]:
    """A server with its source: its process id, and how the swarm asks it."""
    if side == "relay":
        async with (
            relay_under_test(directory) as relay,
            publishing(relay, seed=seed, keyframe_interval_s=KEYFRAME_INTERVAL_S),
        ):
            yield relay.pid, WhepSignalling(client, relay.whep, relay.play_token)
        return
    async with janus_under_test(directory, event_loops=2 if side == "janus_best" else 0) as janus:
        source = (sys.executable, "-m", "benchmarks.support.source", "--seed", str(seed))
        ports = ("--rtp-audio", str(janus.audio_port), "--rtp-video", str(janus.video_port))
        async with running(*source, *ports, "--keyframe-interval", str(KEYFRAME_INTERVAL_S)):
            yield janus.pid, JanusSignalling(client, janus.url)


async def measure_one(
    side: str, receivers: int, window_s: float, seed: int, offer: tuple[SrtpProfile, ...]
) -> dict[str, object]:
    """Measure one side with one number of receivers, which offer these SRTP profiles; empty for what each does best."""
    best = (SrtpProfile.AEAD_AES_128_GCM,) if side == "janus_best" else tuple(SrtpProfile)
    profiles = offer or best
    options = SwarmOptions(receivers=receivers, ramp_per_s=RAMP_PER_S, srtp_profiles=profiles)
    connector = aiohttp.TCPConnector(limit=0)
    with tempfile.TemporaryDirectory() as directory:
        async with (
            aiohttp.ClientSession(connector=connector) as client,
            _server(side, Path(directory), client, seed) as (pid, signalling),
            Swarm(signalling, options) as swarm,
        ):
            await swarm.join()
            await swarm.hold(SETTLE_S)
            before, packets_before = usage(pid), swarm.totals()
            begin_s = asyncio.get_running_loop().time()
            await swarm.hold(window_s)
            after, window = usage(pid), swarm.totals().since(packets_before)
            took_s = asyncio.get_running_loop().time() - begin_s
            summary = swarm.summary(side)
            await swarm.leave()
    cpu_s = after.cpu_s - before.cpu_s
    return {
        "side": side,
        "receivers": receivers,
        "connected": summary.connected,
        "silent": summary.silent,
        "reasons": summary.reasons,
        "srtp_profiles": summary.srtp_profiles,
        "packets": window.packets,
        "packets_per_s": round(window.packets / took_s, 1),
        "us_per_packet": round(cpu_s * 1e6 / window.packets, 2) if window.packets else None,
        "loss": round(window.loss, 6),
        "dropped_by_the_swarm": window.dropped_here,
        "core_share": round(cpu_s / took_s, 3),
        "memory_mib": after.memory_mib,
        "swarm_us_per_packet": summary.us_per_packet,
    }


async def measure(
    receivers: list[int], window_s: float, seed: int, sides: list[str], offer: tuple[SrtpProfile, ...] = ()
) -> dict[str, object]:
    """Measure all sides in turn for each number of receivers."""
    found = machine()
    rows = []
    for count in receivers:
        for side in sides:
            row = await measure_one(side, count, window_s, seed, offer)
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    figures: dict[str, object] = {
        "benchmark": "relay_vs_janus",
        "machine": found,
        "window_s": window_s,
        "seed": seed,
        "offer": [profile.value for profile in offer],
        "rows": rows,
    }
    # The figures of the largest number of receivers, where what a server costs by itself weighs least.
    for row in rows:
        if row["receivers"] == max(receivers):
            figures[f"{row['side']}_us_per_packet"] = row["us_per_packet"]
            figures[f"{row['side']}_loss"] = row["loss"]
    return figures


def main() -> None:
    """Run the benchmark; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--receivers", default="50,100,200", help="numbers of receivers, with commas")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measured window")
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument(
        "--profile",
        choices=[profile.name for profile in SrtpProfile],
        help="the only SRTP profile that receivers offer, to every side alike; by default each side does its best",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    receivers = [int(count) for count in options.receivers.split(",")]
    sides = options.sides.split(",")
    if not all(1 <= count <= MAX_RECEIVERS for count in receivers) or not 1 <= options.seconds <= 60:
        parser.error(f"1 to {MAX_RECEIVERS} receivers and 1 to 60 seconds")
    if not set(sides) <= set(SIDES):
        parser.error(f"sides are {', '.join(SIDES)}")
    offer = (SrtpProfile[options.profile],) if options.profile else ()
    figures = asyncio.run(measure(receivers, options.seconds, options.seed, sides, offer))
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
