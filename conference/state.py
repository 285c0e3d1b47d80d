"""The coordinator's state and the fold that makes it: `apply(state, event, at_ms)`.

The state is changed in place: with 40,000 halls a copy per event would cost more than everything else. Only `apply`
writes; whoever decides or reports reads. `apply` is total: an event that is in the journal always applies, also one
that names something this state does not know (streams may be read one after the other), and it refuses nothing.

What can be computed from the rest (charged seats, indexes, tallies) is kept beside it for speed, is rebuilt by
`derive`, and is never part of a snapshot or a fingerprint, so that it cannot drift.
"""

from __future__ import annotations

from collections.abc import Iterable

from bridges.halls import Hall
from bridges.presence import HallPresence
from bridges.units import Unit
from conference.attendance.counting import CountEvent, apply_count
from conference.attendance.places import HallPlaces
from conference.attendance.rollup import RollUp
from conference.attendance.standing import hall_figures
from conference.checkin.checkins import Checkins
from conference.doubts import Suspicion, apply_doubt, end_suspicion
from conference.events import (
    ConferenceCreated,
    Event,
    HallAssigned,
    HallLeft,
    HallMoved,
    HallReleased,
    HallsImported,
    PhaseChanged,
    PrecheckReported,
    PresenceObserved,
    PublishingAuthorised,
    RehearsalSignedOff,
    RelayCleared,
    RelayLost,
    RelayRegistered,
    RelaysSeen,
    RelaySuspected,
    UnitsImported,
)
from conference.incidents import note_incident
from conference.ledger import SeatKey, SeatLedger
from conference.ordering import apply_order, mode_of
from conference.orders import Orders
from conference.people.access_log import AccessLog, apply_privacy
from conference.people.privacy_events import PersonsErased, PersonsRead
from conference.planner.loads import HallWish, RelayLoad
from conference.policy import Policy
from conference.readiness.prechecking import Prechecks
from conference.registry.events import HallsProposed, HallsWithdrawn, ProposalsDecided
from conference.registry.fold import apply_register, locate
from conference.registry.register import Register
from conference.roster import (
    KEPT_INTERRUPTIONS,
    Closing,
    ConferenceState,
    HallSeat,
    Headcount,
    RelayState,
    drafted,
    still_on,
)
from relay.messages import Capacity, RelayRole, SessionOpened


