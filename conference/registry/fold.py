"""What happens to the register of halls and to proposals about it: the part of `conference.state.apply` about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bridges.units import root_of
from conference.events import HallsImported
from conference.registry.events import HallsProposed, HallsWithdrawn, ProposalsDecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridges.halls import Hall
    from conference.state import State


def apply_register(
    state: State, event: HallsImported | HallsWithdrawn | HallsProposed | ProposalsDecided, at_ms: int, actor: str
) -> None:
    """Fold one event into the register, in place."""
    register = state.register
    match event:
        case HallsImported():
            register.note_import(state.halls, event.halls, at_ms=at_ms, actor=actor, proposal=event.proposal)
            state.halls.update((hall.hall_id, hall) for hall in event.halls)
            locate(state, event.halls)
            _touch(state, [hall.hall_id for hall in event.halls])
        case HallsWithdrawn():
            gone = [state.halls.pop(hall_id) for hall_id in event.hall_ids if hall_id in state.halls]
            register.note_withdrawal(gone, at_ms=at_ms, actor=actor, proposal=event.proposal)
            state.places.change()
            _touch(state, event.hall_ids)
        case HallsProposed():
            register.note_proposal(event, at_ms=at_ms, actor=actor)
        case ProposalsDecided():
            register.note_decision(event, at_ms=at_ms, actor=actor)
        case _:
            assert_never(event)


def locate(state: State, halls: Iterable[Hall]) -> None:
    """Find the place of halls in the trees, and their root unit."""
    halls = list(halls)
    state.places.change(hall.hall_id for hall in halls)
    roots: dict[str, str] = {}
    for hall in halls:
        root = roots.get(hall.unit)
        if root is None:
            root = roots[hall.unit] = root_of(state.units, hall.unit)
        state.provinces[hall.hall_id] = root


def _touch(state: State, hall_ids: Sequence[str]) -> None:
    """What these halls add to the figures of a conference may have changed."""
    for rollup in state.rollups.values():
        rollup.touch(*hall_ids)
