"""How a hall stands in a conference (present, lost, waiting, left), and how many of a province stand so.

A `Board` keeps the counts as single halls change, so that a read costs nothing at 40,000 halls. Virtual halls are
counted apart: no figure about media may hold them.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from bridges.attendance import HallStatus, status_of
from bridges.presence import HallPresence
from conference.lifecycle import JOINABLE, Phase


def standing(phase: Phase, presence: HallPresence | None, *, left: bool) -> HallStatus:
    """How a hall stands (`bridges.attendance.status_of`) in a conference that expects it while it can be joined."""
    if presence is None:
        return status_of(is_open=False, ever_seen=False, left=left)
    seen = bool(presence.spans) or any(session.since_ms is not None for session in presence.sessions.values())
    return status_of(is_open=presence.is_open, ever_seen=seen, left=left, expected=phase in JOINABLE)


class Tally(msgspec.Struct, kw_only=True):
    """Counts of halls by connection; `halls` is the sum of the others."""

    halls: int = 0
    waiting: int = 0
    present: int = 0
    lost: int = 0
    left: int = 0

    def add(self, status: HallStatus, count: int = 1) -> None:
        """Count `count` more (or fewer, if negative) halls that stand so."""
        self.halls += count
        match status:
            case "waiting":
                self.waiting += count
            case "present":
                self.present += count
            case "lost":
                self.lost += count
            case "left":
                self.left += count

    def plus(self, other: Tally) -> Tally:
        """The sum of two tallies, as a new one."""
        return Tally(
            halls=self.halls + other.halls,
            waiting=self.waiting + other.waiting,
            present=self.present + other.present,
            lost=self.lost + other.lost,
            left=self.left + other.left,
        )


class Board:
    """The standing of every registered hall in one conference, and the tallies by province and by kind."""

    __slots__ = ("_places", "_statuses", "_tallies")

    def __init__(self) -> None:
        self._statuses: dict[str, HallStatus] = {}
        self._places: dict[str, tuple[str, bool]] = {}
        self._tallies: dict[tuple[str, bool], Tally] = {}

    def put(self, hall_id: str, province: str, *, virtual: bool, status: HallStatus) -> None:
        """Note a hall's place and standing; replaces what was noted before."""
        before = self._statuses.get(hall_id)
        place = (province, virtual)
        old_place = self._places.get(hall_id)
        if before == status and old_place == place:
            return
        if before is not None and old_place is not None:
            self._tallies[old_place].add(before, -1)
        self._statuses[hall_id] = status
        self._places[hall_id] = place
        tally = self._tallies.get(place)
        if tally is None:
            tally = self._tallies[place] = Tally()
        tally.add(status)

    def status(self, hall_id: str) -> HallStatus:
        """A hall's standing; `waiting` for one that is not registered."""
        return self._statuses.get(hall_id, "waiting")

    def halls(self, status: HallStatus) -> list[str]:
        """Ids of the halls that stand so, in ascending order; one pass over all halls."""
        return sorted(hall_id for hall_id, standing_now in self._statuses.items() if standing_now == status)

    def total(self, *, virtual: bool | None = None) -> Tally:
        """Counts of the country; of real or virtual halls alone if asked."""
        return _sum(tally for (_, kind), tally in self._tallies.items() if virtual in (None, kind))

    def province(self, code: str, *, virtual: bool | None = None) -> Tally:
        """Counts of one province; of real or virtual halls alone if asked."""
        kinds = (False, True) if virtual is None else (virtual,)
        return _sum(self._tallies[code, kind] for kind in kinds if (code, kind) in self._tallies)

    def provinces(self) -> list[str]:
        """Codes of the provinces that have halls, ascending."""
        return sorted({code for (code, _), tally in self._tallies.items() if tally.halls})


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total = total.plus(tally)
    return total
