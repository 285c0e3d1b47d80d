"""A storm of joins against a real relay process: handshakes per second, time to the first packet and keyframe.

Everything is real: WHEP over HTTP, ICE, DTLS, SRTP, a publisher that answers keyframe requests. The relay
and the swarm share this machine, so a handshake here costs both of its ends. A receiver that was there before notes,
by the system's clock, how late its media is during the storm and how long it waits for any.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import aiohttp

from benchmarks.support.percentiles import percentile_ms
from benchmarks.support.probe import Probe, probing
from benchmarks.support.processes import machine, publishing, relay_under_test, usage
from relay.swarm.signalling import WhepSignalling
from relay.swarm.swarm import MAX_CONNECTIONS, Swarm, SwarmOptions

MAX_JOINS = 1000
HOLD_S = 3.0
QUIET_S = 3.0  # before the storm, for comparison


async def measure(joins: int, ramp_per_s: float, seed: int) -> dict[str, object]:
    """Run one storm and return its figures.

    Args:
        joins: how many receivers.
        ramp_per_s: joins per second; 0 for all at once.
        seed: of the programme.
    """
    found = machine()
    with tempfile.TemporaryDirectory() as directory:
        async with relay_under_test(Path(directory)) as relay, publishing(relay, seed=seed) as source:
            connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS)
            options = SwarmOptions(receivers=joins, ramp_per_s=ramp_per_s)
            async with (
                aiohttp.ClientSession(connector=connector) as client,
                probing(WhepSignalling(client, relay.whep, relay.play_token)) as probe,
                Swarm(WhepSignalling(client, relay.whep, relay.play_token), options) as swarm,
            ):
                await asyncio.sleep(QUIET_S)
                media_before = _media(probe)
                probe.forget()
                before = usage(relay.pid)
                begin_s = time.monotonic()
                cpu_before_s = time.process_time()
                await swarm.join()
                after = usage(relay.pid)
                swarm_cpu_s = time.process_time() - cpu_before_s
                joined_s = time.monotonic() - begin_s
                media_during = _media(probe)
                await swarm.hold(HOLD_S)
                summary = swarm.summary(relay.whep)
                asked = [receiver.at.asked_s for receiver in swarm.receivers]
                connected = [at for receiver in swarm.receivers if (at := receiver.at.connected_s) is not None]
                await swarm.leave()
    took_s = max(connected) - min(asked) if connected else 0.0
    published_s = joined_s + QUIET_S + HOLD_S  # at least: the source began earlier and ends later
    return {
        "benchmark": "joins",
        "machine": found,
        "joins": joins,
        "ramp_per_s": ramp_per_s,
        "seed": seed,
        "connected": summary.connected,
        "failed": summary.failed,
        "reasons": summary.reasons,
        "handshakes_per_s": round(len(connected) / took_s, 1) if took_s else None,
        "all_connected_s": round(took_s, 3),
        "setup_ms": {
            step: {"p50": figures.p50, "p95": figures.p95, "max": figures.max}
            for step, figures in summary.setup_ms.items()
        },
        # What it cost until the last joiner had a keyframe, media to those who were there already included.
        "relay_cpu_ms_per_join": round((after.cpu_s - before.cpu_s) * 1000 / joins, 2),
        "swarm_cpu_ms_per_join": round(swarm_cpu_s * 1000 / joins, 2),
        "relay_memory_mib": after.memory_mib,
        "media_before": media_before,
        "media_during": media_during,
        "keyframe_requests_at_source": source["keyframe_requests"],
        "keyframe_requests_per_s": round(source["keyframe_requests"] / published_s, 2),
        "keyframes_sent": source["keyframes"],
        "loss": summary.loss,
    }


def _media(probe: Probe) -> dict[str, float | None]:
    """How late media was, from the source's sending, and the longest wait between two arrivals."""
    arrived = {stamp: at for arrivals in probe.arrivals_ns.values() for stamp, at in arrivals.items()}
    late = sorted(at - stamp for stamp, at in arrived.items())
    times = sorted(arrived.values())
    return {
        "late_ms_p50": percentile_ms(late, 0.5),
        "late_ms_p99": percentile_ms(late, 0.99),
        "late_ms_max": percentile_ms(late, 1.0),
        "gap_ms_max": percentile_ms(sorted(after - before for before, after in pairwise(times)), 1.0),
    }


def main() -> None:
    """Run the benchmark; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--joins", type=int, default=200)
    parser.add_argument("--ramp", type=float, default=0.0, help="joins per second; 0 for all at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    if not 1 <= options.joins <= MAX_JOINS:
        parser.error(f"--joins is 1 to {MAX_JOINS}")
    figures = asyncio.run(measure(options.joins, options.ramp, options.seed))
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
