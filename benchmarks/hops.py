"""What each relay on the way adds: latency per hop, for audio and video, by load and by depth of the tree.

Relay processes stand in a chain, an origin and each other below the one before, with a source of constant rate at the
origin. Receivers that note the system's time of arrival listen to the last relay and to the one above it, both in the
same window; the same packet is found at both by the time of sending that it carries. A hop is the difference of the two
arrivals; of the origin, the difference to the time of sending.

The last relay is loaded by subscribers until its process takes 10, 50 or 80 % of ONE core (user and system time); the
relays above it carry nothing else. At the last relay two receivers listen, one that joined before the load and one that
joined after it, because a fan-out serves them first and last; their packets count together.

Subscribers are real sessions whose media the system drops behind the relay's sends. Trust a row whose `trusted` is
true: the load was reached, every subscriber was there, nothing was lost, and the machine had a fifth of its time left.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import aiohttp
import msgspec

from benchmarks.support.added_load import AddedLoad, Busy, Watch
from benchmarks.support.chain import relay_chain
from benchmarks.support.percentiles import percentile_ms
from benchmarks.support.probe import Probe, probing
from benchmarks.support.processes import machine, publishing
from relay.swarm.signalling import WhepSignalling
from relay.swarm.swarm import MAX_CONNECTIONS

KINDS = ("audio", "video")
MAX_DEPTH = 4
SETTLE_S = 1.0
TARGET_LOAD = 50
TRUSTED_IDLE_PERCENT = 20.0
TRUSTED_LOAD_SHARE = 0.2  # as far from the load asked for as this share of it


class Row(msgspec.Struct, kw_only=True):
    """One window.

    Attributes:
        depth: relays in the chain; the hop is the last one's.
        load_percent: of one core, asked of the last relay.
        load_percent_seen: what it took.
        subscribers: of the last relay, besides the receivers that measure.
        machine_idle_percent: of all cores.
        packets: per kind, arrivals that the figures stand on.
        missing: packets that reached the relay above (or left the source) and not both receivers below.
        hop_ms_p50: per kind.
        hop_ms_p99: per kind.
        hop_ms_max: per kind.
        from_source_ms_p50: per kind, from the source to the last relay's receivers.
        from_source_ms_p99: per kind.
        trusted: see the module.
    """

    depth: int
    load_percent: float
    load_percent_seen: float
    subscribers: int
    machine_idle_percent: float
    packets: dict[str, int]
    missing: int
    hop_ms_p50: dict[str, float | None]
    hop_ms_p99: dict[str, float | None]
    hop_ms_max: dict[str, float | None]
    from_source_ms_p50: dict[str, float | None]
    from_source_ms_p99: dict[str, float | None]
    trusted: bool


def hops_ns(above: dict[int, int] | None, below: dict[int, int]) -> Iterable[int]:
    """Differences for packets that reached both; without `above`, since they were sent."""
    for stamp_ns, arrival_ns in below.items():
        begin_ns = stamp_ns if above is None else above.get(stamp_ns)
        if begin_ns is not None:
            yield arrival_ns - begin_ns


def missing(above: dict[int, int], below: dict[int, int], margin_ns: int = 500_000_000) -> int:
    """Packets that were above and not below, without those that were under way at either end of the window."""
    if not above:
        return 0
    first, last = min(above) + margin_ns, max(above) - margin_ns
    return sum(first <= stamp_ns <= last and stamp_ns not in below for stamp_ns in above)


def row_of(depth: int, asked: float, load: AddedLoad, busy: Busy, above: Probe | None, below: Sequence[Probe]) -> Row:
    """The figures of a window."""
    hops: dict[str, list[int]] = {}
    whole: dict[str, list[int]] = {}
    lost = 0
    for kind in KINDS:
        upper = above.arrivals_ns[kind] if above is not None else None
        hops[kind] = sorted(hop for probe in below for hop in hops_ns(upper, probe.arrivals_ns[kind]))
        whole[kind] = sorted(hop for probe in below for hop in hops_ns(None, probe.arrivals_ns[kind]))
        # Without a relay above, what one of the receivers has, the other should have as well.
        everything = upper or {stamp: at for probe in below for stamp, at in probe.arrivals_ns[kind].items()}
        lost += sum(missing(everything, probe.arrivals_ns[kind]) for probe in below)
    near = abs(busy.relay_percent - asked) <= TRUSTED_LOAD_SHARE * asked
    return Row(
        depth=depth,
        load_percent=asked,
        load_percent_seen=busy.relay_percent,
        subscribers=load.connected,
        machine_idle_percent=busy.machine_idle_percent,
        packets={kind: len(hops[kind]) for kind in KINDS},
        missing=lost,
        hop_ms_p50={kind: percentile_ms(hops[kind], 0.5) for kind in KINDS},
        hop_ms_p99={kind: percentile_ms(hops[kind], 0.99) for kind in KINDS},
        hop_ms_max={kind: percentile_ms(hops[kind], 1.0) for kind in KINDS},
        from_source_ms_p50={kind: percentile_ms(whole[kind], 0.5) for kind in KINDS},
        from_source_ms_p99={kind: percentile_ms(whole[kind], 0.99) for kind in KINDS},
        trusted=near
        and not lost
        and load.connected == load.receivers
        and busy.machine_idle_percent >= TRUSTED_IDLE_PERCENT,
    )


async def measure_depth(depth: int, loads: Sequence[float], window_s: float, seed: int) -> list[Row]:
    """Measure the last hop of a chain of this depth at growing loads."""
    rows: list[Row] = []
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        client = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS))
        )
        relays = await stack.enter_async_context(relay_chain(directory, depth))
        await stack.enter_async_context(publishing(relays[0], seed=seed))
        listen = [WhepSignalling(client, relay.whep, relay.play_token) for relay in relays]
        above = await stack.enter_async_context(probing(listen[-2])) if depth > 1 else None
        first = await stack.enter_async_context(probing(listen[-1]))
        load = AddedLoad(relays[-1], listen[-1], stack)
        for asked in loads:
            await load.raise_to(asked)
            async with probing(listen[-1]) as last:
                await asyncio.sleep(SETTLE_S)
                probes = [first, last]
                for probe in (*probes, *([above] if above else [])):
                    probe.forget()
                watch = Watch(relays[-1].pid)
                await asyncio.sleep(window_s)
                row = row_of(depth, asked, load, watch.read(), above, probes)
            rows.append(row)
            print(json.dumps(msgspec.to_builtins(row)), file=sys.stderr, flush=True)
    return rows


async def measure(depths: Sequence[int], loads: Sequence[float], window_s: float, seed: int) -> dict[str, object]:
    """Measure all depths in turn."""
    found = machine()
    rows = [row for depth in depths for row in await measure_depth(depth, loads, window_s, seed)]
    at_target = [row for row in rows if row.load_percent == TARGET_LOAD]
    worst = [p99 for row in at_target for p99 in row.hop_ms_p99.values() if p99 is not None]
    return {
        "benchmark": "hops",
        "machine": found,
        "seed": seed,
        "window_s": window_s,
        "load": "percent of one core that the process of the last relay took, user and system time",
        # The worst of all depths, audio and video.
        "hop_ms_p99_at_50_percent": max(worst) if worst else None,
        "trusted_at_50_percent": bool(at_target) and all(row.trusted for row in at_target),
        "rows": [msgspec.to_builtins(row) for row in rows],
    }


def main() -> None:
    """Run the benchmark; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--loads", type=float, nargs="+", default=[10, 50, 80], help="percent of a core, growing")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each window")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    if not all(1 <= depth <= MAX_DEPTH for depth in options.depths) or not 2 <= options.seconds <= 60:
        parser.error(f"depths are 1 to {MAX_DEPTH}, and a window is 2 to 60 s long")
    if not all(0 < load <= 95 for load in options.loads):
        parser.error("loads are above 0 and at most 95 percent")
    figures = asyncio.run(measure(options.depths, sorted(options.loads), options.seconds, options.seed))
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