class State:
    """Everything the coordinator knows.

    Attributes:
        policy: limits of planning; configuration, not part of a snapshot.
        units: by code.
        halls: by hall id.
        conferences: by conference id.
        relays: by relay id, live and lost.
        presence: by conference id and hall id; presence by connection.
        headcounts: by conference id and hall id; the technicians' figures.
        checkins: by conference id, its delegates and who of them was checked in; only where there is a roster.
        checkin_authors: by conference id and hall id, when and by whom its delegates were last recorded.
        closings: by conference id, the figures at the closing of its attendance.
        access_log: who read persons, and what was erased.
        prechecks: what pre-checks of halls measured, and who signed off for them.
        orders: what operators ordered and what stands.
        register: the history of halls and the proposals about them.
        suspicions: by relay id, what its halls said of it by leaving it.
        newest_ms: greatest time of a record; what is decided next is never dated before it.
        ledger: charged seats and pools of live relays; derived.
        provinces: root unit of each hall; derived.
        places: where halls stand in both trees; derived.
        rollups: by conference id, its attendance at every level of both trees; derived.
    """

    __slots__ = (
        "access_log",
        "checkin_authors",
        "checkins",
        "closings",
        "conferences",
        "halls",
        "headcounts",
        "ledger",
        "newest_ms",
        "orders",
        "places",
        "policy",
        "prechecks",
        "presence",
        "provinces",
        "register",
        "relays",
        "rollups",
        "suspicions",
        "units",
    )

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.units: dict[str, Unit] = {}
        self.halls: dict[str, Hall] = {}
        self.conferences: dict[str, ConferenceState] = {}
        self.relays: dict[str, RelayState] = {}
        self.presence: dict[str, dict[str, HallPresence]] = {}
        self.headcounts: dict[str, dict[str, Headcount]] = {}
        self.checkins: dict[str, Checkins] = {}
        self.checkin_authors: dict[str, dict[str, tuple[int, str]]] = {}
        self.closings: dict[str, Closing] = {}
        self.access_log = AccessLog()
        self.prechecks = Prechecks()
        self.orders = Orders()
        self.register = Register()
        self.suspicions: dict[str, Suspicion] = {}
        self.newest_ms = 0
        self.ledger = SeatLedger(self.relays, self.policy.overflow, self.excluded)
        self.provinces: dict[str, str] = {}
        self.places = HallPlaces(self.units, self.halls, self.register.withdrawn)
        self.rollups: dict[str, RollUp] = {}

    def is_live(self, relay_id: str) -> bool:
        """Whether a relay is known and its lease runs."""
        relay = self.relays.get(relay_id)
        return relay is not None and relay.live

    @property
    def parents(self) -> dict[str, list[str]]:
        """Parents of each live relay, best first."""
        return {load.relay_id: load.parents for pool in self.ledger.pools.values() for load in pool.loads}

    def is_suspected(self, relay_id: str) -> bool:
        """Whether a relay's halls left it because nothing came, and it was not tried again since."""
        suspicion = self.suspicions.get(relay_id)
        return suspicion is not None and suspicion.is_active

    def wish(self, hall_id: str) -> HallWish:
        """What is known of a hall when relays are chosen for it."""
        return self.orders.wish(hall_id, self.provinces.get(hall_id, ""), self.policy)

    def excluded(self, hall_id: str) -> frozenset[str]:
        """Relays that a hall shall not have."""
        return self.orders.excluded(hall_id, self.provinces.get(hall_id, ""), self.policy)

    def new_load(
        self, relay_id: str, region: str, role: RelayRole, capacity: Capacity, before: RelayLoad | None
    ) -> RelayLoad:
        """The load of a relay that registers: limits and mode by the orders, parents and charges as they were."""
        soft_seats, hard_seats = self.orders.seats(relay_id, capacity, self.policy)
        return RelayLoad(
            relay_id=relay_id,
            region=region,
            role=role,
            soft_seats=soft_seats,
            hard_seats=hard_seats,
            parents=[] if before is None else list(before.parents),
            primaries=0 if before is None else before.primaries,
            backups=0 if before is None else before.backups,
            leavers=0 if before is None else before.leavers,
            hall_milliseats=0 if before is None else before.hall_milliseats,
            mode=mode_of(self, relay_id),
        )

    def seat(self, conference_id: str, hall_id: str) -> HallSeat | None:
        """A hall's seat, also when it left; None if it never joined."""
        conference = self.conferences.get(conference_id)
        return None if conference is None else conference.seats.get(hall_id)


def apply(  # noqa: C901, PLR0912 one case for each event there is
    state: State, event: Event, at_ms: int, actor: str = ""
) -> None:
    """Fold one event into the state, in place.

    Args:
        state: changed.
        event: from the journal, or just decided and durable.
        at_ms: time of its record.
        actor: who, by its record; kept of orders.
    """
    state.newest_ms = max(state.newest_ms, at_ms)
    state.places.handle_time(at_ms)
    note_incident(state, event, at_ms, actor)
    match event:
        case PresenceObserved():
            _apply_presence(state, event)
        case RelaySuspected() | RelayCleared():
            apply_doubt(state, event, at_ms)
        case RelaysSeen():
            _apply_seen(state, event.relay_ids, at_ms)
        case HallAssigned():
            _apply_assignment(state, event, at_ms)
        case HallMoved():
            _apply_move(state, event)
        case _ if isinstance(event, CountEvent):
            for hall_id in apply_count(state, event, at_ms, actor):
                _refresh(state, event.conference_id, hall_id)
        case PersonsRead() | PersonsErased():
            apply_privacy(state.access_log, event, at_ms, actor)
        case PrecheckReported() | RehearsalSignedOff():
            state.prechecks.apply(event)
        case HallLeft():
            _apply_leave(state, event)
        case HallReleased():
            _apply_release(state, event)
        case RelayRegistered():
            _apply_registration(state, event, at_ms)
        case RelayLost():
            _apply_loss(state, event, at_ms)
        case ConferenceCreated():
            if event.conference_id not in state.conferences:
                state.conferences[event.conference_id] = drafted(event, at_ms)
                _roll_up(state, event.conference_id)
        case PhaseChanged():
            _apply_phase(state, event, at_ms)
        case PublishingAuthorised():
            conference = state.conferences.get(event.conference_id)
            if conference is not None:
                conference.publishers[event.feed] = event.relay_id
                conference.backup_origins[event.feed] = list(event.backup_relay_ids)
        case UnitsImported():
            state.units.update((unit.code, unit) for unit in event.units)
            locate(state, (*state.halls.values(), *state.register.withdrawn.values()))
        case HallsImported() | HallsWithdrawn() | HallsProposed() | ProposalsDecided():
            apply_register(state, event, at_ms, actor)
        case _:
            apply_order(state, event, at_ms, actor)


