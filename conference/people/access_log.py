"""Who read persons, and what was erased: the part of the state about that, and its fold. Pure.

Every reading is in the journal. Beside it the state has how many there were of each conference and the latest of them,
so that they can be shown without reading the journal from its beginning. What is kept does not depend on the order in
which the streams are read.
"""

from __future__ import annotations

from bisect import insort

import msgspec

from conference.people.privacy_events import PersonsErased, PrivacyEvent, ReadPurpose

# Of all conferences: some days of the staff of one, and what fits a page.
MAX_LATEST = 1_000


class Reading(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One reading of persons."""

    at_ms: int
    actor: str
    conference_id: str
    scope: str
    count: int
    purpose: ReadPurpose


class AccessLog(msgspec.Struct, kw_only=True):
    """What the state knows of readings and erasures.

    Attributes:
        readings: how many there were, by conference.
        erased: how many persons were erased, by conference.
        latest: the latest readings, oldest first, at most `MAX_LATEST`.
    """

    readings: dict[str, int] = {}
    erased: dict[str, int] = {}
    latest: list[Reading] = []


def apply_privacy(log: AccessLog, event: PrivacyEvent, at_ms: int, actor: str) -> None:
    """Fold one event into the log, in place."""
    if isinstance(event, PersonsErased):
        log.erased[event.conference_id] = log.erased.get(event.conference_id, 0) + event.count
        return
    log.readings[event.conference_id] = log.readings.get(event.conference_id, 0) + 1
    reading = Reading(
        at_ms=at_ms,
        actor=actor,
        conference_id=event.conference_id,
        scope=event.scope,
        count=event.count,
        purpose=event.purpose,
    )
    insort(log.latest, reading)
    del log.latest[:-MAX_LATEST]
