"""A relay as the planner sees it, and what a hall wants of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from relay.messages import RelayRole

SEAT_MILLISEATS = 1_000
"""What one subscriber of the whole programme takes: halls of a region with a lower bitrate take less than a seat."""

MAX_CHAIN = 60
"""Longest overflow chain that is read: distances stay below 64, and Việt Nam has 34 provinces."""

RelayMode = Literal["open", "cordoned", "draining", "evacuating"]
"""What operators want of a relay: to serve; to keep what it has and take nothing new; to be emptied at a pace; to be
emptied at once."""


class RelayLoad(msgspec.Struct, kw_only=True):
    """A live relay as the planner sees it; mutable, because charges are kept as they happen.

    Attributes:
        relay_id: its name.
        region: unit code of its province, or "" for the centre.
        role: origins have no parents and take halls only where no edge exists.
        soft_seats: seats up to which it is preferred.
        hard_seats: seats that it never passes.
        parents: present parents, best first.
        primaries: halls that play from it.
        backups: halls that keep a warm standby on it.
        links: relays that have it as one of their parents; each takes a seat, whether it plays, waits or merges.
        leavers: halls that play from another relay by now and have not said yet that they left this one.
        hall_milliseats: what the halls of `primaries`, `backups` and `leavers` take together.
        mode: what operators want of it.
    """

    relay_id: str
    region: str
    role: RelayRole
    soft_seats: int
    hard_seats: int
    parents: list[str] = msgspec.field(default_factory=list)
    primaries: int = 0
    backups: int = 0
    links: int = 0
    leavers: int = 0
    hall_milliseats: int = 0
    mode: RelayMode = "open"

    @property
    def charged_milliseats(self) -> int:
        """What halls and child relays take together."""
        return self.hall_milliseats + SEAT_MILLISEATS * self.links

    @property
    def limit_milliseats(self) -> int:
        """Up to here halls are placed; an origin keeps the rest for the relays that come later.

        One that operators closed is full with whatever it has.
        """
        return 0 if self.is_closed else self.keeping_milliseats

    @property
    def keeping_milliseats(self) -> int:
        """Up to here it may keep halls that it has, also when it takes no new ones."""
        return SEAT_MILLISEATS * (self.soft_seats if self.role == "origin" else self.hard_seats)

    @property
    def utilisation(self) -> float:
        """Share of the hard limit that is charged; 0 for a relay that carries nobody."""
        return self.charged_milliseats / (SEAT_MILLISEATS * self.hard_seats) if self.hard_seats else 0.0

    @property
    def waiting(self) -> float:
        """Share of the hard limit that its standbys take, if they take what its other halls do; part of its use."""
        if not self.backups or not self.hard_seats:
            return 0.0
        share = self.backups / (self.primaries + self.backups + self.leavers)
        return share * self.hall_milliseats / (SEAT_MILLISEATS * self.hard_seats)

    @property
    def is_closed(self) -> bool:
        """It takes no new halls and no new child relays."""
        return self.mode != "open"

    @property
    def is_leaving(self) -> bool:
        """Its halls and its child relays are to go elsewhere."""
        return self.mode in ("draining", "evacuating")

    @property
    def is_empty(self) -> bool:
        """Nobody is charged to it: it may be stopped."""
        return not (self.primaries or self.backups or self.leavers or self.links)

    def charge(self, milliseats: int, *, primaries: int = 0, backups: int = 0, leavers: int = 0) -> None:
        """Count halls of `milliseats` each in, or out where the counts are negative."""
        self.primaries += primaries
        self.backups += backups
        self.leavers += leavers
        self.hall_milliseats += milliseats * (primaries + backups + leavers)


class HallWish(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a hall when relays are chosen for it.

    Attributes:
        hall_id: its id.
        region: unit code of its province, or "".
        milliseats: what it takes of a relay, at its primary and again at its backup.
        pins: relays that it shall have, the primary first; one that is gone or full is passed over.
        exclude: relays that it shall never have.
    """

    hall_id: str
    region: str
    milliseats: int = SEAT_MILLISEATS
    pins: tuple[str, ...] = ()
    exclude: frozenset[str] = frozenset()


def open_for_halls(relays: Sequence[RelayLoad]) -> Sequence[RelayLoad]:
    """Relays that take halls: the edges, or the origins of a pool that has no edge."""
    edges = [relay for relay in relays if relay.role == "edge"]
    return edges or relays
