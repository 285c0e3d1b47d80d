"""What a holder of a token reaches: the whole country, or one unit with everything under it. Pure.

A unit stands in the tree of territory or in that of organisations; a hall is reached through either. A unit that was
merged stands under the one that took it over as well, so that whoever answers for that sees the halls that still hang
on the old code, from the moment when the merger is registered: it is prepared before its day.
"""

from __future__ import annotations

from collections.abc import Mapping

from bridges.halls import Hall
from bridges.units import Unit
from conference.errors import RejectedError

# An id comes from outside and may be long; so much of it is enough to find the mistake.
_SHOWN = 64


class Reach:
    """The units and halls that the holder of a token may see and change.

    Needs no preparation and constant time a hall: what was found of a unit is remembered. Of one request, because
    units change.

    Args:
        units: all units by code; only read.
        unit: code of the unit that the holder is bound to, or "" for the whole country. One that does not exist
            reaches nothing.
    """

    __slots__ = ("_known", "_units", "unit")

    def __init__(self, units: Mapping[str, Unit], unit: str) -> None:
        self._units = units
        self.unit = unit
        self._known: dict[str, bool] = {"": False}

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole country."""
        return not self.unit

    def has_unit(self, code: str) -> bool:
        """Whether the unit is the holder's own, or stands under it."""
        return self.is_whole or self._has(code)

    def has_hall(self, hall: Hall) -> bool:
        """Whether the hall belongs to a unit that is reached."""
        return self.is_whole or self._has(hall.unit) or self._has(hall.organisation)

    def require_unit(self, code: str) -> None:
        """Check that a unit is reached; "" stands for all of them.

        Raises:
            RejectedError: `out_of_reach` (403) when it is not.
        """
        if not self.has_unit(code):
            raise self._refusal(f"unit {code[:_SHOWN]!r}")

    def require_hall(self, hall: Hall) -> None:
        """Check that a hall is reached.

        Raises:
            RejectedError: `out_of_reach` (403) when it is not.
        """
        if not self.has_hall(hall):
            raise self._refusal(f"hall {hall.hall_id}")

    def _refusal(self, what: str) -> RejectedError:
        return RejectedError("out_of_reach", f"the token is for unit {self.unit} alone, not for {what}", status=403)

    def _has(self, code: str) -> bool:
        found = self._known.get(code)
        if found is None:
            found = self._known[code] = self._is_above(code)
        return found

    def _is_above(self, code: str) -> bool:
        """Go up from a unit on every way that there is; old data may run in a circle, which ends as well."""
        seen, ahead = {code}, [code]
        while ahead:
            unit = self._units.get(ahead.pop())
            if unit is None:
                continue
            if unit.code == self.unit:
                return True
            above = {unit.parent, unit.merged_into} - seen
            seen |= above
            ahead += above
        return False
