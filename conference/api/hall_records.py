"""`/api/v1/halls/{hall_id}`: one hall: read, registered, changed, withdrawn, and what became of it.

What a technician who is bound to a unit sends is not done but proposed: the answer then names the proposal.
"""

from __future__ import annotations

import msgspec

from bridges.halls import Hall
from conference.access import Role
from conference.api.problems import RequestError
from conference.api.proposals import must_propose, propose
from conference.api.routing import STAFF, Call, Route
from conference.commands import ImportHalls, WithdrawHalls
from conference.lookup import hall_of
from conference.registry.register import HallChange
from conference.state import State

REGISTRARS: frozenset[Role] = frozenset({"organiser", "technician"})


class HallBody(Hall, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A hall to register; its id stands in the path."""

    hall_id: str = ""


class HallAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A hall as it is registered, or was last where it is `withdrawn`; `revision` counts its changes."""

    hall: Hall
    revision: int
    withdrawn: bool = False


class ChangeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a change.

    Attributes:
        changed: it is done; false where it was so before, or waits.
        proposal_id: the proposal that waits for an organiser, or "".
    """

    changed: bool
    proposal_id: str = ""


class HistoryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The latest changes of a hall, the newest first; `revision` counts all that there were."""

    hall_id: str
    revision: int
    changes: list[HallChange]


async def read_hall(call: Call) -> HallAnswer:
    """One hall, also one that is withdrawn."""
    state = call.services.coordinator.state
    hall = _hall_of(call, state)
    return HallAnswer(
        hall=hall,
        revision=state.register.revisions.get(hall.hall_id, 0),
        withdrawn=hall.hall_id not in state.halls,
    )


async def put_hall(call: Call) -> ChangeAnswer:
    """Register a hall, or change one."""
    body, hall_id = call.body(HallBody), call.path("hall_id")
    if body.hall_id not in ("", hall_id):
        raise RequestError("bad_body", f"hall_id is {body.hall_id[:64]!r}, the path's another", status=422)
    hall = Hall(**{**msgspec.structs.asdict(body), "hall_id": hall_id})
    if must_propose(call):
        return ChangeAnswer(changed=False, proposal_id=await propose(call, halls=[hall], withdrawn=[]))
    command = ImportHalls(halls=[hall], reach=call.claims.unit)
    return ChangeAnswer(changed=bool(await call.services.coordinator.execute(command, call.claims.actor)))


async def withdraw_hall(call: Call) -> ChangeAnswer:
    """Take a hall out of the register; its past stays."""
    hall_id = call.path("hall_id")
    if must_propose(call):
        return ChangeAnswer(changed=False, proposal_id=await propose(call, halls=[], withdrawn=[hall_id]))
    command = WithdrawHalls(hall_ids=[hall_id], reach=call.claims.unit)
    return ChangeAnswer(changed=bool(await call.services.coordinator.execute(command, call.claims.actor)))


async def read_history(call: Call) -> HistoryAnswer:
    """Who changed what of a hall, and when."""
    state = call.services.coordinator.state
    hall = _hall_of(call, state)
    changes = state.register.changes.get(hall.hall_id, [])
    revision = state.register.revisions.get(hall.hall_id, 0)
    return HistoryAnswer(hall_id=hall.hall_id, revision=revision, changes=changes[::-1])


def _hall_of(call: Call, state: State) -> Hall:
    """The hall of the path, which the caller reaches, also one that is withdrawn."""
    hall_id = call.path("hall_id")
    hall = state.register.withdrawn.get(hall_id) or hall_of(state, hall_id)
    call.reach.require_hall(hall)
    return hall


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/halls/{hall_id}",
        handler=read_hall,
        summary="One hall",
        tag="halls",
        roles=STAFF,
        scope="reach",
        response=HallAnswer,
        errors=(404, 503),
    ),
    Route(
        method="PUT",
        path="/api/v1/halls/{hall_id}",
        handler=put_hall,
        summary="Register or change a hall, or propose that",
        tag="halls",
        roles=REGISTRARS,
        scope="reach",
        request=HallBody,
        response=ChangeAnswer,
        errors=(404, 409, 503),
    ),
    Route(
        method="DELETE",
        path="/api/v1/halls/{hall_id}",
        handler=withdraw_hall,
        summary="Withdraw a hall, or propose that; its past stays",
        tag="halls",
        roles=REGISTRARS,
        scope="reach",
        response=ChangeAnswer,
        errors=(404, 409, 503),
    ),
    Route(
        method="GET",
        path="/api/v1/halls/{hall_id}/history",
        handler=read_history,
        summary="Who changed what of a hall, and when",
        tag="halls",
        roles=STAFF,
        scope="reach",
        response=HistoryAnswer,
        errors=(404, 503),
    ),
)
