"""Pre-checks and sign-offs as records of the state; all of it commutes, so that gateways may write it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bridges.prechecks import Precheck, SignOff, keep_newest
from conference.events import PrecheckReported, ReadinessEvent, RehearsalSignedOff

_UNIT = "unit:"
_HALL = "hall:"


class Prechecks:
    """What pre-checks measured, and who signed off.

    Args:
        by_hall: by conference id and hall id, the newest pre-checks, oldest first.
        sign_offs: by conference id and `hall:ID` or `unit:CODE`, the latest word.
    """

    __slots__ = ("by_hall", "sign_offs")

    def __init__(
        self,
        by_hall: dict[str, dict[str, tuple[Precheck, ...]]] | None = None,
        sign_offs: dict[str, dict[str, SignOff]] | None = None,
    ) -> None:
        self.by_hall = {} if by_hall is None else by_hall
        self.sign_offs = {} if sign_offs is None else sign_offs

    def apply(self, event: ReadinessEvent) -> None:
        """Fold one event, in any order and any number of times."""
        if isinstance(event, PrecheckReported):
            halls = self.by_hall.setdefault(event.conference_id, {})
            halls[event.hall_id] = keep_newest(halls.get(event.hall_id, ()), event.precheck)
        else:
            self._sign_off(event)

    def of_hall(self, conference_id: str, hall_id: str) -> tuple[Precheck, ...]:
        """The newest pre-checks of a hall in one conference, oldest first."""
        return self.by_hall.get(conference_id, {}).get(hall_id, ())

    def sign_off_of_hall(self, conference_id: str, hall_id: str) -> SignOff | None:
        """The latest that was said for a hall itself."""
        return self.sign_offs.get(conference_id, {}).get(_HALL + hall_id)

    def sign_off_of_unit(self, conference_id: str, unit: str) -> SignOff | None:
        """The latest that was said for a unit."""
        return self.sign_offs.get(conference_id, {}).get(_UNIT + unit)

    def unit_sign_offs(self, conference_id: str) -> Iterator[tuple[str, SignOff]]:
        """The latest that was said for each unit, by its code."""
        for name, sign_off in self.sign_offs.get(conference_id, {}).items():
            if name.startswith(_UNIT):
                yield name.removeprefix(_UNIT), sign_off

    def _sign_off(self, event: RehearsalSignedOff) -> None:
        named = self.sign_offs.setdefault(event.conference_id, {})
        name = _HALL + event.hall_id if event.hall_id else _UNIT + event.unit
        found = SignOff(at_ms=event.at_ms, by=event.by, note=event.note, withdrawn=event.withdrawn)
        known = named.get(name)
        if known is None or _rank(found) > _rank(known):
            named[name] = found


def _rank(sign_off: SignOff) -> tuple[int, bool, str, str]:
    """Of two at one moment the more careful counts; beyond that any rule, as long as every reader follows the same."""
    return sign_off.at_ms, sign_off.withdrawn, sign_off.by, sign_off.note
