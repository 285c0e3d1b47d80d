"""`/api/v1/proposals`: changes of halls that wait for an organiser, how they differ from the register, decisions."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import cast, get_args

import msgspec

from bridges.halls import Hall
from conference.api.routing import STAFF, Call, Query, Route
from conference.commands import DecideProposals, ProposeHalls
from conference.registry.events import HallsProposed, Verdict
from conference.registry.proposing import proposal_of, require_proposal, waiting_like
from conference.registry.register import Action, Decision, FieldChange, Proposal, changed_fields
from conference.state import State

VERDICTS: tuple[str, ...] = get_args(Verdict)
STANDINGS = ("waiting", *VERDICTS)
# Proposals in one answer, and halls in the answer about one.
PAGE = 1_000


class ProposalView(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal without its halls; `decision` is null while it waits."""

    proposal_id: str
    unit: str
    actor: str
    at_ms: int
    count: int
    decision: Decision | None


class ProposalList(msgspec.Struct, frozen=True, kw_only=True):
    """Proposals, the newest first; at most 1,000, `more` are left out."""

    proposals: list[ProposalView]
    more: int = 0


class HallDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What a proposal changes of one hall, as the register is now.

    Attributes:
        hall: as it shall be; as it is for one that is to be withdrawn.
        action: `created`, `changed`, `withdrawn`, or null where the register is so by now.
        fields: what differs, before and after.
        conflict: the hall changed since this was proposed.
    """

    hall: Hall
    action: Action | None
    fields: list[FieldChange] = []
    conflict: bool = False


class ProposalAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal and its halls, those with conflicts first; at most 1,000, `more` are left out. Decided: no halls."""

    proposal: ProposalView
    halls: list[HallDifference] = []
    conflicts: int = 0
    more: int = 0


class DecisionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which proposals, what is decided, and why.

    Attributes:
        reason: a rejection needs one.
        despite_changes: approve also where a hall changed since it was proposed: what changed is overwritten.
    """

    proposal_ids: list[str]
    verdict: Verdict
    reason: str = ""
    despite_changes: bool = False


def must_propose(call: Call) -> bool:
    """Whether the caller's changes of halls wait for an organiser: a technician who is bound to a unit."""
    return call.claims.role == "technician" and bool(call.claims.unit)


async def propose(call: Call, *, halls: list[Hall], withdrawn: list[str]) -> str:
    """Make a proposal, or find the one that waits and wants the same; "" where the register is so already."""
    coordinator = call.services.coordinator
    command = ProposeHalls(halls=halls, withdrawn=withdrawn, reach=call.claims.unit)
    events = await coordinator.execute(command, call.claims.actor)
    for event in events:
        if isinstance(event, HallsProposed):
            return event.proposal_id
    waiting = waiting_like(coordinator.state, command)
    return "" if waiting is None else waiting.proposal_id


async def list_proposals(call: Call) -> ProposalList:
    """Proposals of units that the caller reaches."""
    standing, unit = call.query("standing", STANDINGS), call.query("unit")
    if unit:
        call.reach.require_unit(unit)
    found = [
        _view(proposal)
        for proposal in reversed(call.services.coordinator.state.register.proposals.values())
        if call.reach.has_unit(proposal.unit) and unit in ("", proposal.unit) and standing in ("", _standing(proposal))
    ]
    return ProposalList(proposals=found[:PAGE], more=max(0, len(found) - PAGE))


async def read_proposal(call: Call) -> ProposalAnswer:
    """One proposal and how it differs from the register."""
    state = call.services.coordinator.state
    proposal = proposal_of(state, call.path("proposal_id"))
    require_proposal(state, call.claims.unit, proposal)
    return await asyncio.to_thread(_compare, proposal, *_registered(state, proposal))


async def decide(call: Call) -> ProposalList:
    """Approve or reject; answers with the proposals that were named."""
    body = call.body(DecisionRequest)
    command = DecideProposals(
        proposal_ids=body.proposal_ids,
        verdict=body.verdict,
        reason=body.reason,
        reach=call.claims.unit,
        despite_changes=body.despite_changes,
    )
    await call.services.coordinator.execute(command, call.claims.actor)
    known = call.services.coordinator.state.register.proposals
    return ProposalList(proposals=[_view(known[each]) for each in dict.fromkeys(body.proposal_ids) if each in known])


def _standing(proposal: Proposal) -> str:
    return "waiting" if proposal.decision is None else proposal.decision.verdict


def _view(proposal: Proposal) -> ProposalView:
    return ProposalView(
        proposal_id=proposal.proposal_id,
        unit=proposal.unit,
        actor=proposal.actor,
        at_ms=proposal.at_ms,
        count=proposal.count,
        decision=proposal.decision,
    )


def _registered(state: State, proposal: Proposal) -> tuple[dict[str, Hall], frozenset[str]]:
    """The proposal's halls as they are registered, and which of them changed since it was made."""
    halls = {hall_id: state.halls[hall_id] for hall_id in proposal.hall_ids if hall_id in state.halls}
    return halls, frozenset(state.register.conflicts(proposal))


def _compare(proposal: Proposal, registered: dict[str, Hall], conflicts: frozenset[str]) -> ProposalAnswer:
    found = []
    for hall in proposal.halls:
        before, action = registered.get(hall.hall_id), cast("Action | None", None)
        if before is None:
            action = "created"
        elif before != hall:
            action = "changed"
        fields = [] if before is None else list(changed_fields(before, hall, personal=True))
        conflict = hall.hall_id in conflicts
        found.append(HallDifference(hall=hall, action=action, fields=fields, conflict=conflict))
    found.extend(
        HallDifference(hall=registered[hall_id], action="withdrawn", conflict=hall_id in conflicts)
        for hall_id in proposal.withdrawn
        if hall_id in registered
    )
    found.sort(key=lambda each: not each.conflict)
    return ProposalAnswer(
        proposal=_view(proposal),
        halls=list(islice(found, PAGE)),
        conflicts=len(conflicts),
        more=max(0, len(found) - PAGE),
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/proposals",
        handler=list_proposals,
        summary="Proposed changes of halls, the newest first",
        tag="proposals",
        roles=STAFF,
        scope="reach",
        response=ProposalList,
        errors=(422, 503),
        query=(
            Query(name="standing", text="only those that stand so", values=STANDINGS),
            Query(name="unit", text="only those made for this unit"),
        ),
    ),
    Route(
        method="GET",
        path="/api/v1/proposals/{proposal_id}",
        handler=read_proposal,
        summary="One proposal, and how it differs from the register",
        tag="proposals",
        roles=STAFF,
        scope="reach",
        response=ProposalAnswer,
        errors=(404, 503),
    ),
    Route(
        method="POST",
        path="/api/v1/proposals/decide",
        handler=decide,
        summary="Approve or reject proposals, all or nothing",
        tag="proposals",
        roles=frozenset({"organiser"}),
        scope="reach",
        request=DecisionRequest,
        response=ProposalList,
        errors=(404, 409, 503),
    ),
)