def _apply_seen(state: State, relay_ids: Iterable[str], at_ms: int) -> None:
    for relay_id in relay_ids:
        relay = state.relays.get(relay_id)
        if relay is not None and relay.live:
            relay.last_seen_ms = max(relay.last_seen_ms, at_ms)


def _apply_presence(state: State, event: PresenceObserved) -> None:
    for delta in event.deltas:
        halls = state.presence.setdefault(delta.conference, {})
        presence = halls.get(delta.subject)
        if presence is None:
            presence = halls[delta.subject] = HallPresence()
        if isinstance(delta, SessionOpened):
            presence.handle_opened(delta.session_id, event.relay_id, delta.at_ms)
        else:
            presence.handle_closed(delta.session_id, event.relay_id, delta.at_ms)
        _refresh(state, delta.conference, delta.subject)


def _apply_assignment(state: State, event: HallAssigned, at_ms: int) -> None:
    conference = state.conferences.get(event.conference_id)
    if conference is None:
        return
    seat = conference.seats.get(event.hall_id)
    key = (event.conference_id, event.hall_id)
    if seat is None:
        seat = conference.seats[event.hall_id] = HallSeat(
            epoch=event.epoch,
            primary=event.primary,
            backup=event.backup,
            assigned_at_ms=at_ms,
            joined_at_ms=at_ms,
        )
    else:
        if conference.joinable and not seat.left:
            state.ledger.release(key, seat)
        was_left = seat.left
        leaving = still_on(seat.leaving, seat.primary, event)
        seat.leaving = leaving if state.is_live(leaving) else ""
        seat.wanted = "" if seat.wanted == event.primary else seat.wanted
        seat.unwanted = seat.unwanted if seat.unwanted in (event.primary, event.backup) else ""
        seat.epoch = event.epoch
        seat.primary = event.primary
        seat.backup = event.backup
        seat.assigned_at_ms = at_ms
        seat.left = False
        if was_left:
            _refresh(state, event.conference_id, event.hall_id)
    if conference.joinable:
        _charge(state, key, seat)


def _charge(state: State, key: SeatKey, seat: HallSeat) -> None:
    state.ledger.charge(key, seat, state.policy.milliseats(state.provinces.get(key[1], "")))


def _apply_move(state: State, event: HallMoved) -> None:
    seat = state.seat(event.conference_id, event.hall_id)
    if seat is None:
        return
    seat.moves += 1
    seat.interruptions_ms.append(event.interruption_ms)
    del seat.interruptions_ms[:-KEPT_INTERRUPTIONS]
    seat.last_move = (event.epoch, event.from_relay, event.to_relay)
    if event.to_relay != seat.leaving:
        _end_leaving(state, (event.conference_id, event.hall_id), seat)


def _apply_release(state: State, event: HallReleased) -> None:
    seat = state.seat(event.conference_id, event.hall_id)
    if seat is not None and seat.leaving == event.relay_id:
        _end_leaving(state, (event.conference_id, event.hall_id), seat)


def _end_leaving(state: State, key: SeatKey, seat: HallSeat) -> None:
    """The hall has no session any more at the relay that it had to leave."""
    if not seat.leaving:
        return
    is_charged = state.conferences[key[0]].joinable and not seat.left
    if is_charged:
        state.ledger.release(key, seat)
    seat.leaving = ""
    if is_charged:
        _charge(state, key, seat)


