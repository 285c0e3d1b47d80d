"""The events of halls that are proposed, decided upon and withdrawn; part of `conference.events`."""

from __future__ import annotations

from typing import Literal

import msgspec

from bridges.halls import Hall

Verdict = Literal["approved", "rejected"]


class HallsProposed(msgspec.Struct, frozen=True, kw_only=True, tag="halls_proposed"):
    """Somebody who may not change halls by himself wants these added or replaced, and those withdrawn.

    `unit` is the unit that he is bound to, "" for none.
    """

    proposal_id: str
    unit: str
    halls: list[Hall] = []
    withdrawn: list[str] = []


class ProposalsDecided(msgspec.Struct, frozen=True, kw_only=True, tag="proposals_decided"):
    """An organiser decided; what was approved stands before this in the journal, in events of its own."""

    proposal_ids: list[str]
    verdict: Verdict
    reason: str = ""


class HallsWithdrawn(msgspec.Struct, frozen=True, kw_only=True, tag="halls_withdrawn"):
    """Halls are no more registered. Their past stays; a hall of that id that is imported later is the same again.

    `proposal` is the id of the proposal that wanted it, "" for none.
    """

    hall_ids: list[str]
    proposal: str = ""


RegisterEvent = HallsProposed | ProposalsDecided | HallsWithdrawn
