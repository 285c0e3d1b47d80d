"""The rules: a command against the state becomes events, or a `RejectedError`, and nothing else.

Pure: reads the state, never changes it, and takes the time as an argument. A repeated command that would change
nothing gives no events. The rules of the register (units, halls, conferences) are in `conference.registry.registering`,
those of proposals about halls in `conference.registry.proposing`, of operators' orders in `conference.operating`, of
delegates in `conference.checkin.enrolling`.
"""

from __future__ import annotations

import math

from bridges.messages import HeadcountReport
from conference import assignment, operating
from conference.attendance import closing
from conference.checkin import enrolling
from conference.commands import (
    AuthorisePublisher,
    ChangePhase,
    ClearRelay,
    CloseAttendance,
    Command,
    CreateConference,
    DecideProposals,
    EnrolDelegates,
    ImportHalls,
    ImportUnits,
    JoinHall,
    LeaveHall,
    LoseRelay,
    MoveDelegates,
    NoteErasure,
    NoteReading,
    NoteRelays,
    ObservePresence,
    ProposeHalls,
    RecordCheckins,
    RecordMarks,
    RegisterRelay,
    ReissueCodes,
    ReportHeadcount,
    ReportMove,
    ReportPrecheck,
    SignOffReadiness,
    SuspectRelay,
    WithdrawDelegates,
    WithdrawHalls,
)
from conference.doubts import hold_ms
from conference.errors import RejectedError
from conference.events import (
    Event,
    HallLeft,
    HallMoved,
    HeadcountReported,
    PresenceObserved,
    PublishingAuthorised,
    RelayCleared,
    RelayLost,
    RelayRegistered,
    RelaysSeen,
    RelaySuspected,
)
from conference.ledger import SeatKey
from conference.lookup import conference_of, hall_of, joinable_conference_of, relay_of, seat_of
from conference.people import privacy_rules
from conference.readiness import readying
from conference.registry import proposing, registering
from conference.registry.registering import MAX_AT_MS, check_id
from conference.state import State
from relay.messages import PresenceDelta, SessionOpened

MAX_HEADCOUNT = 100_000  # the largest stadium; the average hall seats 60 to 95
MAX_NOTE_CHARACTERS = 1_000
MAX_INTERRUPTION_MS = 86_400_000.0  # a day
MAX_SESSION_ID_CHARACTERS = 128
MAX_URL_CHARACTERS = 2_048
MAX_ORIGINS = 4  # of one publisher: each costs its line the whole programme once more
MAX_CAPACITY_PER_S = 10**15  # beyond any line, within a 64-bit integer


def decide(state: State, command: Command, now_ms: int) -> list[Event]:  # noqa: C901, PLR0912 a case for each command
    """Decide a command.

    Args:
        state: what is known; not changed.
        command: what somebody wants.
        now_ms: milliseconds since the epoch.

    Returns:
        What happens, in order; empty where it has happened already.

    Raises:
        RejectedError: a rule refuses the command; `code` names the rule.
    """
    events: list[Event]
    match command:
        case JoinHall():
            events = _join(state, command)
        case ReportMove():
            events = _move(state, command)
        case ObservePresence():
            events = _observe(state, command)
        case ReportHeadcount():
            events = _headcount(state, command)
        case LeaveHall():
            events = _leave(state, command)
        case RegisterRelay():
            events = _register(state, command, now_ms)
        case LoseRelay():
            events = _lose(state, command)
        case NoteRelays():
            events = _note(state, command)
        case SuspectRelay() | ClearRelay():
            events = _doubt(state, command, now_ms)
        case AuthorisePublisher():
            events = _authorise(state, command)
        case ImportUnits():
            events = registering.import_units(state, command)
        case ImportHalls():
            events = proposing.import_halls(state, command)
        case ProposeHalls():
            events = proposing.propose(state, command)
        case DecideProposals():
            events = proposing.decide_proposals(state, command)
        case WithdrawHalls():
            events = proposing.withdraw(state, command)
        case CreateConference():
            events = registering.create_conference(state, command)
        case ChangePhase():
            events = registering.change_phase(state, command)
        case CloseAttendance():
            events = [*closing.close(state, command)]
        case (
            RecordCheckins() | RecordMarks() | EnrolDelegates() | WithdrawDelegates() | MoveDelegates() | ReissueCodes()
        ):
            events = [*enrolling.decide_delegates(state, command, now_ms)]
        case NoteReading() | NoteErasure():
            events = [privacy_rules.decide_privacy(state, command)]
        case ReportPrecheck() | SignOffReadiness():
            events = [*readying.decide_readiness(state, command, now_ms)]
        case _:
            events = operating.decide_order(state, command, now_ms)
    return events


