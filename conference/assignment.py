"""Which relays halls get: single assignments, the halls of a lost relay, and the halls that still lack a backup.

Everything here reads the state and returns events. A decision about many halls works on a `Draft`, a copy of one
pool's charges, so that each hall sees the seats that those before it took.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from conference.errors import RejectedError
from conference.events import HallAssigned
from conference.ledger import SeatKey
from conference.planner.loads import HallWish, RelayLoad, open_for_halls
from conference.planner.paths import PathTable
from conference.planner.pool import NO_RELAYS, Pool
from conference.planner.tree import replan
from conference.roster import HallSeat
from conference.state import State
from relay.messages import Register

AssignReason = Literal["join", "silence", "assignment", "refused", "relay_lost", "backup_wanted"]


class Draft:
    """One pool's relays with their charges, and the seats changed so far, without touching the state.

    Its steps mirror what `apply` will do with the events, in the same order, so that seats of halls and of child
    relays are charged alike in both.

    Args:
        state: read, never changed.
        virtual: which pool.
    """

    def __init__(self, state: State, *, virtual: bool) -> None:
        self._state = state
        self._virtual = virtual
        self._loads = {
            relay.relay_id: msgspec.structs.replace(relay.load, parents=list(relay.load.parents))
            for relay in state.relays.values()
            if relay.virtual == virtual
        }
        self._live = {load.relay_id for load in state.ledger.pools[virtual].loads}
        self._pool = self._gather()
        self._changed: dict[SeatKey, HallAssigned] = {}
        # Room only shrinks while seats are given: what found no relay once finds none later in this draft.
        self._in_vain: set[tuple[str, int, frozenset[str]]] = set()

    def lose(self, relay_id: str) -> None:
        """The relay's lease ends."""
        self._live.discard(relay_id)
        self._loads[relay_id].parents = []
        self._loads[relay_id].links = 0
        self._replan()

    def register(self, register: Register) -> None:
        """The relay takes a lease."""
        policy = self._state.policy
        before = self._loads.get(register.relay_id)
        self._loads[register.relay_id] = RelayLoad(
            relay_id=register.relay_id,
            region=register.region,
            role=register.role,
            soft_seats=policy.seats(register.capacity, policy.soft_limit),
            hard_seats=policy.seats(register.capacity, policy.hard_limit),
            parents=[] if before is None else before.parents,
            primaries=0 if before is None else before.primaries,
            backups=0 if before is None else before.backups,
            hall_milliseats=0 if before is None else before.hall_milliseats,
        )
        self._live.add(register.relay_id)
        self._replan()

    def settle_all(self, keys: Iterable[SeatKey], reason: AssignReason, limit: int | None = None) -> list[HallAssigned]:
        """Assignments for those of the seats that need one and can have one, at most `limit`."""
        found: list[HallAssigned] = []
        for key in keys:
            if limit is not None and len(found) >= limit:
                break
            event = self._settle(key, reason)
            if event is not None:
                self._changed[key] = event
                found.append(event)
        return found

    def settle_wanting(self) -> list[HallAssigned]:
        """Assignments for seats that lack a live primary or a backup, as many as the policy allows at once."""
        limit = self._state.policy.assignments_per_decision
        keys = self._state.ledger.unsettled | {key for key, event in self._changed.items() if not event.backup}
        alone = len(open_for_halls(self._pool.loads)) < 2
        wanted = [
            key
            for key in keys
            if kind_of(self._state, key) == self._virtual and not (alone and self._relays_of(key)[0] in self._live)
        ]
        return self.settle_all(sorted(wanted), "backup_wanted", limit)

    def _settle(self, key: SeatKey, reason: AssignReason) -> HallAssigned | None:
        old = self._relays_of(key)
        stands = next((relay_id for relay_id in old if relay_id in self._pool), "")
        if stands == old[0] and old[1] in self._pool:
            return None
        wish = wish_of(self._state, key)
        search = (stands, wish.milliseats, wish.exclude)
        new = (stands, "") if search in self._in_vain else self._pool.settle(wish, *old)
        if not new[1] and (stands or not new[0]):
            self._in_vain.add(search)
        if not new[0] or new == old:
            return None  # without any relay it keeps the seat that it has, and gets another when one comes
        self._charge(old, wish, -1)
        self._charge(new, wish, 1)
        seat = self._state.conferences[key[0]].seats[key[1]]
        epoch = self._changed[key].epoch if key in self._changed else seat.epoch
        return assigned(key, epoch, *new, reason)

    def _relays_of(self, key: SeatKey) -> tuple[str, str]:
        event = self._changed.get(key)
        if event is not None:
            return event.primary, event.backup
        seat = self._state.conferences[key[0]].seats[key[1]]
        return seat.primary, seat.backup

    def _charge(self, relays: tuple[str, str], wish: HallWish, sign: int) -> None:
        for relay_id, primaries, backups in ((relays[0], sign, 0), (relays[1], 0, sign)):
            if relay_id in self._loads:
                self._loads[relay_id].charge(wish.milliseats, primaries=primaries, backups=backups)
                self._pool.touch(relay_id)

    def _gather(self, paths: PathTable | None = None) -> Pool:
        return Pool((self._loads[relay_id] for relay_id in self._live), self._state.policy.overflow, paths)

    def _replan(self) -> None:
        paths = replan([self._loads[relay_id] for relay_id in self._live], self._state.policy.overflow)
        self._pool = self._gather(paths)
        self._in_vain.clear()


