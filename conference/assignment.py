"""Which relays halls get: single assignments, the halls of a lost relay, and halls that lack a backup or are moved.

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
from conference.planner.loads import HallWish, open_for_halls
from conference.planner.paths import PathTable
from conference.planner.pool import NO_RELAYS, Pool
from conference.planner.tree import replan
from conference.roster import HallSeat, still_on
from conference.state import State
from relay.messages import Register

AssignReason = Literal["join", "silence", "assignment", "refused", "relay_lost", "backup_wanted", "ordered"]


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
        self._lost: set[str] = set()
        # Room only shrinks while seats are given: what found no relay once finds none later in this draft.
        self._in_vain: set[tuple[str, int, frozenset[str]]] = set()

    def lose(self, relay_id: str) -> None:
        """The relay's lease ends."""
        self._lost.add(relay_id)
        load = self._loads[relay_id]
        for key in self._state.ledger.seats_on.get(relay_id, ()):
            if self._leaving_of(key) == relay_id:
                load.charge(self._state.wish(key[1]).milliseats, leavers=-1)
        self._live.discard(relay_id)
        load.parents = []
        load.links = 0
        self._replan()

    def register(self, register: Register) -> None:
        """The relay takes a lease; nothing is planned anew for one that comes back as it was."""
        load = self._state.new_load(
            register.relay_id,
            register.region,
            register.role,
            register.capacity,
            self._loads.get(register.relay_id),
        )
        if register.relay_id in self._lost:
            load.mode = self._state.orders.mode(register.relay_id)  # its loss ended a suspicion
        known = self._state.relays.get(register.relay_id)
        if known is not None and register.relay_id in self._live and known.is_as_before(load):
            return
        self._loads[register.relay_id] = load
        self._live.add(register.relay_id)
        self._replan()

    def evacuate(self, relay_id: str) -> None:
        """The relay's halls and children are to leave it at once."""
        self._loads[relay_id].mode = "evacuating"
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

    def adopt(self, relay_id: str, keys: Iterable[SeatKey]) -> list[HallAssigned]:
        """Assignments for halls that play from a relay which has come back, and were given others while it was away.

        Where its line was cut, theirs was too: nobody could tell them, and their picture is where it was. So the state
        goes to them, as far as there is room, and not they across the country. Who plays elsewhere by now stays there.
        """
        found: list[HallAssigned] = []
        for key in keys:
            old, leaving = self.relays_of(key), self._leaving_of(key)
            seat, wish = self._state.conferences[key[0]].seats[key[1]], self._state.wish(key[1])
            has_followed = seat.last_move[0] == seat.epoch and seat.last_move[2] == old[0]
            if has_followed or relay_id in {old[0], leaving, seat.unwanted} | wish.exclude:
                continue
            if self._plays_beside(key, relay_id):
                continue
            self._charge((*old, leaving), wish, -1)
            if not self._pool.has_room(relay_id, wish.milliseats):
                self._charge((*old, leaving), wish, 1)
                continue
            backup = self._pool.place_backup(wish, relay_id)
            event = self._changed[key] = assigned(key, seat.epoch, relay_id, backup, "assignment")
            self._charge((relay_id, backup, self._still_on(leaving, old[0], event)), wish, 1)
            found.append(event)
        return found

    def _plays_beside(self, key: SeatKey, relay_id: str) -> bool:
        """Whether another relay sees the hall play there."""
        presence = self._state.presence.get(key[0], {}).get(key[1])
        return presence is not None and any(
            session.is_open and session.relay_id != relay_id for session in presence.sessions.values()
        )

    def settle_wanting(self) -> list[HallAssigned]:
        """Assignments for seats that lack a live primary or a backup, as many as the policy allows at once."""
        limit = self._state.policy.assignments_per_decision
        keys = self._state.ledger.unsettled | {key for key, event in self._changed.items() if not event.backup}
        alone = len(open_for_halls(self._pool.loads)) < 2
        wanted = [
            key
            for key in keys
            if kind_of(self._state, key) == self._virtual and not (alone and self.relays_of(key)[0] in self._live)
        ]
        return self.settle_all(sorted(wanted), "backup_wanted", limit)

    def _settle(self, key: SeatKey, reason: AssignReason) -> HallAssigned | None:
        old, leaving = self.relays_of(key), self._leaving_of(key)
        stands = next((relay_id for relay_id in old if self._pool.stands(relay_id)), "")
        if stands == old[0] and self._pool.stands(old[1]):
            return None
        wish = self._state.wish(key[1])
        search = (stands, wish.milliseats, wish.exclude)
        new = (stands, "") if search in self._in_vain else self._pool.settle(wish, *old)
        if not new[1] and (stands or not new[0]):
            self._in_vain.add(search)
        if not new[0] or new == old:
            return None  # without any relay it keeps the seat that it has, and gets another when one comes
        if new[0] != old[0] and old[0] in self._live:
            reason = "ordered"  # it plays there until it plays elsewhere
        seat = self._state.conferences[key[0]].seats[key[1]]
        epoch = self._changed[key].epoch if key in self._changed else seat.epoch
        event = assigned(key, epoch, *new, reason)
        self._charge((*old, leaving), wish, -1)
        self._charge((*new, self._still_on(leaving, old[0], event)), wish, 1)
        return event

    def relays_of(self, key: SeatKey) -> tuple[str, str]:
        """Primary and backup of a seat, after what this draft changed so far."""
        event = self._changed.get(key)
        if event is not None:
            return event.primary, event.backup
        seat = self._state.conferences[key[0]].seats[key[1]]
        return seat.primary, seat.backup

    def _leaving_of(self, key: SeatKey) -> str:
        """The relay that a hall has not left yet, after what this draft changed so far."""
        seat = self._state.conferences[key[0]].seats[key[1]]
        leaving = seat.leaving if seat.leaving in self._live else ""
        event = self._changed.get(key)
        return leaving if event is None else self._still_on(leaving, seat.primary, event)

    def _still_on(self, leaving: str, primary: str, event: HallAssigned) -> str:
        relay_id = still_on(leaving, primary, event)
        return relay_id if relay_id in self._live else ""

    def _charge(self, relays: tuple[str, str, str], wish: HallWish, sign: int) -> None:
        roles = ((relays[0], sign, 0, 0), (relays[1], 0, sign, 0), (relays[2], 0, 0, sign))
        for relay_id, primaries, backups, leavers in roles:
            if relay_id in self._loads:
                self._loads[relay_id].charge(wish.milliseats, primaries=primaries, backups=backups, leavers=leavers)
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