def _join(state: State, command: JoinHall) -> list[Event]:
    conference = joinable_conference_of(state, command.conference_id)
    hall = hall_of(state, command.hall_id)
    if hall.virtual != command.virtual:
        kinds = ("a virtual hall", "real") if hall.virtual else ("a real hall", "virtual")
        raise RejectedError("hall_kind", f"{command.hall_id} is {kinds[0]}; it cannot join as a {kinds[1]} one")
    key = (conference.conference_id, hall.hall_id)
    seat, pause = conference.seats.get(hall.hall_id), state.orders.pause_of(conference.conference_id)
    if pause is not None and (seat is None or seat.left):
        raise RejectedError(
            "joins_paused", f"joining is paused: {pause.reason}", status=503, retry_after_s=pause.retry_after_s
        )
    event = assignment.join(state, key, virtual=hall.virtual, avoid=command.avoid)
    return [] if event is None else [event]


def _move(state: State, command: ReportMove) -> list[Event]:
    conference, report = joinable_conference_of(state, command.conference_id), command.report
    hall = hall_of(state, command.hall_id)
    seat = seat_of(conference, command.hall_id)
    relay = relay_of(state, report.to_relay)
    check_id(report.from_relay, "from_relay")
    if relay.virtual != hall.virtual:
        raise RejectedError("relay_kind", f"{hall.hall_id} cannot play from {relay.relay_id}: one of them is virtual")
    if not (math.isfinite(report.interruption_ms) and 0 <= report.interruption_ms <= MAX_INTERRUPTION_MS):
        raise RejectedError("bad_interruption", "interruption_ms is between 0 and a day", status=422)
    if not 1 <= report.epoch <= seat.epoch:
        raise RejectedError("unknown_epoch", f"epoch {report.epoch} was never assigned to {hall.hall_id}")
    if seat.last_move == (report.epoch, report.from_relay, report.to_relay):
        return []
    moved = HallMoved(
        conference_id=conference.conference_id,
        hall_id=hall.hall_id,
        from_relay=report.from_relay,
        to_relay=report.to_relay,
        reason=report.reason,
        interruption_ms=report.interruption_ms,
        epoch=report.epoch,
        from_primary=report.from_relay == seat.primary,
    )
    key = (conference.conference_id, hall.hall_id)
    event = assignment.follow(state, key, seat, report.to_relay, report.reason, command.avoid)
    return [moved] if event is None else [moved, event]


def _leave(state: State, command: LeaveHall) -> list[Event]:
    conference = conference_of(state, command.conference_id)
    hall = hall_of(state, command.hall_id)
    seat = conference.seats.get(hall.hall_id)
    if seat is None or seat.left or not conference.joinable:
        return []
    return [HallLeft(conference_id=conference.conference_id, hall_id=hall.hall_id)]


def _headcount(state: State, command: ReportHeadcount) -> list[Event]:
    conference, report = conference_of(state, command.conference_id), command.report
    hall = hall_of(state, command.hall_id)
    # After the end as well: figures arrive late, and a correction is appended with its author and time.
    if conference.phase == "draft":
        raise RejectedError("wrong_phase", f"conference {conference.conference_id} is not open yet")
    _check_headcount(report)
    known = state.headcounts.get(conference.conference_id, {}).get(hall.hall_id)
    event = HeadcountReported(
        conference_id=conference.conference_id,
        hall_id=hall.hall_id,
        summoned=report.summoned,
        present=report.present,
        excused=report.excused,
        unexcused=report.unexcused,
        exempt=report.exempt,
        note=report.note,
        revision=1 if known is None else known.revision + 1,
    )
    names = ("summoned", "present", "excused", "unexcused", "exempt", "note")
    if known is not None and all(getattr(known, name) == getattr(event, name) for name in names):
        return []
    return [event]