def assigned(key: SeatKey, epoch: int, primary: str, backup: str, reason: AssignReason) -> HallAssigned:
    """The event that gives a hall its relays, with the epoch after `epoch`."""
    return HallAssigned(
        conference_id=key[0],
        hall_id=key[1],
        epoch=epoch + 1,
        primary=primary,
        backup=backup,
        reason=reason,
    )


def kind_of(state: State, key: SeatKey) -> bool:
    """Whether a seat's hall is virtual."""
    hall = state.halls.get(key[1])
    return hall is not None and hall.virtual


def wish_of(state: State, key: SeatKey) -> HallWish:
    """What is known of a seat's hall when relays are chosen for it."""
    return state.policy.wish(key[1], state.provinces.get(key[1], ""))


def settle(state: State) -> list[HallAssigned]:
    """Give the next halls that lack a live primary or a backup what room there is.

    `decide` does so when a relay registers, for `policy.assignments_per_decision` halls. The coordinator calls this
    after it, until it returns nothing, and may call it at any time: it is free where nothing is wanted.
    """
    if not state.ledger.unsettled:
        return []
    found: list[HallAssigned] = []
    for virtual in (False, True):
        found += Draft(state, virtual=virtual).settle_wanting()
    return found


def join(state: State, key: SeatKey, *, virtual: bool, avoid: frozenset[str] = NO_RELAYS) -> HallAssigned | None:
    """The assignment of a hall that joins, or None where it keeps what it has.

    Args:
        state: read only.
        key: conference and hall.
        virtual: kind of the hall.
        avoid: relays that are not to be counted on although their lease runs.

    Raises:
        RejectedError: `no_relay` (503).
    """
    pool, wish = state.ledger.pools[virtual], wish_of(state, key)
    seat = state.conferences[key[0]].seats.get(key[1])
    if seat is None or seat.left:
        primary, backup = pool.place(wish, avoid)
        return assigned(key, 0 if seat is None else seat.epoch, primary, backup, "join")

    primary, backup = (
        relay_id if state.is_live(relay_id) and relay_id not in avoid else ""
        for relay_id in (seat.primary, seat.backup)
    )
    if primary and backup:
        return None
    if not primary and not backup:
        try:
            primary, backup = pool.place(wish, avoid | {seat.primary, seat.backup})
        except RejectedError:
            if state.is_live(seat.primary):
                return None  # nothing better than the doubtful relay that it has
            raise
        return assigned(key, seat.epoch, primary, backup, "join")
    reason: AssignReason = "backup_wanted" if primary else "join"
    primary = primary or backup
    backup = pool.place_backup(wish, primary, avoid | {seat.primary, seat.backup})
    if not backup and primary == seat.primary:
        return None
    return assigned(key, seat.epoch, primary, backup, reason)


def follow(
    state: State, key: SeatKey, seat: HallSeat, to_relay: str, reason: AssignReason, avoid: frozenset[str]
) -> HallAssigned | None:
    """The assignment that follows a hall to the relay which it plays from now, or None where it has it already.

    A relay that is lost, or that is not one of the hall's own and is full, is not followed: the hall keeps what it
    was assigned, and goes back there when it reads the answer.
    """
    if to_relay == seat.primary or not state.is_live(to_relay):
        return None
    pool, wish = state.ledger.pools[kind_of(state, key)], wish_of(state, key)
    if to_relay != seat.backup and not pool.has_room(to_relay, wish.milliseats):
        return None
    backup = pool.place_backup(wish, to_relay, avoid | {seat.primary})
    if not backup and seat.primary not in avoid:
        # Its own line may have been at fault: a standby on the relay that it left is better than none.
        backup = pool.place_backup(wish, to_relay, avoid)
    return assigned(key, seat.epoch, to_relay, backup, reason)