def _apply_leave(state: State, event: HallLeft) -> None:
    conference = state.conferences.get(event.conference_id)
    seat = None if conference is None else conference.seats.get(event.hall_id)
    if conference is None or seat is None or seat.left:
        return
    if conference.joinable:
        state.ledger.release((event.conference_id, event.hall_id), seat)
    seat.left = True
    seat.leaving = seat.wanted = seat.unwanted = ""
    _refresh(state, event.conference_id, event.hall_id)


def _apply_registration(state: State, event: RelayRegistered, at_ms: int) -> None:
    capacity = Capacity(bits_per_s=event.bits_per_s, packets_per_s=event.packets_per_s)
    before = state.relays.get(event.relay_id)
    load = state.new_load(event.relay_id, event.region, event.role, capacity, None if before is None else before.load)
    if before is not None and before.is_as_before(load):
        load = before.load
    state.relays[event.relay_id] = RelayState(
        relay_id=event.relay_id,
        instance_id=event.instance_id,
        region=event.region,
        role=event.role,
        virtual=event.virtual,
        base_url=event.base_url,
        metrics_url=event.metrics_url,
        capacity=capacity,
        epoch=event.epoch,
        live=True,
        registered_at_ms=at_ms,
        last_seen_ms=at_ms,
        load=load,
    )
    if before is not None and load is before.load:
        return
    state.ledger.recount(event.relay_id, state.conferences)
    state.ledger.replan({event.virtual} if before is None else {event.virtual, before.virtual})


def _apply_loss(state: State, event: RelayLost, at_ms: int) -> None:
    relay = state.relays.get(event.relay_id)
    if relay is None:
        return
    relay.live = False
    relay.last_seen_ms = event.last_seen_ms
    relay.load.parents = []
    relay.load.links = 0
    end_suspicion(state, event.relay_id, at_ms)  # dead, and not just mute: who registers again begins anew
    for conference_id, hall_id in list(state.ledger.seats_on.get(event.relay_id, ())):
        seat = state.conferences[conference_id].seats[hall_id]
        if seat.leaving == event.relay_id:
            _end_leaving(state, (conference_id, hall_id), seat)
    state.ledger.lose(event.relay_id)
    state.ledger.replan({relay.virtual})
    for conference_id, halls in state.presence.items():
        for hall_id, presence in halls.items():
            if any(session.relay_id == event.relay_id for session in presence.sessions.values()):
                presence.close_relay(event.relay_id, event.last_seen_ms)
                _refresh(state, conference_id, hall_id)


def _apply_phase(state: State, event: PhaseChanged, at_ms: int) -> None:
    conference = state.conferences.get(event.conference_id)
    if conference is None:
        return
    was_joinable = conference.joinable
    conference.phase = event.phase
    conference.phases.append((event.phase, at_ms))
    if conference.joinable == was_joinable:
        return
    for hall_id, seat in conference.seats.items():
        if not seat.left:
            key = (event.conference_id, hall_id)
            if conference.joinable:
                _charge(state, key, seat)
            else:
                state.ledger.release(key, seat)
    state.rollups[event.conference_id].touch_all()


def _refresh(state: State, conference_id: str, hall_id: str) -> None:
    """Note that what is known of a hall in a conference changed."""
    rollup = state.rollups.get(conference_id)
    if rollup is not None:
        rollup.touch(hall_id)


def _roll_up(state: State, conference_id: str) -> None:
    state.rollups[conference_id] = RollUp(state.places, lambda hall_id: hall_figures(state, conference_id, hall_id))


def derive(state: State) -> None:
    """Build everything derived anew, after a snapshot filled in the rest."""
    for relay in state.relays.values():
        parents = relay.load.parents
        relay.load = state.new_load(relay.relay_id, relay.region, relay.role, relay.capacity, None)
        relay.load.parents = parents
    state.ledger.restore()
    state.places = HallPlaces(state.units, state.halls, state.register.withdrawn)
    state.places.handle_time(state.newest_ms)
    locate(state, (*state.halls.values(), *state.register.withdrawn.values()))
    for conference_id, conference in state.conferences.items():
        for hall_id, seat in conference.seats.items():
            if conference.joinable and not seat.left:
                _charge(state, (conference_id, hall_id), seat)
        _roll_up(state, conference_id)
