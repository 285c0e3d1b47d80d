"""Virtual halls (điểm cầu ảo): a whole country joins, is counted and leaves, without media. Shell.

The control traffic is real: every hall joins over HTTP with its own link, has a presence session at its (virtual)
relay, fetches its assignment when its relay notifies it, goes to its backup when its relay is lost, and sends its
headcount. Only packets are missing. Nothing that a virtual hall reports may be read as a figure about media: its moves
carry an interruption of 0.

A hall is some 20 words of state; a fixed number of workers does the requests of all halls over one HTTP client.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import aiohttp
import msgspec

from bridges.arrivals import Curve, arrivals
from bridges.backoff import backoff_s
from bridges.errors import HallApiError
from bridges.hall_api import HallApi, parse_link
from bridges.messages import Assignment, HeadcountReport, JoinRequest, MovedReport, MoveReason
from bridges.reservoir import Reservoir

VIRTUAL_AGENT = "diemcau-virtual"
# Requests under way at once, of all halls. A country is not one browser, which opens six: with few workers the halls
# would wait here for one another and not for the coordinator, which is what is to be seen.
WORKERS = 256
LATE_MS = 1000.0
# A technician counts after the hall is seated: the figures come within so many seconds of the join.
_HEADCOUNT_WITHIN_S = 20.0
_LEAVE_WITHIN_S = 20.0

_Work = Literal["join", "fetch", "moved", "headcount", "leave"]


class VirtualRelays(Protocol):
    """What virtual halls ask of virtual relays.

    Attributes:
        on_notified: set by the halls; called with the halls whose assignment changed.
        on_ended: set by the halls; called with a conference that ended.
    """

    on_notified: Callable[[list[str]], None]
    on_ended: Callable[[str], None]

    def open_session(self, relay_id: str, hall_id: str, conference: str, feed: str) -> bool:
        """Begin presence at a relay; false when the relay is dead or not here."""
        ...

    def close_session(self, relay_id: str, hall_id: str) -> None:
        """End presence at a relay."""
        ...


class VirtualSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the virtual halls.

    Attributes:
        halls: how many there were to come.
        joined: how many joined.
        present: how many had a session at the end, before they left.
        refused: answers other than a success, of all requests.
        refusals: the same by the answer's code.
        unreachable: requests without an answer.
        late: joins answered after more than a second.
        moved: moves to another relay.
        headcounts: headcounts accepted.
        reply_ms_p50: median time of the answer to a join, from the moment when it was sent.
        reply_ms_p99: 99 of 100 joins were answered within.
        reply_ms_max: the slowest.
        seated_ms_p50: median time from the moment when a hall wanted to come until it was seated: with the wait in this
            process, and with all refusals and returns.
        seated_ms_p99: 99 of 100 halls were seated within.
        seated_ms_max: the slowest.
        queued_ms_p99: 99 of 100 first joins waited less in this process before they were sent: the load's own delay.
        returns_max: how often a hall was refused at most before it was seated.
        ended: the conference ended before the halls were told to stop.
    """

    halls: int
    joined: int
    present: int
    refused: int
    refusals: dict[str, int]
    unreachable: int
    late: int
    moved: int
    headcounts: int
    reply_ms_p50: float
    reply_ms_p99: float
    reply_ms_max: float
    seated_ms_p50: float
    seated_ms_p99: float
    seated_ms_max: float
    queued_ms_p99: float
    returns_max: int
    ended: bool


@dataclass(slots=True)
class _VirtualHall:
    hall_id: str
    api: HallApi
    assignment: Assignment | None = None
    relay_id: str = ""  # where its session is open
    fetching: bool = False
    attempts: int = 0
    wanted_at_s: float = 0.0  # when it came; its first join may leave this process later
    joins: int = 0
    report: MovedReport | None = None