def _check_headcount(report: HeadcountReport) -> None:
    figures = (report.summoned, report.present, report.excused, report.unexcused, report.exempt)
    if min(figures) < 0 or max(figures) > MAX_HEADCOUNT:
        raise RejectedError("bad_headcount", f"each figure is between 0 and {MAX_HEADCOUNT}", status=422)
    if sum(figures[1:]) > report.summoned:
        raise RejectedError(
            "headcount_inconsistent",
            f"present, excused, unexcused and exempt make {sum(figures[1:])}, more than {report.summoned} summoned",
            status=422,
        )
    if len(report.note) > MAX_NOTE_CHARACTERS:
        raise RejectedError("bad_note", f"the note is longer than {MAX_NOTE_CHARACTERS} characters", status=422)


def _observe(state: State, command: ObservePresence) -> list[Event]:
    relay = relay_of(state, command.relay_id)
    deltas = _credible(state, command.deltas, virtual=relay.virtual)
    return [PresenceObserved(relay_id=relay.relay_id, deltas=deltas)] if deltas else []


def _credible(state: State, deltas: list[PresenceDelta], *, virtual: bool) -> list[PresenceDelta]:
    """The deltas about halls and conferences that exist, of the relay's kind; the rest is nobody's presence."""
    return [
        delta
        for delta in deltas
        if delta.conference in state.conferences
        and (hall := state.halls.get(delta.subject)) is not None
        and hall.virtual == virtual
        and len(delta.session_id) <= MAX_SESSION_ID_CHARACTERS
        and 0 <= delta.at_ms <= MAX_AT_MS
    ]


def _note(state: State, command: NoteRelays) -> list[Event]:
    """Only while presence is counted: a coordinator at rest writes nothing."""
    seen = [relay_id for relay_id in command.relay_ids if state.is_live(relay_id)]
    return [RelaysSeen(relay_ids=seen)] if seen and any(c.joinable for c in state.conferences.values()) else []


def _doubt(state: State, command: SuspectRelay | ClearRelay, now_ms: int) -> list[Event]:
    relay = relay_of(state, command.relay_id)
    is_suspected = state.is_suspected(relay.relay_id)
    if isinstance(command, ClearRelay):
        return [RelayCleared(relay_id=relay.relay_id, reason=command.reason)] if is_suspected else []
    if not relay.live or is_suspected:
        return []
    before = state.suspicions.get(relay.relay_id)
    return [
        RelaySuspected(
            relay_id=relay.relay_id,
            left=command.left,
            halls=command.halls,
            until_ms=now_ms + hold_ms(before, now_ms),
        )
    ]


def _register(state: State, command: RegisterRelay, now_ms: int) -> list[Event]:
    register = command.register
    check_id(register.relay_id, "relay_id")
    check_id(register.instance_id, "instance_id")
    if register.region:
        check_id(register.region, "region")
    for url in (register.base_url, register.metrics_url):
        if len(url) > MAX_URL_CHARACTERS:
            raise RejectedError("bad_url", f"a URL is longer than {MAX_URL_CHARACTERS} characters", status=422)
    if not all(
        0 < size <= MAX_CAPACITY_PER_S for size in (register.capacity.bits_per_s, register.capacity.packets_per_s)
    ):
        raise RejectedError("bad_capacity", "bits_per_s and packets_per_s are greater than 0", status=422)
    known = state.relays.get(register.relay_id)
    if known is not None and known.virtual != register.virtual:
        raise RejectedError("relay_kind", f"{register.relay_id} cannot change between real and virtual")

    registered = RelayRegistered(
        relay_id=register.relay_id,
        instance_id=register.instance_id,
        region=register.region,
        role=register.role,
        virtual=register.virtual,
        base_url=register.base_url,
        metrics_url=register.metrics_url,
        bits_per_s=register.capacity.bits_per_s,
        packets_per_s=register.capacity.packets_per_s,
        epoch=1 if known is None else known.epoch + 1,
    )
    sessions = _credible(state, list(register.sessions), virtual=register.virtual)
    seen = [PresenceObserved(relay_id=register.relay_id, deltas=sessions)] if sessions else []
    seated = _seated(state, sessions)
    if known is not None and known.instance_id == register.instance_id and not _strays(state, known.relay_id, seated):
        load = state.new_load(register.relay_id, register.region, register.role, register.capacity, known.load)
        if known.is_as_before(load):
            return [registered, *seen]

    events: list[Event] = []
    draft = assignment.Draft(state, virtual=register.virtual)
    if known is not None and known.live and known.instance_id != register.instance_id:
        # The process was started anew and its sessions are gone: since it was last heard, as far as anybody knows.
        last_seen_ms = min(now_ms, max(known.last_seen_ms, command.last_seen_ms))
        events.append(
            RelayLost(relay_id=known.relay_id, epoch=known.epoch, reason="lease_expired", last_seen_ms=last_seen_ms)
        )
        draft.lose(known.relay_id)
        events += draft.settle_all(sorted(state.ledger.seats_on.get(known.relay_id, ())), "relay_lost")
    draft.register(register)
    events += [registered, *seen, *draft.adopt(register.relay_id, seated)]
    return [*events, *draft.settle_wanting()]


