"""A relay of a whole country is drained: how long it takes, and who is touched by it.

The coordinator, its journal and the HTTP are real; halls and relays are virtual (ảo), as in `benchmarks.join_storm`.
When all halls have joined, the fullest relay is drained at the default pace (with `--evacuate`: all at once), by an
operator's order over the API, until the API says that it is empty: every one of its halls has fetched its assignment,
gone, and reported it. Then the journal is folded once more, and after each assignment the charges of its relays are
held against their hard limits.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.join_storm import Country, Options, say, serve_coordinator, wait_joined
from benchmarks.support.processes import machine, usage
from conference.api_client import ApiClient, Document
from conference.config import JOURNAL_FILE, PlacementConfig
from conference.events import HallAssigned, RelayModeChanged
from conference.journal.sqlite import SqliteJournal
from conference.ledger import SeatKey
from conference.state import State, apply

POLL_S = 0.1
WAIT_S = 600.0


class Audit(msgspec.Struct, kw_only=True):
    """What the journal says of one drain.

    Attributes:
        halls: seats on the relay when the order was given, by what it was for them.
        assignments: that the drain made.
        assignments_of_others: of these, of halls that had nothing to do with the relay.
        overfull_events: events after which some relay was charged with more than its hard limit.
    """

    halls_primary: int = 0
    halls_backup: int = 0
    assignments: int = 0
    assignments_of_others: int = 0
    overfull_events: int = 0


async def audit(journal_file: Path) -> Audit:
    """Fold a journal, and look at each event of the drain in it."""
    found, state = Audit(), State(PlacementConfig().as_policy())
    concerned: set[SeatKey] | None = None
    journal = SqliteJournal(journal_file)
    try:
        async for record in journal.read({}):
            event = record.event
            if isinstance(event, RelayModeChanged):
                load = state.relays[event.relay_id].load
                found.halls_primary, found.halls_backup = load.primaries, load.backups
                concerned = set(state.ledger.seats_on[event.relay_id])
            elif isinstance(event, HallAssigned) and concerned is not None:
                found.assignments += 1
                found.assignments_of_others += (event.conference_id, event.hall_id) not in concerned
            apply(state, event, record.at_ms, record.actor)
            if isinstance(event, HallAssigned):
                loads = [state.relays[name].load for name in (event.primary, event.backup) if name]
                found.overfull_events += any(load.charged_milliseats > 1_000 * load.hard_seats for load in loads)
    finally:
        await journal.close()
    return found


async def measure(halls: int, relays: int, seed: int, *, evacuate: bool = False) -> dict[str, object]:
    """Seat a country, drain its fullest relay, and return the figures."""
    options = Options(
        halls=halls,
        relays=relays,
        seconds=max(5.0, halls / 600),
        curve="flat",
        headcounts=0.0,
        stall=0.0,
        redis=False,
        admission="",
        seed=seed,
    )
    found = machine()
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        async with serve_coordinator(directory, options, None) as (server, coordinator):
            country = Country(directory, server, options)
            api = await stack.enter_async_context(ApiClient(server, country.token))
            links = await country.register(api)
            virtual, metrics = await stack.enter_async_context(country.virtual(links))
            say("halls join")
            virtual.send_signal(signal.SIGUSR1)
            if await wait_joined(metrics, options, time.monotonic()) is None:
                raise RuntimeError("not every hall has joined")
            edges = [relay for relay in await api.relays() if relay["role"] == "edge"]
            relay_id = str(max(edges, key=lambda relay: int(relay["halls_primary"]))["relay_id"])
            say(f"{relay_id} is drained")
            before, begin_s = usage(coordinator.pid), time.monotonic()
            order = "evacuate" if evacuate else "drain"
            answer = await api.order(f"relays/{relay_id}/{order}", reason="benchmark")
            ordered_s = time.monotonic() - begin_s
            answer, sent_s = await _until_empty(api, relay_id, answer, begin_s)
            empty_s = time.monotonic() - begin_s
            after = usage(coordinator.pid)
            for phase in ("live", "ended"):
                await api.change_phase("storm", phase)
            await asyncio.wait_for(virtual.communicate(), WAIT_S)
        audited = await audit(directory / "state" / JOURNAL_FILE)
    return {
        "benchmark": "drain",
        "machine": found,
        "halls": halls,
        "relays": relays,
        "seed": seed,
        "order": order,
        **msgspec.structs.asdict(audited),
        "sessions_left": answer["relay"]["sessions"],
        "ordered_ms": round(ordered_s * 1000, 1),
        "all_sent_s": round(sent_s, 2),
        "empty_s": round(empty_s, 2),
        "moves_per_s": round(audited.assignments / sent_s, 1),
        "coordinator_cpu_s": round(after.cpu_s - before.cpu_s, 2),
    }


async def _until_empty(api: ApiClient, relay_id: str, answer: Document, begin_s: float) -> tuple[Document, float]:
    """Wait until a relay is empty; also returns the seconds after which every hall had been sent elsewhere."""
    sent_s = 0.0 if answer["halls_waiting"] else time.monotonic() - begin_s
    while not (answer["relay"]["is_empty"] and answer["relay"]["sessions"] == 0):
        if time.monotonic() - begin_s > WAIT_S:
            raise RuntimeError(f"the relay is not empty: {answer}")
        await asyncio.sleep(POLL_S)
        answer = await api.relay(relay_id)
        if not sent_s and not answer["halls_waiting"]:
            sent_s = time.monotonic() - begin_s
    return answer, sent_s


def main() -> None:
    """Run the benchmark; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--halls", type=int, default=11_661)
    parser.add_argument("--relays", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--evacuate", action="store_true", help="empty it at once")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    given = parser.parse_args()
    figures = asyncio.run(measure(given.halls, given.relays, given.seed, evacuate=given.evacuate))
    print(json.dumps(figures, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
