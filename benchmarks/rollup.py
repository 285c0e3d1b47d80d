"""What the roll-up of attendance costs: reading any unit of either tree while halls change, closing, corrections.

A state of so many halls in Việt Nam's units and in organisations is folded from events, each hall with a roster. Then
events of all three sources come in at random, and between them a unit of one of the trees is read as the API does, from
sums to JSON. Now and then the root is compared with sums over all halls, made anew. Times are of one process without
HTTP; `benchmarks.attendance` has the same behind a socket and under load.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import time
from collections.abc import Iterator

import msgspec

from benchmarks.support.percentiles import percentile_ms
from benchmarks.support.processes import machine
from bridges.attendance import row_of, total_of
from bridges.synthetic import synthetic_halls
from bridges.units import TreeName, Unit
from bridges.vietnam import load_vietnam_units
from conference.attendance.closing import corrections, read_closing
from conference.attendance.standing import hall_attendance
from conference.attendance.view import attendance_view, summed_now
from conference.checkin.events import CheckinsRecorded, DelegateBlock, DelegatesEnrolled, Scan
from conference.commands import CloseAttendance
from conference.decide import decide
from conference.events import (
    ConferenceCreated,
    Event,
    HallsImported,
    HeadcountReported,
    PhaseChanged,
    PresenceObserved,
    UnitsImported,
)
from conference.state import State, apply
from relay.messages import PresenceDelta, SessionClosed, SessionOpened

CONFERENCE = "hn-2026"
DELEGATES = 60  # of one hall
UPDATES_AT_ONCE = 100  # between two reads, at most: 5,000 a second where people ask a hundred times a second
COMPARE_EVERY = 500


class Country:
    """A state, and events that may happen to it.

    Args:
        halls: how many.
        seed: of all choices.
    """

    def __init__(self, halls: int, seed: int) -> None:
        self.state = State()
        self.rng = random.Random(seed)
        self.now_ms = 1_770_000_000_000
        above = [Unit(code=f"DU{n}", name=f"Đảng ủy {n}", kind="đảng ủy", tree="organisation") for n in range(60)]
        below = [
            Unit(code=f"DB{n}", name=f"Đảng bộ {n}", kind="đảng bộ", parent=f"DU{n % 60}", tree="organisation")
            for n in range(3_000)
        ]
        units = load_vietnam_units()
        self.halls = [
            msgspec.structs.replace(hall, organisation=f"DB{number % 3_000}" if number % 5 else "")
            for number, hall in enumerate(synthetic_halls(units, halls, seed, virtual=False))
        ]
        self.codes: dict[TreeName, list[str]] = {
            "territory": ["", *(unit.code for unit in units)],
            "organisation": ["", *(unit.code for unit in (*above, *below))],
        }
        blocks = [
            DelegateBlock(hall.hall_id, 1 + number * DELEGATES, DELEGATES) for number, hall in enumerate(self.halls)
        ]
        self.write(
            UnitsImported(units=[*units, *above, *below]),
            HallsImported(halls=self.halls),
            ConferenceCreated(conference_id=CONFERENCE, title="Hội nghị toàn quốc", feeds=["program"]),
            PhaseChanged(conference_id=CONFERENCE, phase="open"),
            DelegatesEnrolled(conference_id=CONFERENCE, blocks=blocks),
        )

    def write(self, *events: Event) -> None:
        """Fold events, a millisecond apart."""
        for event in events:
            self.now_ms += 1
            apply(self.state, event, self.now_ms, "hall:any")

    def happenings(self) -> Iterator[Event]:
        """One of the three sources of one of the halls, without end."""
        while True:
            place = self.rng.randrange(len(self.halls))
            hall_id = self.halls[place].hall_id
            match self.rng.randrange(3):
                case 0:
                    yield PresenceObserved(relay_id="edge", deltas=[self._delta(hall_id)])
                case 1:
                    present = self.rng.randrange(DELEGATES)
                    yield HeadcountReported(
                        conference_id=CONFERENCE,
                        hall_id=hall_id,
                        summoned=DELEGATES,
                        present=present,
                        excused=DELEGATES - present,
                        unexcused=0,
                        exempt=0,
                        note="",
                        revision=self.now_ms % 2**31,
                    )
                case _:
                    numbers = self.rng.sample(range(1 + place * DELEGATES, 1 + (place + 1) * DELEGATES), 20)
                    scans = [Scan(number, self.now_ms, number, "qr") for number in numbers]
                    yield CheckinsRecorded(conference_id=CONFERENCE, hall_id=hall_id, scans=scans)

    def _delta(self, hall_id: str) -> PresenceDelta:
        opened = SessionOpened(
            session_id=hall_id, subject=hall_id, conference=CONFERENCE, feed="program", at_ms=self.now_ms
        )
        if self.rng.random() < 0.5:
            return opened
        return SessionClosed(**msgspec.structs.asdict(opened), reason="consent")

    def read(self, tree: TreeName, unit: str) -> bytes:
        """What the API answers, without HTTP."""
        conference = self.state.conferences[CONFERENCE]
        summed = summed_now(self.state, CONFERENCE, self.now_ms)
        return msgspec.json.encode(attendance_view(conference, summed, tree, unit))

    def differences(self) -> int:
        """In how many of both trees the root is not the sum of all halls, recomputed."""
        halls = self.state.halls.values()
        total = total_of(row_of(hall_attendance(self.state, CONFERENCE, hall)) for hall in halls)
        rollup = self.state.rollups[CONFERENCE]
        return (rollup.total("territory") != total) + (rollup.total("organisation") != total)


def measure(country: Country, reads: int) -> dict[str, object]:
    """Read so many units between updates.

    `unit_query_ms_…` are times by the clock, `unit_query_cpu_ms_…` and `update_us` of this thread's processor: on a
    machine that does other work the two are far apart.
    """
    gc.collect()
    gc.freeze()  # as the coordinator does with what it folded
    begun_ns = time.perf_counter_ns()
    country.read("territory", "")
    country.read("organisation", "")
    first_ns = time.perf_counter_ns() - begun_ns
    happenings, rng = country.happenings(), country.rng
    read_ns, cpu_ns = list[int](), list[int]()
    updates = updates_ns = differences = 0
    for number in range(reads):
        events = [next(happenings) for _ in range(rng.randrange(UPDATES_AT_ONCE))]
        begun_ns = time.thread_time_ns()
        country.write(*events)
        updates_ns += time.thread_time_ns() - begun_ns
        updates += len(events)
        tree: TreeName = rng.choice(["territory", "organisation"])
        unit = rng.choice(country.codes[tree]) if number % 10 else ""
        begun_ns, begun_cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
        country.read(tree, unit)
        cpu_ns.append(time.thread_time_ns() - begun_cpu_ns)
        read_ns.append(time.perf_counter_ns() - begun_ns)
        if number % COMPARE_EVERY == 0:
            differences += country.differences()
    read_ns.sort()
    cpu_ns.sort()
    return {
        "first_read_ms": round(first_ns / 1e6, 1),
        "reads": reads,
        "updates": updates,
        "update_us": round(updates_ns / max(updates, 1) / 1e3, 1),
        "unit_query_ms_p50": percentile_ms(read_ns, 0.5),
        "unit_query_ms_p99": percentile_ms(read_ns, 0.99),
        "unit_query_ms_max": percentile_ms(read_ns, 1.0),
        "unit_query_cpu_ms_p99": percentile_ms(cpu_ns, 0.99),
        "unit_query_cpu_ms_max": percentile_ms(cpu_ns, 1.0),
        "root_differences": differences,
        **_measure_closing(country),
    }


def _measure_closing(country: Country) -> dict[str, object]:
    country.write(PhaseChanged(conference_id=CONFERENCE, phase="ended"))
    country.read("territory", "")  # after a change of phase every hall is read anew, and that is measured above
    begun_ns = time.perf_counter_ns()
    country.write(*decide(country.state, CloseAttendance(conference_id=CONFERENCE), country.now_ms))
    closed_ns = time.perf_counter_ns() - begun_ns
    happenings = country.happenings()
    country.write(*(next(happenings) for _ in range(1_000)))
    begun_ns = time.perf_counter_ns()
    closed = read_closing(country.state.closings[CONFERENCE])
    listed = corrections(country.state, CONFERENCE, closed)
    return {
        "closing_ms": round(closed_ns / 1e6, 1),
        "closing_bytes": len(country.state.closings[CONFERENCE].figures),
        "corrections": len(listed),
        "corrections_ms": round((time.perf_counter_ns() - begun_ns) / 1e6, 1),
    }


def main() -> None:
    """Run the benchmark; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--halls", type=int, default=40_000)
    parser.add_argument("--reads", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    given = parser.parse_args()
    found = measure(Country(given.halls, given.seed), given.reads)
    result = {"halls": given.halls, "seed": given.seed, **found, "machine": machine()}
    print(json.dumps(result) if given.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
