"""What the operators' page shows: a snapshot of the whole country, made at most once a second, for all viewers.

Who is bound to a unit sees that unit alone: a snapshot is made for each unit of which there are viewers.

`build_snapshot` is pure. `LiveBoard` makes one only while somebody watches and something changed, and hands the same
bytes to everybody; who reads slowly gets the newest and misses what lay between.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

import msgspec

from bridges.attendance import AttendanceRow
from bridges.units import TreeName
from conference.attendance.participants import hall_in
from conference.coordinator import Coordinator
from conference.errors import JournalError
from conference.journal.contract import Entry
from conference.lifecycle import ConferenceKind, Phase
from conference.lookup import unit_of
from conference.planner.loads import RelayMode
from conference.reach import Reach
from conference.roster import ConferenceState, RelayState
from conference.state import State
from monitoring.log_config import get_logger

INTERVAL_S = 1.0
# Enough for a province that lost its line; past that a list is no longer read, and the totals say how many there are.
MAX_LOST = 500
# What a room full of operators needs; each viewer costs a socket and a copy in its buffer.
MAX_VIEWERS = 500
# Which conference the map and the list of lost halls are about, when there are several.
_FOCUS: tuple[Phase, ...] = ("live", "rehearsal", "open", "ended", "draft")


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one conference; `virtual_*` is the share of simulated halls in the count of that name.

    Attributes:
        halls: registered; the sum of present, waiting, lost and left.
        summoned: delegates by registration, or by headcount where a hall has reported; real halls only.
        headcount_halls: real halls that have reported a headcount.
        headcount_present: delegates present by headcount; real halls only.
        individual_halls: real halls with a roster.
        individual_registered: delegates on these.
        individual_present: of these, present by individual check-in.
    """

    halls: int
    present: int
    waiting: int
    lost: int
    left: int
    virtual_halls: int
    virtual_present: int
    virtual_waiting: int
    virtual_lost: int
    virtual_left: int
    summoned: int
    headcount_halls: int
    headcount_present: int
    individual_halls: int
    individual_registered: int
    individual_present: int


class ConferenceView(msgspec.Struct, frozen=True, kw_only=True):
    """A conference as the API shows it; see `events.ConferenceCreated`."""

    conference_id: str
    title: str
    phase: Phase
    feeds: list[str]
    reporting: TreeName
    kind: ConferenceKind
    rehearsal_of: str
    starts_at_ms: int
    totals: Totals


class ProvinceView(msgspec.Struct, frozen=True, kw_only=True):
    """One province (or other root unit of the territory) in the conference in focus; individuals of real halls only."""

    code: str
    name: str
    halls: int
    present: int
    waiting: int
    lost: int
    left: int
    virtual_halls: int
    individual_registered: int = 0
    individual_present: int = 0


class RelayView(msgspec.Struct, frozen=True, kw_only=True):
    """One relay, for the API and the page.

    Attributes:
        connected: its control connection stands; a live relay without one keeps its halls until its lease ends.
        halls: halls that play from it as the coordinator assigned them.
        halls_leaving: halls that play elsewhere by now and have not said yet that they left it.
        children: relays that it feeds, as first or second parent.
        sessions: as it says itself in its heartbeat.
        mode: what operators want of it: `open`, `cordoned`, `draining` or `evacuating`.
        deadline_ms: when it is to be empty, 0 for no deadline.
        reason: why, in the operator's words.
        is_empty: nobody is charged to it; one that is drained may be stopped.
        seats_soft: halls up to which it is preferred.
        seats_hard: halls that it never passes.
        suspected_until_ms: when it is tried again, after its halls left it because nothing came; 0 for a relay that
            nobody suspects.
    """

    relay_id: str
    region: str
    role: str
    virtual: bool
    status: str
    connected: bool
    parents: list[str]
    halls: int
    halls_primary: int
    halls_backup: int
    sessions: int
    base_url: str
    bits_per_s: int
    packets_per_s: int
    halls_leaving: int = 0
    children: int = 0
    mode: RelayMode = "open"
    deadline_ms: int = 0
    reason: str = ""
    is_empty: bool = False
    seats_soft: int = 0
    seats_hard: int = 0
    suspected_until_ms: int = 0


class LostHall(msgspec.Struct, frozen=True, kw_only=True):
    """A hall that had media, has none now, and whom to phone."""

    hall_id: str
    name: str
    province: str
    virtual: bool
    contact_name: str
    contact_phone: str
    since_ms: int


class LiveSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Data of the event `snapshot`.

    Attributes:
        focus: conference that `provinces` and `lost` are about, or "".
        lost: real halls first, longest lost first, at most 500; the totals have the count of all.
    """

    at_ms: int
    focus: str
    conferences: list[ConferenceView]
    provinces: list[ProvinceView]
    relays: list[RelayView]
    lost: list[LostHall]


def totals_of(state: State, conference: ConferenceState, unit: str = "") -> Totals:
    """Counts of one conference in a unit and everything under it; "" for the whole country.

    Raises:
        RejectedError: there is no such unit.
    """
    rollup = state.rollups[conference.conference_id]
    total = rollup.total(unit_of(state, unit).tree, unit) if unit else rollup.total()
    real, virtual = total.real, total.virtual
    seen, counted = real.connection + virtual.connection, real.headcount
    return Totals(
        halls=total.halls,
        present=seen.present_now,
        waiting=seen.waiting,
        lost=seen.lost,
        left=seen.left,
        virtual_halls=virtual.halls,
        virtual_present=virtual.connection.present_now,
        virtual_waiting=virtual.connection.waiting,
        virtual_lost=virtual.connection.lost,
        virtual_left=virtual.connection.left,
        summoned=real.seats - counted.seats_reported + counted.summoned,
        headcount_halls=counted.halls_reported,
        headcount_present=counted.present,
        individual_halls=real.individual.halls_enrolled,
        individual_registered=real.individual.registered,
        individual_present=real.individual.present,
    )


def view_conference(state: State, conference: ConferenceState, unit: str = "") -> ConferenceView:
    """A conference with its totals in a unit, "" for the whole country.

    Raises:
        RejectedError: there is no such unit.
    """
    return ConferenceView(
        conference_id=conference.conference_id,
        title=conference.title,
        phase=conference.phase,
        feeds=list(conference.feeds),
        reporting=conference.reporting,
        kind=conference.kind,
        rehearsal_of=conference.rehearsal_of,
        starts_at_ms=conference.starts_at_ms,
        totals=totals_of(state, conference, unit),
    )


def view_relays(state: State, sessions: Mapping[str, int]) -> list[RelayView]:
    """All relays, ascending by name; `sessions` has one entry for each that is connected."""
    return [view_relay(state, state.relays[relay_id], sessions) for relay_id in sorted(state.relays)]


def view_relay(state: State, relay: RelayState, sessions: Mapping[str, int]) -> RelayView:
    """One relay."""
    order = state.orders.relays.get(relay.relay_id)
    return RelayView(
        relay_id=relay.relay_id,
        region=relay.region,
        role=relay.role,
        virtual=relay.virtual,
        status=relay.status,
        connected=relay.live and relay.relay_id in sessions,
        parents=list(relay.parents),
        halls=relay.load.primaries,
        halls_primary=relay.load.primaries,
        halls_backup=relay.load.backups,
        sessions=sessions.get(relay.relay_id, 0) if relay.live else 0,
        base_url=relay.base_url,
        bits_per_s=relay.capacity.bits_per_s,
        packets_per_s=relay.capacity.packets_per_s,
        halls_leaving=relay.load.leavers,
        children=relay.load.links,
        mode=state.orders.mode(relay.relay_id),
        deadline_ms=0 if order is None else order.deadline_ms,
        reason="" if order is None else order.reason,
        is_empty=relay.load.is_empty,
        seats_soft=relay.load.soft_seats,
        seats_hard=relay.load.hard_seats,
        suspected_until_ms=state.suspicions[relay.relay_id].until_ms if state.is_suspected(relay.relay_id) else 0,
    )


def build_snapshot(state: State, sessions: Mapping[str, int], now_ms: int, unit: str = "") -> LiveSnapshot:
    """The page's snapshot: of the whole country, or of what somebody sees who is bound to a unit.

    Args:
        state: read only.
        sessions: open sessions of each connected relay.
        now_ms: milliseconds since the epoch.
        unit: the unit that all counts and halls are of, and whose units right below stand in place of the provinces;
            relays serve the whole country, and are not shown then.

    Raises:
        RejectedError: there is no such unit.
    """
    focus = min(
        state.conferences.values(), key=lambda each: (_FOCUS.index(each.phase), -each.phases[-1][1]), default=None
    )
    return LiveSnapshot(
        at_ms=now_ms,
        focus="" if focus is None else focus.conference_id,
        conferences=[view_conference(state, each, unit) for each in state.conferences.values()],
        provinces=[] if focus is None else _view_provinces(state, focus.conference_id, unit),
        relays=[] if unit else view_relays(state, sessions),
        lost=[] if focus is None else _list_lost(state, focus.conference_id, Reach(state.units, unit)),
    )


def _view_provinces(state: State, conference_id: str, unit: str) -> list[ProvinceView]:
    rollup = state.rollups[conference_id]
    rows = rollup.children(unit_of(state, unit).tree, unit) if unit else rollup.children()
    return [_view_province(state, row) for row in rows]


def _view_province(state: State, row: AttendanceRow) -> ProvinceView:
    seen, unit = row.real.connection + row.virtual.connection, state.units.get(row.unit)
    return ProvinceView(
        code=row.unit,
        name=row.unit if unit is None else unit.name,
        halls=row.halls,
        present=seen.present_now,
        waiting=seen.waiting,
        lost=seen.lost,
        left=seen.left,
        virtual_halls=row.virtual.halls,
        individual_registered=row.real.individual.registered,
        individual_present=row.real.individual.present,
    )


def _list_lost(state: State, conference_id: str, reach: Reach) -> list[LostHall]:
    presences = state.presence.get(conference_id, {})
    found = []
    for hall_id in state.rollups[conference_id].hall_ids("connection.lost"):
        hall = hall_in(state, conference_id, hall_id)
        if hall is None or not reach.has_hall(hall):
            continue
        unit = state.units.get(state.provinces.get(hall_id, ""))
        presence = presences.get(hall_id)
        since_ms = None if presence is None else presence.last_seen_ms
        found.append(
            LostHall(
                hall_id=hall_id,
                name=hall.name,
                province="" if unit is None else unit.name,
                virtual=hall.virtual,
                contact_name=hall.contact_name,
                contact_phone=hall.contact_phone,
                since_ms=since_ms or 0,
            )
        )
    found.sort(key=lambda lost: (lost.virtual, lost.since_ms, lost.hall_id))
    return found[:MAX_LOST]


class LiveBoard:
    """Makes snapshots while somebody watches.

    Args:
        coordinator: whose state is shown.
        sessions: open sessions of each connected relay, now.
        interval_s: least time between two snapshots.
    """

    def __init__(
        self, coordinator: Coordinator, sessions: Callable[[], Mapping[str, int]], *, interval_s: float = INTERVAL_S
    ) -> None:
        self._coordinator = coordinator
        self._sessions = sessions
        self._interval_s = interval_s
        self._log = get_logger("conference.live")
        self._shown_sessions: dict[str, int] = {}
        self._latest: dict[str, bytes] = {}
        self._number = 0
        self._changed = True
        self._closed = False
        self._viewers: Counter[str] = Counter()
        self._viewer_came = asyncio.Event()
        self._published = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        """No further viewer is taken."""
        return self._viewers.total() >= MAX_VIEWERS

    def start(self) -> None:
        """Begin to listen for changes."""
        self._coordinator.subscribe(self._handle_entries)
        self._coordinator.subscribe_recovery(self._handle_recovery)
        self._task = asyncio.create_task(self._publish_forever(), name="live-board")

    async def stop(self) -> None:
        """End all viewers' streams."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        async with self._published:
            self._published.notify_all()

    async def watch(self, heartbeat_s: float, unit: str = "") -> AsyncGenerator[bytes | None, None]:
        """Yield the newest snapshot (JSON) at once and after each change; None after `heartbeat_s` without one.

        `unit` is the unit that the viewer is bound to, "" for the whole country.
        """
        # What lies here when nobody watched may be hours old: the first viewer waits for a new one.
        seen = 0 if self._viewers[unit] else self._number
        self._viewers[unit] += 1
        self._changed = True
        self._viewer_came.set()
        try:
            while True:
                try:
                    async with asyncio.timeout(heartbeat_s), self._published:
                        await self._published.wait_for(lambda: self._closed or self._number > seen)  # noqa: B023 - read now
                except TimeoutError:
                    yield None
                    continue
                if self._closed:
                    return
                seen = self._number
                if (latest := self._latest.get(unit)) is not None:
                    yield latest
        finally:
            self._viewers[unit] -= 1
            if not self._viewers[unit]:
                del self._viewers[unit]
                self._latest.pop(unit, None)

    def _handle_entries(self, _entries: Sequence[Entry]) -> None:
        self._changed = True

    def _handle_recovery(self) -> None:
        self._changed = True

    async def _publish_forever(self) -> None:
        while True:
            if not self._viewers:
                self._viewer_came.clear()
                await self._viewer_came.wait()
            try:
                await self._publish()
            except JournalError:
                self._changed = True  # no state at the moment; viewers keep what they saw last
            except Exception:  # noqa: BLE001 - whatever it is: logged, and the next change is tried again
                self._log.exception("no snapshot could be made")
            await asyncio.sleep(self._interval_s)

    async def _publish(self) -> None:
        sessions = dict(self._sessions())
        if not self._changed and sessions == self._shown_sessions:
            return
        self._changed, self._shown_sessions = False, sessions
        for unit in list(self._viewers):
            snapshot = build_snapshot(self._coordinator.state, sessions, self._coordinator.now_ms(), unit)
            if self._viewers[unit]:  # else the last one went while others had their turn
                self._latest[unit] = msgspec.json.encode(snapshot)
            await asyncio.sleep(0)
        self._number += 1
        async with self._published:
            self._published.notify_all()