def plausible_headcount(hall_id: str, seats: int, seed: int) -> HeadcountReport:
    """Make up a technician's figures: some 95 % present, most of the others excused. Equal arguments, equal figures."""
    rng = random.Random(f"{seed}:{hall_id}")  # noqa: S311 - made-up figures, nothing secret
    absent = min(seats, round(seats * rng.triangular(0.0, 0.15, 0.04)))
    unexcused = rng.randint(0, absent // 4)
    exempt = rng.randint(0, (absent - unexcused) // 3)
    return HeadcountReport(
        summoned=seats,
        present=seats - absent,
        excused=absent - unexcused - exempt,
        unexcused=unexcused,
        exempt=exempt,
    )


class VirtualHalls:
    """Any number of virtual halls.

    Args:
        http: client for all of them; its connector's limit should not be below `WORKERS`.
        links: hall id to link.
        relays: where their sessions are.
        arrival_s: they come within so many seconds.
        curve: how they are spread over them.
        headcount_share: share of halls that send a headcount, 0 to 1.
        seats: hall id to delegates summoned; 60 where it says nothing.
        seed: equal seeds give equal arrivals and headcounts.

    Raises:
        LinkError: a link is not a hall's.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        links: Mapping[str, str],
        relays: VirtualRelays,
        *,
        arrival_s: float = 60.0,
        curve: Curve = "s",
        headcount_share: float = 0.9,
        seats: Mapping[str, int] | None = None,
        seed: int = 2025,
    ) -> None:
        self._relays = relays
        self._seats = seats or {}
        self._seed = seed
        self._arrival_s = arrival_s
        self._curve: Curve = curve
        self._rng = random.Random(seed)  # noqa: S311 - a simulation, nothing secret
        self._headcount_share = headcount_share
        self._halls: dict[str, _VirtualHall] = {}
        for hall_id, link in links.items():
            parsed = parse_link(link)
            self._halls[hall_id] = _VirtualHall(hall_id, HallApi(http, parsed.base_url, parsed.token))
        self._queue: asyncio.Queue[tuple[_Work, _VirtualHall]] = asyncio.Queue()
        self._timers: set[asyncio.TimerHandle] = set()
        self._leaving = False
        self._ended = asyncio.Event()
        self._replies_ms = Reservoir(self._rng)
        self._seated_ms = Reservoir(self._rng)
        self._queued_ms = Reservoir(self._rng)
        self._returns_max = 0
        self._joined = 0
        self._refusals: Counter[str] = Counter()
        self._unreachable = 0
        self._late = 0
        self._moved = 0
        self._headcounts = 0
        relays.on_notified = self.handle_notified
        relays.on_ended = self.handle_ended

    async def run(self, stop: asyncio.Event) -> VirtualSummary:
        """Let the halls come, stay until `stop` is set or the conference ends, then let them leave."""
        workers = [asyncio.create_task(self._work(), name=f"virtual-halls-{i}") for i in range(WORKERS)]
        coming = asyncio.create_task(self._come(), name="virtual-halls-come")
        until = [asyncio.create_task(stop.wait()), asyncio.create_task(self._ended.wait())]
        try:
            await asyncio.wait(until, return_when=asyncio.FIRST_COMPLETED)
            present = sum(1 for hall in self._halls.values() if hall.relay_id)
            coming.cancel()
            await self._go()
        finally:
            for timer in self._timers:
                timer.cancel()
            for task in [*workers, *until, coming]:
                task.cancel()
            await asyncio.gather(*workers, *until, coming, return_exceptions=True)
        return self.summary(present=present)

    def summary(self, *, present: int | None = None) -> VirtualSummary:
        """What became of them so far; `present` is counted now unless given."""
        if present is None:
            present = sum(1 for hall in self._halls.values() if hall.relay_id)
        return VirtualSummary(
            halls=len(self._halls),
            joined=self._joined,
            present=present,
            refused=self._refusals.total(),
            refusals=dict(sorted(self._refusals.items())),
            unreachable=self._unreachable,
            late=self._late,
            moved=self._moved,
            headcounts=self._headcounts,
            reply_ms_p50=round(self._replies_ms.percentile(0.5), 1),
            reply_ms_p99=round(self._replies_ms.percentile(0.99), 1),
            reply_ms_max=round(self._replies_ms.max, 1),
            seated_ms_p50=round(self._seated_ms.percentile(0.5), 1),
            seated_ms_p99=round(self._seated_ms.percentile(0.99), 1),
            seated_ms_max=round(self._seated_ms.max, 1),
            queued_ms_p99=round(self._queued_ms.percentile(0.99), 1),
            returns_max=self._returns_max,
            ended=self._ended.is_set(),
        )

    # ---- what the relays tell ----

    def handle_notified(self, hall_ids: list[str]) -> None:
        """The assignment of these halls changed: each fetches its own again."""
        for hall_id in hall_ids:
            hall = self._halls.get(hall_id)
            if hall is not None and hall.assignment is not None and not hall.fetching and not self._leaving:
                hall.fetching = True
                self._queue.put_nowait(("fetch", hall))

    def handle_ended(self, _conference: str) -> None:
        """The conference ended: its relays have closed the sessions."""
        self._ended.set()

    def handle_relay_lost(self, relay_id: str) -> None:
        """A virtual relay died: its halls go to their backups at once and report it."""
        for hall in self._halls.values():
            if hall.relay_id == relay_id:
                hall.relay_id = ""
                self._fall_back(hall, relay_id)

    # ---- work ----

    async def _come(self) -> None:
        clock = asyncio.get_running_loop().time
        halls = list(self._halls.values())
        self._rng.shuffle(halls)
        start = clock()
        moments = arrivals(len(halls), self._arrival_s, self._seed, self._curve)
        for hall, moment in zip(halls, moments, strict=True):
            hall.wanted_at_s = start + moment
            wait_s = start + moment - clock()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._queue.put_nowait(("join", hall))

    async def _go(self) -> None:
        """Everybody leaves, unless the end of the conference has sent them home."""
        self._leaving = True
        while not self._queue.empty():
            self._queue.get_nowait()
            self._queue.task_done()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_WITHIN_S):
                await self._queue.join()  # requests under way: a hall that is just joining has to leave as well
                if not self._ended.is_set():
                    for hall in self._halls.values():
                        if hall.assignment is not None:
                            self._queue.put_nowait(("leave", hall))
                await self._queue.join()
        for hall in self._halls.values():
            if hall.relay_id:
                self._relays.close_session(hall.relay_id, hall.hall_id)
                hall.relay_id = ""

    async def _work(self) -> None:
        while True:
            work, hall = await self._queue.get()
            try:
                await self._do(work, hall)
            except HallApiError as error:
                self._count(error)
                self._again(work, hall, error)
            else:
                hall.attempts = 0
            finally:
                self._queue.task_done()

    async def _do(self, work: _Work, hall: _VirtualHall) -> None:
        match work:
            case "join":
                await self._join(hall)
            case "fetch":
                hall.fetching = False
                self._follow(hall, await hall.api.assignment())
            case "moved":
                report = hall.report
                if report is not None:
                    assignment = await hall.api.moved(report)
                    if hall.report is report:  # else it moved again meanwhile, and that report is on its way
                        hall.report = None
                        self._follow(hall, assignment)
            case "headcount":
                await hall.api.headcount(
                    plausible_headcount(hall.hall_id, self._seats.get(hall.hall_id, 60), self._seed)
                )
                self._headcounts += 1
            case "leave":
                if hall.relay_id:
                    self._relays.close_session(hall.relay_id, hall.hall_id)
                    hall.relay_id = ""
                await hall.api.leave()

    async def _join(self, hall: _VirtualHall) -> None:
        clock = asyncio.get_running_loop().time
        asked_at = clock()
        if not hall.joins:
            self._queued_ms.add((asked_at - hall.wanted_at_s) * 1000)
        hall.joins += 1
        assignment = await hall.api.join(JoinRequest(agent=VIRTUAL_AGENT, virtual=True))
        reply_ms = (clock() - asked_at) * 1000
        self._replies_ms.add(reply_ms)
        self._late += reply_ms > LATE_MS
        first = hall.assignment is None
        self._follow(hall, assignment)
        if first:
            self._joined += 1
            self._seated_ms.add((clock() - hall.wanted_at_s) * 1000)
            self._returns_max = max(self._returns_max, hall.joins - 1)
            if self._rng.random() < self._headcount_share:
                self._later(self._rng.uniform(0, _HEADCOUNT_WITHIN_S), "headcount", hall)

    def _follow(self, hall: _VirtualHall, assignment: Assignment) -> None:
        """Be where the assignment says; the new session is opened before the old one is closed."""
        if hall.assignment is not None and assignment.epoch < hall.assignment.epoch:
            return
        hall.assignment = assignment
        wanted, here = assignment.primary.relay_id, hall.relay_id
        if wanted == here or self._leaving:
            return
        if not self._open(hall, wanted):
            if not here:
                self._fall_back(hall, wanted)
            return
        if here:
            self._relays.close_session(here, hall.hall_id)
            self._tell(hall, assignment.epoch, here, "assignment")

    def _open(self, hall: _VirtualHall, relay_id: str) -> bool:
        assignment = hall.assignment
        if assignment is None or not self._relays.open_session(
            relay_id, hall.hall_id, assignment.conference_id, assignment.feed
        ):
            return False
        hall.relay_id = relay_id
        return True

    def _fall_back(self, hall: _VirtualHall, lost: str) -> None:
        """The hall's relay is gone: its other relay, or a new join."""
        assignment = hall.assignment
        if assignment is None or self._leaving:
            return
        for access in (assignment.backup, assignment.primary):
            if access is not None and access.relay_id != lost and self._open(hall, access.relay_id):
                self._tell(hall, assignment.epoch, lost, "silence")
                return
        self._later(self._backoff(hall), "join", hall)

    def _tell(self, hall: _VirtualHall, epoch: int, from_relay: str, reason: MoveReason) -> None:
        """The hall reports that it went from a relay to the one where it is now."""
        self._moved += 1
        hall.report = MovedReport(
            epoch=epoch,
            from_relay=from_relay,
            to_relay=hall.relay_id,
            reason=reason,
            interruption_ms=0.0,  # nothing was being shown, so nothing was interrupted
        )
        self._queue.put_nowait(("moved", hall))

    # ---- trying again ----

    def _count(self, error: HallApiError) -> None:
        if error.status:
            self._refusals[error.code] += 1
        else:
            self._unreachable += 1

    def _again(self, work: _Work, hall: _VirtualHall, error: HallApiError) -> None:
        # A token that is not valid stays so; a wrong phase passes when the conference opens.
        if self._leaving or error.status in {401, 403, 404, 422}:
            return
        if work == "fetch":
            hall.fetching = True
        self._later(self._backoff(hall, error.retry_after_s), work, hall)

    def _backoff(self, hall: _VirtualHall, retry_after_s: float = 0.0) -> float:
        wait_s = backoff_s(hall.attempts, self._rng, retry_after_s=retry_after_s)
        hall.attempts += 1
        return wait_s

    def _later(self, seconds: float, work: _Work, hall: _VirtualHall) -> None:
        def put() -> None:
            self._timers.discard(timer)
            if not self._leaving:
                self._queue.put_nowait((work, hall))

        timer = asyncio.get_running_loop().call_later(seconds, put)
        self._timers.add(timer)
