"""The rules of changes of halls by those who reach a part of the country: proposals, decisions, withdrawals. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from bridges.halls import Hall
from conference.commands import DecideProposals, ImportHalls, ProposeHalls, WithdrawHalls
from conference.errors import RejectedError
from conference.events import Event, HallsImported
from conference.lookup import hall_of
from conference.reach import Reach
from conference.registry import registering
from conference.registry.events import HallsProposed, HallsWithdrawn, ProposalsDecided
from conference.registry.register import Proposal
from conference.state import State

# What waits is held in memory, each hall once more. Two of every commune; and twice a country's halls.
MAX_PENDING = 7_000
MAX_PENDING_HALLS = 80_000
MAX_DECIDED_AT_ONCE = 1_000
MAX_REASON_CHARACTERS = 1_000
# Of the halls that a refusal names; more is no longer read.
MAX_NAMED = 500


def import_halls(state: State, command: ImportHalls) -> list[Event]:
    """Halls that are new or differ; all of them, as they were and as they shall be, within reach of who wants it."""
    require_halls(state, command.reach, command.halls)
    return registering.import_halls(state, command)


def propose(state: State, command: ProposeHalls) -> list[Event]:
    """What differs from what is registered, to wait for a decision; nothing where just that waits already."""
    require_halls(state, command.reach, command.halls)
    events = registering.import_halls(state, ImportHalls(halls=command.halls))  # what can never be is refused now
    halls = list(chain.from_iterable(event.halls for event in events if isinstance(event, HallsImported)))
    if {hall.hall_id for hall in command.halls} & set(command.withdrawn):
        raise RejectedError("duplicate_hall", "a hall cannot be changed and withdrawn at once", status=422)
    withdrawn = [hall.hall_id for hall in _to_withdraw(state, command.withdrawn, command.reach)]
    if not halls and not withdrawn:
        return []
    if waiting_like(state, command) is not None:
        return []
    pending = list(state.register.pending)
    waiting = sum(proposal.count for proposal in pending)
    if len(pending) >= MAX_PENDING or waiting + len(halls) + len(withdrawn) > MAX_PENDING_HALLS:
        detail = f"{len(pending)} proposals about {waiting} halls wait already; some must be decided first"
        raise RejectedError("too_many_proposals", detail)
    proposal_id = str(state.register.last_proposal + 1)
    return [HallsProposed(proposal_id=proposal_id, unit=command.reach, halls=halls, withdrawn=withdrawn)]


def waiting_like(state: State, command: ProposeHalls) -> Proposal | None:
    """The proposal that waits and wants just what the command wants, of the same unit."""
    wanted = [hall for hall in command.halls if state.halls.get(hall.hall_id) != hall]
    for proposal in state.register.pending:
        if (proposal.unit, proposal.halls, proposal.withdrawn) == (command.reach, wanted, command.withdrawn):
            return proposal
    return None


def decide_proposals(state: State, command: DecideProposals) -> list[Event]:
    """Approve or reject proposals, all or nothing; those that were decided so already are passed over."""
    _check_decision(command)
    waiting = _waiting(state, command)
    if not waiting:
        return []
    events: list[Event] = []
    if command.verdict == "approved":
        _refuse_doubles(waiting)
        if not command.despite_changes:
            _refuse_conflicts(state, waiting)
        for proposal in waiting:
            events += _carried_out(state, proposal)
    decided = [proposal.proposal_id for proposal in waiting]
    return [*events, ProposalsDecided(proposal_ids=decided, verdict=command.verdict, reason=command.reason)]


def _check_decision(command: DecideProposals) -> None:
    if not 1 <= len(command.proposal_ids) <= MAX_DECIDED_AT_ONCE:
        raise RejectedError("bad_proposals", f"decide 1 to {MAX_DECIDED_AT_ONCE} proposals at once", status=422)
    if len(command.reason) > MAX_REASON_CHARACTERS:
        raise RejectedError("bad_text", f"the reason has at most {MAX_REASON_CHARACTERS} characters", status=422)
    if command.verdict == "rejected" and not command.reason.strip():
        raise RejectedError("bad_text", "a rejection needs a reason", status=422)


def _waiting(state: State, command: DecideProposals) -> list[Proposal]:
    """Those of the named proposals that wait; the others were decided just so before."""
    found = []
    for proposal_id in dict.fromkeys(command.proposal_ids):
        proposal = proposal_of(state, proposal_id)
        require_proposal(state, command.reach, proposal)
        if proposal.decision is None:
            found.append(proposal)
        elif proposal.decision.verdict != command.verdict:
            raise RejectedError("proposal_decided", f"proposal {proposal_id} was {proposal.decision.verdict} before")
    return found


def proposal_of(state: State, proposal_id: str) -> Proposal:
    """The proposal; refused as `unknown_proposal`."""
    proposal = state.register.proposals.get(proposal_id)
    if proposal is None:
        raise RejectedError("unknown_proposal", f"no proposal {proposal_id[:64]!r}", status=404)
    return proposal


def require_proposal(state: State, unit: str, proposal: Proposal) -> None:
    """Check that a holder who is bound to `unit` reaches the unit that a proposal is of, and all of its halls.

    Raises:
        RejectedError: `out_of_reach` (403).
    """
    reach = Reach(state.units, unit)
    reach.require_unit(proposal.unit)
    for hall in chain(proposal.halls, (state.halls.get(hall_id) for hall_id in proposal.hall_ids)):
        if hall is not None:
            reach.require_hall(hall)


def withdraw(state: State, command: WithdrawHalls) -> list[Event]:
    """Halls leave the register; those that left it before are passed over."""
    hall_ids = [hall.hall_id for hall in _to_withdraw(state, command.hall_ids, command.reach)]
    return [HallsWithdrawn(hall_ids=hall_ids)] if hall_ids else []


def require_halls(state: State, unit: str, halls: Iterable[Hall]) -> None:
    """Check that a holder who is bound to `unit` reaches halls as they shall be and as they are registered.

    Raises:
        RejectedError: `out_of_reach` (403); its `errors` name the halls.
    """
    reach = Reach(state.units, unit)
    if reach.is_whole:
        return
    found = []
    for hall in halls:
        known = state.halls.get(hall.hall_id) or state.register.withdrawn.get(hall.hall_id)
        if not reach.has_hall(hall) or (known is not None and not reach.has_hall(known)):
            found.append(hall.hall_id)
    if found:
        detail = f"the token is for unit {unit} alone; {len(found)} halls are outside, {found[0]} the first"
        raise RejectedError("out_of_reach", detail, status=403, errors=_named(found))


def _to_withdraw(state: State, hall_ids: Sequence[str], unit: str) -> list[Hall]:
    """The halls that are still registered, once each; none of them in a conference."""
    reach, found = Reach(state.units, unit), []
    for hall_id in dict.fromkeys(hall_ids):
        gone = state.register.withdrawn.get(hall_id)
        hall = gone or hall_of(state, hall_id)
        reach.require_hall(hall)
        if gone is None:
            _require_free(state, hall_id)
            found.append(hall)
    return found


def _require_free(state: State, hall_id: str) -> None:
    """A hall that sits in a conference, or whose delegates are on a roster of one to come, is needed there."""
    for conference_id, conference in state.conferences.items():
        seat = conference.seats.get(hall_id)
        if conference.joinable and seat is not None and not seat.left:
            raise RejectedError("hall_seated", f"hall {hall_id} is in conference {conference_id} now")
        checkins = state.checkins.get(conference_id)
        if conference.phase != "ended" and checkins is not None and checkins.totals(hall_id) is not None:
            raise RejectedError("hall_enrolled", f"delegates of {conference_id} are enrolled at hall {hall_id}")


def _refuse_doubles(proposals: Iterable[Proposal]) -> None:
    """Of two proposals about one hall the second would undo the first unseen."""
    owners: dict[str, str] = {}
    for proposal in proposals:
        for hall_id in proposal.hall_ids:
            other = owners.setdefault(hall_id, proposal.proposal_id)
            if other != proposal.proposal_id:
                detail = f"proposals {other} and {proposal.proposal_id} are both about hall {hall_id}; decide one first"
                raise RejectedError("proposal_conflict", detail)


def _refuse_conflicts(state: State, proposals: Iterable[Proposal]) -> None:
    found = {proposal.proposal_id: state.register.conflicts(proposal) for proposal in proposals}
    changed = list(chain.from_iterable(found.values()))
    if changed:
        ids = ", ".join([proposal_id for proposal_id, halls in found.items() if halls][:10])
        detail = f"{len(changed)} halls changed since proposal {ids} was made, {changed[0]} the first"
        raise RejectedError("proposal_conflict", detail, errors=_named(changed))


def _carried_out(state: State, proposal: Proposal) -> list[Event]:
    """What an approved proposal brings about, by the rules of today."""
    events: list[Event] = []
    for event in registering.import_halls(state, ImportHalls(halls=proposal.halls)):
        assert isinstance(event, HallsImported)  # noqa: S101 - a bug of ours, not input
        events.append(HallsImported(halls=event.halls, proposal=proposal.proposal_id))
    hall_ids = [hall.hall_id for hall in _to_withdraw(state, proposal.withdrawn, "")]
    if hall_ids:
        events.append(HallsWithdrawn(hall_ids=hall_ids, proposal=proposal.proposal_id))
    return events


def _named(hall_ids: Sequence[str]) -> list[dict[str, str]]:
    return [{"hall_id": hall_id} for hall_id in hall_ids[:MAX_NAMED]]
