"""Which relays are to be suspected: media decides, and no heartbeat. Pure; time is an argument.

A relay that heartbeats and delivers nothing is known to its halls alone: within half a second they play from their
backups, and report that they left it because nothing came. Here those reports are weighed. A suspected relay takes no
halls and is emptied at the mover's pace; after a while, each time twice as long, it is tried again.

What would be a wrong verdict, and what prevents it:

- **A few halls that lie, or whose own lines are bad**: shares count and not numbers, each hall once, and only reports
  about the relay that was the hall's primary.
- **A province's line**: where halls of other provinces stay on the relay, or halls of the same province left their
  other relays too, the province is the cause.
- **A source that is silent everywhere** moves nobody, so there are no reports. **A parent of many relays that fails**
  moves halls of many: a relay is suspected only while the others' halls stay.
- **A verdict that leaves too few relays**: at most a quarter of the edges is suspected, and one where there are fewer.
- **A relay that is dead and not just mute** has no control connection: its lease decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from conference.commands import ClearRelay, SuspectRelay
from conference.events import Event, HallMoved
from conference.ledger import SeatKey
from conference.planner.loads import open_for_halls
from conference.roster import RelayState
from conference.state import State

WINDOW_MS = (
    10_000  # halls leave within half a second; their reports may wait for a coordinator that is just taking over
)
MIN_LEFT = 3  # fewer halls say more about themselves than about a relay
SHARE = 0.5  # of a relay's halls
OTHERS_SHARE = 0.25  # where so many halls of other relays left theirs as well, the cause is behind all of them
EDGES_PER_SUSPECT = 4
ARRIVALS = 3  # so many halls that went to a suspected relay out of a silence say that it delivers


class _Move(msgspec.Struct, frozen=True):
    """A hall's latest move because nothing came."""

    at_ms: int
    from_relay: str
    to_relay: str


class Suspicions:
    """Weighs the halls' reports of the last seconds; what was decided about relays is in the state."""

    def __init__(self) -> None:
        self._moves: dict[SeatKey, _Move] = {}
        self._news = False

    def handle_event(self, event: Event, at_ms: int) -> None:
        """Take an event of the journal, at its record's time."""
        if isinstance(event, HallMoved) and event.from_primary and event.reason != "assignment":
            self._moves[event.conference_id, event.hall_id] = _Move(at_ms, event.from_relay, event.to_relay)
            self._news = True

    def next_commands(
        self, state: State, now_ms: int, avoid: frozenset[str] = frozenset()
    ) -> list[SuspectRelay | ClearRelay]:
        """What follows from the reports; call it some times a second, it costs nothing where nothing was reported.

        Args:
            state: read.
            now_ms: milliseconds since the epoch.
            avoid: relays without a control connection.
        """
        commands: list[SuspectRelay | ClearRelay] = []
        for relay_id, suspicion in state.suspicions.items():
            if suspicion.is_active and now_ms >= suspicion.until_ms:
                commands.append(ClearRelay(relay_id=relay_id, reason="time"))
        if not self._news:
            return commands
        self._news = False
        self._moves = {key: move for key, move in self._moves.items() if move.at_ms > now_ms - WINDOW_MS}
        commands += self._exonerated(state)
        for relay_id, _ in Counter(move.from_relay for move in self._moves.values()).most_common():
            relay = state.relays.get(relay_id)
            if relay is None or not relay.live or relay_id in avoid or state.is_suspected(relay_id):
                continue
            verdict = self._judge(state, relay)
            if verdict is not None:
                commands.append(verdict)
                break  # one at a time: the next is weighed against what is left
        return commands

    def _exonerated(self, state: State) -> list[SuspectRelay | ClearRelay]:
        """Suspected relays at which halls found what they missed elsewhere."""
        arrivals = Counter(
            move.to_relay
            for move in self._moves.values()
            if state.is_suspected(move.to_relay) and move.at_ms > state.suspicions[move.to_relay].since_ms
        )
        return [ClearRelay(relay_id=relay_id, reason="halls") for relay_id, n in arrivals.items() if n >= ARRIVALS]

    def _judge(self, state: State, relay: RelayState) -> SuspectRelay | None:
        relay_id = relay.relay_id
        left = {
            key
            for key, move in self._moves.items()
            if move.from_relay == relay_id and (seat := state.seat(*key)) is not None and seat.primary != relay_id
        }
        stayed = {
            key
            for key in state.ledger.seats_on.get(relay_id, ())
            if (seat := state.seat(*key)) is not None and seat.primary == relay_id
        }
        halls = len(left) + len(stayed)
        if len(left) < MIN_LEFT or len(left) < SHARE * halls or not _may_spare(state, relay):
            return None
        if not self._left_from_everywhere(state, left, stayed) or self._others_left(state, relay, left):
            return None
        return SuspectRelay(relay_id=relay_id, left=len(left), halls=halls)

    def _left_from_everywhere(self, state: State, left: set[SeatKey], stayed: set[SeatKey]) -> bool:
        """Whether the halls of the other provinces left as well as those of the one that left most."""
        gone, kept = _by_region(state, left), _by_region(state, stayed)
        most = max(gone, key=lambda region: (gone[region], region))
        outside_gone = gone.total() - gone[most]
        outside = outside_gone + kept.total() - kept[most]
        return outside_gone >= SHARE * outside

    def _others_left(self, state: State, relay: RelayState, left: set[SeatKey]) -> bool:
        """Whether halls left other relays too: all over, or in the provinces of those that left this one."""
        regions = set(_by_region(state, left))
        gone, halls = Counter[str](), Counter[str]()
        for conference in state.conferences.values():
            if not conference.joinable:
                continue
            for hall_id, seat in conference.seats.items():
                key = (conference.conference_id, hall_id)
                hall = state.halls.get(hall_id)
                if seat.left or key in left or hall is None or hall.virtual != relay.virtual:
                    continue
                move = self._moves.get(key)
                home = seat.primary if move is None else move.from_relay
                # Who left a relay that is known to be lost or suspected says nothing about the rest of the country.
                if home == relay.relay_id or not state.is_live(home) or state.is_suspected(home):
                    continue
                for group in ("everywhere", "here") if state.provinces.get(hall_id, "") in regions else ("everywhere",):
                    halls[group] += 1
                    gone[group] += move is not None
        return any(gone[group] > OTHERS_SHARE * halls[group] for group in halls)


def _may_spare(state: State, relay: RelayState) -> bool:
    """Whether enough relays are left without this one."""
    edges = open_for_halls(state.ledger.pools[relay.virtual].loads)
    suspected = sum(state.is_suspected(load.relay_id) for load in edges)
    others = sum(not load.is_closed and load.relay_id != relay.relay_id for load in edges)
    return others > 0 and relay.load in edges and suspected < max(1, len(edges) // EDGES_PER_SUSPECT)


def _by_region(state: State, keys: Iterable[SeatKey]) -> Counter[str]:
    return Counter(state.provinces.get(hall_id, "") for _, hall_id in keys)
