"""What a relay process holds in memory for its subscribers: resident size without any, and with each number asked for.

Everything is real: WHEP over HTTP, DTLS, SRTP, a programme of 2 Mbit/s that goes to all. The receivers' media is
dropped by the system behind the relay's sends, so that the machine has time for the relay.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import aiohttp

from benchmarks.support.processes import machine, publishing, relay_under_test, usage
from relay.swarm.signalling import WhepSignalling
from relay.swarm.swarm import MAX_CONNECTIONS, Swarm, SwarmOptions

MAX_RECEIVERS = 2000
RAMP_PER_S = 50.0
SETTLE_S = 3.0
FIRST = 10  # receivers before the baseline: what is loaded at the first one is not theirs


async def measure(receivers: list[int], seed: int) -> dict[str, object]:
    """Add receivers up to each number in turn.

    Args:
        receivers: numbers, growing.
        seed: of the programme.
    """
    found = machine()
    rows: list[dict[str, object]] = []
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        relay = await stack.enter_async_context(relay_under_test(directory))
        idle_mib = usage(relay.pid).memory_mib
        await stack.enter_async_context(publishing(relay, seed=seed))
        client = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS))
        )
        swarms: list[Swarm] = []
        baseline_mib = 0.0
        for count in (FIRST, *receivers):
            joining = count - sum(swarm.connected for swarm in swarms)
            options = SwarmOptions(receivers=joining, ramp_per_s=RAMP_PER_S, drops_media=True)
            signalling = WhepSignalling(client, relay.whep, relay.play_token)
            swarm = await stack.enter_async_context(Swarm(signalling, options))
            swarms.append(swarm)
            await swarm.join()
            await swarm.hold(SETTLE_S)
            connected, memory_mib = sum(each.connected for each in swarms), usage(relay.pid).memory_mib
            baseline_mib = baseline_mib or memory_mib
            reasons = Counter[str]()
            for each in swarms:
                reasons.update(each.summary(relay.whep).reasons)
            row: dict[str, object] = {"receivers": count, "connected": connected, "relay_rss_mb": memory_mib}
            row["reasons"] = dict(reasons)
            if connected > FIRST:
                row["kb_per_receiver"] = round((memory_mib - baseline_mib) * 1024 / (connected - FIRST), 1)
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
        for swarm in swarms:
            await swarm.leave()
    return {
        "benchmark": "memory",
        "machine": found,
        "seed": seed,
        "relay_rss_mb_idle": idle_mib,
        "relay_rss_mb_baseline": baseline_mib,
        **rows[-1],
        "rows": rows,
    }


def main() -> None:
    """Run the benchmark; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--receivers", type=int, nargs="+", default=[250, 500, 1000])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    if not all(FIRST < count <= MAX_RECEIVERS for count in options.receivers):
        parser.error(f"more than {FIRST} and at most {MAX_RECEIVERS} receivers")
    figures = asyncio.run(measure(sorted(options.receivers), options.seed))
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
