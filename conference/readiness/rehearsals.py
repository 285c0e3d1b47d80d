"""Dress rehearsals (tổng duyệt): which came before, and what became of each hall in one. Pure.

A rehearsal is a conference of its own, with its own presence, pre-checks and sign-offs.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import count

import msgspec

from conference.readiness.board import HallReadiness
from conference.roster import ConferenceState
from conference.state import State


class RehearsedHall(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of a hall in a rehearsal.

    Attributes:
        readiness: by what was checked and signed off in this rehearsal alone.
        took_part: a relay saw it receive media.
        watched_ms: for so long.
        interruptions: how often its picture went away so that it moved to another relay.
        longest_ms: the longest of these.
    """

    hall: HallReadiness
    took_part: bool
    watched_ms: int
    interruptions: int
    longest_ms: float


class RehearsalTotals(msgspec.Struct, frozen=True, kw_only=True):
    """So many halls of a rehearsal."""

    halls: int
    took_part: int
    absent: int
    signed_off: int
    failed: int
    interrupted: int


def rehearsals_of(state: State, conference: ConferenceState) -> list[ConferenceState]:
    """All rehearsals of a conference, or of what a rehearsal is of, oldest first."""
    root = conference.rehearsal_of or conference.conference_id
    return [each for each in state.conferences.values() if each.rehearsal_of == root]


def rehearsal_before(state: State, conference: ConferenceState) -> str:
    """The id of the latest rehearsal before a session; "" where there was none."""
    found = ""
    for rehearsal in rehearsals_of(state, conference):
        if rehearsal.conference_id == conference.conference_id:
            break
        found = rehearsal.conference_id
    return found


def rehearsal_name(taken: Container[str], conference_id: str) -> str:
    """A free id for the next rehearsal of a conference: `hn1-td1`, then `hn1-td2`."""
    return next(name for number in count(1) if (name := f"{conference_id}-td{number}") not in taken)


def rehearsed(
    state: State, conference: ConferenceState, halls: Iterable[HallReadiness], now_ms: int
) -> list[RehearsedHall]:
    """What became of these halls in a rehearsal, in the order given."""
    conference_id = conference.conference_id
    found = []
    for hall in halls:
        presence = state.presence.get(conference_id, {}).get(hall.hall_id)
        spans = [] if presence is None else presence.intervals(now_ms)
        seat = conference.seats.get(hall.hall_id)
        found.append(
            RehearsedHall(
                hall=hall,
                took_part=bool(spans),
                watched_ms=sum(span.length_ms for span in spans),
                interruptions=0 if seat is None else seat.moves,
                longest_ms=0.0 if seat is None else max(seat.interruptions_ms, default=0.0),
            )
        )
    return found


def totals_of(halls: Iterable[RehearsedHall]) -> RehearsalTotals:
    """The sums of a rehearsal."""
    every = list(halls)
    took_part = sum(hall.took_part for hall in every)
    return RehearsalTotals(
        halls=len(every),
        took_part=took_part,
        absent=len(every) - took_part,
        signed_off=sum(hall.hall.readiness.state == "signed_off" for hall in every),
        failed=sum(hall.hall.readiness.state == "failed" for hall in every),
        interrupted=sum(hall.interruptions > 0 for hall in every),
    )