def move(state: State, key: SeatKey) -> HallAssigned | None:
    """The assignment that brings a misplaced hall to where orders want it, as far as there is room; else None.

    A standby that may stay becomes the primary, for it is warm. Where there is room for one relay only, the hall goes
    there without a backup: a relay that is to be emptied shall be empty.
    """
    seat = state.conferences[key[0]].seats[key[1]]
    wish = state.wish(key[1])
    if seat.unwanted:
        wish = msgspec.structs.replace(wish, exclude=wish.exclude | {seat.unwanted})
    new = state.ledger.pools[kind_of(state, key)].move(wish, seat.primary, seat.backup, seat.wanted)
    if not new[0] or new == (seat.primary, seat.backup):
        return None
    return assigned(key, seat.epoch, *new, "ordered")


def halls_without_room(state: State, relay_id: str) -> list[SeatKey]:
    """Seats that could not leave a relay if it were evacuated now: there is no room for them anywhere else."""
    relay = state.relays.get(relay_id)
    if relay is None or not relay.live:
        return []
    draft = Draft(state, virtual=relay.virtual)
    draft.evacuate(relay_id)
    keys = sorted(state.ledger.seats_on.get(relay_id, ()))
    draft.settle_all(keys, "ordered")
    return [key for key in keys if relay_id in draft.relays_of(key)]


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
    pool, wish = state.ledger.pools[virtual], state.wish(key[1])
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
    pool, wish = state.ledger.pools[kind_of(state, key)], state.wish(key[1])
    if to_relay == seat.leaving:
        # It could not go where it was sent: there it stays if it may, and is sent elsewhere if not.
        refused = msgspec.structs.replace(wish, exclude=wish.exclude | avoid | {seat.primary, seat.unwanted})
        primary, backup = pool.move(refused, to_relay, seat.backup)
        return assigned(key, seat.epoch, primary or to_relay, backup if primary else seat.backup, reason)
    if to_relay != seat.backup and not pool.has_room(to_relay, wish.milliseats):
        return None
    backup = pool.place_backup(wish, to_relay, avoid | {seat.primary})
    if not backup and seat.primary not in avoid:
        # Its own line may have been at fault: a standby on the relay that it left is better than none.
        backup = pool.place_backup(wish, to_relay, avoid)
    return assigned(key, seat.epoch, to_relay, backup, reason)