def _seated(state: State, sessions: list[PresenceDelta]) -> list[SeatKey]:
    """The seats of halls that play, ascending; those that left, or whose conference is over, have none."""
    keys = {(session.conference, session.subject) for session in sessions if isinstance(session, SessionOpened)}
    return sorted(
        key
        for key in keys
        if state.conferences[key[0]].joinable
        and (seat := state.conferences[key[0]].seats.get(key[1])) is not None
        and not seat.left
    )


def _strays(state: State, relay_id: str, seated: list[SeatKey]) -> bool:
    """Whether any of these halls, which play from a relay, has its seat at another."""
    seats = (state.conferences[conference_id].seats[hall_id] for conference_id, hall_id in seated)
    return any(relay_id not in {seat.primary, seat.leaving} for seat in seats)


def _lose(state: State, command: LoseRelay) -> list[Event]:
    relay = relay_of(state, command.relay_id)
    if not relay.live or relay.epoch != command.epoch:
        return []
    lost = RelayLost(
        relay_id=relay.relay_id,
        epoch=relay.epoch,
        reason="goodbye" if command.goodbye else "lease_expired",
        last_seen_ms=command.last_seen_ms,
    )
    draft = assignment.Draft(state, virtual=relay.virtual)
    draft.lose(relay.relay_id)
    return [lost, *draft.settle_all(sorted(state.ledger.seats_on.get(relay.relay_id, ())), "relay_lost")]


def _authorise(state: State, command: AuthorisePublisher) -> list[Event]:
    """Choose the origins of a feed. Each authorisation is noted, also a repeated one: it hands out a new token."""
    conference = joinable_conference_of(state, command.conference_id)
    if command.feed not in conference.feeds:
        raise RejectedError(
            "unknown_feed", f"conference {conference.conference_id} has no feed {command.feed!r}", status=404
        )
    origins = [load for load in state.ledger.pools[False].loads if load.role == "origin"]
    if not origins:
        raise RejectedError("no_origin", "no origin relay is registered", status=503)
    first_parents = [load.parents[0] for load in state.ledger.pools[False].loads if load.parents]
    # All feeds of a conference at one origin, and that the one which most relays have as their first parent.
    in_use = set(conference.publishers.values())
    present = conference.publishers.get(command.feed)
    # One that is to be emptied gets no publisher, one that takes nothing new keeps the one that it has.
    shunned = {load.relay_id for load in origins if load.is_leaving or (load.is_closed and load.relay_id != present)}
    origin, *others = sorted(
        origins,
        key=lambda load: (
            load.relay_id in shunned,
            load.relay_id != present,
            load.relay_id not in in_use,
            -first_parents.count(load.relay_id),
            load.relay_id,
        ),
    )
    # The same packets to a second origin, so that none is a single point of failure, and to each that relays hang on.
    wanted = [
        load.relay_id
        for number, load in enumerate(others)
        if load.links or (number == 0 and load.relay_id not in shunned)
    ]
    return [
        PublishingAuthorised(
            conference_id=conference.conference_id,
            feed=command.feed,
            relay_id=origin.relay_id,
            backup_relay_ids=wanted[: MAX_ORIGINS - 1],
        )
    ]
