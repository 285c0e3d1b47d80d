"""The history of halls and the proposals about them: records of the state, folded from its events.

Bounded: the state answers for what happened lately, the journal for everything. Of contacts the history says that they
changed and not how, so that a person who is no longer on duty is not kept here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from bridges.differences import changes_between
from bridges.halls import Hall
from conference.registry.events import HallsProposed, ProposalsDecided, Verdict

# Of one hall: a year of a province that corrects its list every month, and more.
KEPT_CHANGES = 12
# Of all halls; the first import of 40,000 and as many changes again, some 30 MB. Beyond that the halls that changed
# longest ago forget their history.
KEPT_OF_ALL = 100_000
# Decided ones, without their halls. Three of every commune in the country.
KEPT_PROPOSALS = 10_000
PERSONAL = frozenset({"contact_name", "contact_phone"})

Action = Literal["created", "changed", "withdrawn"]


class FieldChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A field of a hall before and after, as text; both "" where it is about a person."""

    field: str
    before: str
    after: str


class HallChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What happened to a hall once.

    Attributes:
        at_ms: when.
        actor: who, as the journal names them; where a proposal was approved, who approved it.
        action: what.
        fields: those that changed; empty for a hall that is new.
        proposal: id of the proposal that wanted it, or "".
    """

    at_ms: int
    actor: str
    action: Action
    fields: tuple[FieldChange, ...] = ()
    proposal: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a proposal, who said so, when and why."""

    verdict: Verdict
    actor: str
    at_ms: int
    reason: str


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of halls that wait for an organiser, or that one has decided upon.

    Attributes:
        proposal_id: decimal number, in order of arrival.
        unit: the unit that its author is bound to.
        actor: its author.
        at_ms: when it was made.
        halls: to be added or replaced; empty once it is decided.
        withdrawn: to be withdrawn; empty once it is decided.
        revisions: of `halls` and then of `withdrawn`, which revision of each its author had before him.
        count: of both.
        decision: None while it waits.
    """

    proposal_id: str
    unit: str
    actor: str
    at_ms: int
    halls: list[Hall] = []
    withdrawn: list[str] = []
    revisions: list[int] = []
    count: int
    decision: Decision | None = None

    @property
    def hall_ids(self) -> list[str]:
        """The halls that it is about, in the order of `revisions`."""
        return [*(hall.hall_id for hall in self.halls), *self.withdrawn]


class Register(msgspec.Struct, kw_only=True):
    """What is remembered of the register of halls; only `apply` changes it.

    Attributes:
        proposals: by id, oldest first.
        last_proposal: number of the newest.
        revisions: by hall id, how often it changed since it was first known to this program; absent for never.
        changes: by hall id, its latest changes, oldest first; the halls that changed longest ago come first.
        change_count: of all halls.
        withdrawn: halls that are no more registered, by id, as they were last.
        withdrawn_at_ms: when each of these was withdrawn.
    """

    proposals: dict[str, Proposal] = {}
    last_proposal: int = 0
    revisions: dict[str, int] = {}
    changes: dict[str, list[HallChange]] = {}
    change_count: int = 0
    withdrawn: dict[str, Hall] = {}
    withdrawn_at_ms: dict[str, int] = {}

    @property
    def pending(self) -> Iterator[Proposal]:
        """Proposals that wait, oldest first."""
        return (proposal for proposal in self.proposals.values() if proposal.decision is None)

    def conflicts(self, proposal: Proposal) -> list[str]:
        """Ids of the halls that changed since the proposal was made."""
        pairs = zip(proposal.hall_ids, proposal.revisions, strict=True)
        return [hall_id for hall_id, revision in pairs if self.revisions.get(hall_id, 0) != revision]

    def note_import(
        self, known: Mapping[str, Hall], halls: Iterable[Hall], *, at_ms: int, actor: str, proposal: str
    ) -> None:
        """Remember that halls were added or replaced; `known` has them as they were before."""
        for hall in halls:
            self.withdrawn.pop(hall.hall_id, None)
            self.withdrawn_at_ms.pop(hall.hall_id, None)
            before = known.get(hall.hall_id)
            if before is None:
                change = HallChange(at_ms=at_ms, actor=actor, action="created", proposal=proposal)
            else:
                fields = changed_fields(before, hall)
                change = HallChange(at_ms=at_ms, actor=actor, action="changed", fields=fields, proposal=proposal)
            self._note(hall.hall_id, change)

    def note_withdrawal(self, halls: Iterable[Hall], *, at_ms: int, actor: str, proposal: str) -> None:
        """Remember that halls were withdrawn; whom to phone there is of no use any more, and forgotten."""
        for hall in halls:
            self.withdrawn[hall.hall_id] = msgspec.structs.replace(hall, contact_name="", contact_phone="")
            self.withdrawn_at_ms[hall.hall_id] = at_ms
            self._note(hall.hall_id, HallChange(at_ms=at_ms, actor=actor, action="withdrawn", proposal=proposal))

    def note_proposal(self, event: HallsProposed, *, at_ms: int, actor: str) -> None:
        """Remember a proposal, and which revisions of its halls stood when it was made."""
        self.last_proposal += 1
        hall_ids = [*(hall.hall_id for hall in event.halls), *event.withdrawn]
        self.proposals[event.proposal_id] = Proposal(
            proposal_id=event.proposal_id,
            unit=event.unit,
            actor=actor,
            at_ms=at_ms,
            halls=event.halls,
            withdrawn=event.withdrawn,
            revisions=[self.revisions.get(hall_id, 0) for hall_id in hall_ids],
            count=len(hall_ids),
        )

    def note_decision(self, event: ProposalsDecided, *, at_ms: int, actor: str) -> None:
        """Remember what became of proposals; the oldest decided one gives way."""
        decision = Decision(verdict=event.verdict, actor=actor, at_ms=at_ms, reason=event.reason)
        for proposal_id in event.proposal_ids:
            proposal = self.proposals.get(proposal_id)
            if proposal is not None:
                self.proposals[proposal_id] = msgspec.structs.replace(
                    proposal, halls=[], withdrawn=[], revisions=[], decision=decision
                )
        if len(self.proposals) > KEPT_PROPOSALS:
            decided = [each.proposal_id for each in self.proposals.values() if each.decision is not None]
            for proposal_id in decided[: len(self.proposals) - KEPT_PROPOSALS]:
                del self.proposals[proposal_id]

    def _note(self, hall_id: str, change: HallChange) -> None:
        self.revisions[hall_id] = self.revisions.get(hall_id, 0) + 1
        changes = self.changes.pop(hall_id, [])
        self.changes[hall_id] = changes  # at the end: it changed last
        changes.append(change)
        self.change_count += 1
        if len(changes) > KEPT_CHANGES:
            del changes[0]
            self.change_count -= 1
        while self.change_count > KEPT_OF_ALL:
            oldest = next(iter(self.changes))
            self.change_count -= len(self.changes.pop(oldest))


def changed_fields(before: Hall, after: Hall, *, personal: bool = False) -> tuple[FieldChange, ...]:
    """The fields in which two halls differ; of those about a person only the name, unless `personal`."""
    return tuple(
        FieldChange(each.field, *(("", "") if each.field in PERSONAL and not personal else (each.before, each.after)))
        for each in changes_between(before, after)
    )
