"""Rules of halls that are proposed, decided upon and withdrawn."""

from __future__ import annotations

import pytest
from support.country import Country

from bridges.halls import Hall
from bridges.messages import HeadcountReport
from conference.attendance.closing import corrections, read_closing
from conference.attendance.participants import hall_ids_in
from conference.attendance.sources import hall_attendances
from conference.checkin.events import DelegateBlock
from conference.commands import (
    ChangePhase,
    CloseAttendance,
    Command,
    CreateConference,
    DecideProposals,
    EnrolDelegates,
    ImportHalls,
    LeaveHall,
    ProposeHalls,
    ReportHeadcount,
    WithdrawHalls,
)
from conference.errors import RejectedError
from conference.registry import proposing
from conference.registry.events import HallsProposed
from conference.registry.register import KEPT_CHANGES, FieldChange
from conference.snapshot import decode_state, encode_state, fingerprint


def hall(hall_id: str, unit: str = "00004", *, seats: int = 80, contact_phone: str = "") -> Hall:
    """A base hall."""
    return Hall(hall_id=hall_id, name=hall_id, unit=unit, level="base", seats=seats, contact_phone=contact_phone)


def propose(*halls: Hall, withdrawn: tuple[str, ...] = (), reach: str = "01") -> ProposeHalls:
    """What a technician of Hà Nội wants."""
    return ProposeHalls(halls=list(halls), withdrawn=list(withdrawn), reach=reach)


def approve(*proposal_ids: str, reach: str = "", despite_changes: bool = False) -> DecideProposals:
    """An organiser agrees."""
    return DecideProposals(
        proposal_ids=list(proposal_ids), verdict="approved", reach=reach, despite_changes=despite_changes
    )


def reject(*proposal_ids: str, reason: str = "sai số đại biểu") -> DecideProposals:
    """An organiser does not agree."""
    return DecideProposals(proposal_ids=list(proposal_ids), verdict="rejected", reason=reason)


def started(*hall_ids: str) -> Country:
    """A conference is open; halls are in province 01."""
    country = Country()
    country.open_conference(*hall_ids)
    return country


def refusal(country: Country, command: Command) -> RejectedError:
    """The refusal that a command meets."""
    with pytest.raises(RejectedError) as caught:
        country.do(command)
    return caught.value


def test_a_proposal_changes_nothing_until_it_is_approved() -> None:
    """Then the halls are as proposed, and the history names who approved which proposal."""
    country = started("h1", "h2")
    wanted = hall("h1", seats=90)
    country.do(propose(wanted, hall("h9"), withdrawn=("h2",)), actor="user:an")
    assert country.state.halls["h1"].seats == 80
    assert "h9" not in country.state.halls
    country.do(approve("1"), actor="user:binh")
    assert country.state.halls["h1"] == wanted
    assert set(country.state.halls) == {"h1", "h9"}
    assert country.state.register.withdrawn["h2"].name == "h2"
    last = country.state.register.changes["h1"][-1]
    assert (last.actor, last.action, last.proposal) == ("user:binh", "changed", "1")
    assert FieldChange("seats", "80", "90") in last.fields
    proposal = country.state.register.proposals["1"]
    assert (proposal.actor, proposal.count, proposal.halls) == ("user:an", 3, [])
    assert proposal.decision is not None
    assert (proposal.decision.verdict, proposal.decision.actor) == ("approved", "user:binh")


def test_a_rejected_proposal_says_why_and_changes_nothing() -> None:
    """Without a reason nothing is rejected."""
    country = started("h1")
    country.do(propose(hall("h1", seats=90)))
    assert refusal(country, reject("1", reason=" ")).code == "bad_text"
    country.do(reject("1"), actor="user:binh")
    decision = country.state.register.proposals["1"].decision
    assert decision is not None
    assert (decision.verdict, decision.reason) == ("rejected", "sai số đại biểu")
    assert country.state.halls["h1"].seats == 80


def test_what_was_decided_is_not_decided_again() -> None:
    """The same decision is silent, the other one is refused; an unknown proposal is 404."""
    country = started("h1")
    country.do(propose(hall("h1", seats=90)))
    country.do(approve("1"))
    assert country.do(approve("1", "1")) == []
    assert refusal(country, reject("1")).code == "proposal_decided"
    assert refusal(country, approve("7")).status == 404


def test_the_same_proposal_waits_once() -> None:
    """Only what differs from the register is proposed; where nothing does, there is no proposal."""
    country = started("h1", "h2")
    again = propose(hall("h1", seats=90), country.state.halls["h2"])
    (event,) = country.do(again)
    assert isinstance(event, HallsProposed)
    assert [each.hall_id for each in event.halls] == ["h1"]
    assert country.do(again) == []
    waiting = proposing.waiting_like(country.state, again)
    assert waiting is not None
    assert waiting.proposal_id == "1"
    assert country.do(propose(country.state.halls["h2"])) == []
    country.do(reject("1"))
    assert len(country.do(again)) == 1
    assert country.state.register.last_proposal == 2


def test_a_hall_that_changed_meanwhile_is_told_when_it_is_approved() -> None:
    """It is overwritten only by who says so; all proposals of one decision stand or fall together."""
    country = started("h1", "h2")
    country.do(propose(hall("h1", seats=90)))
    country.do(propose(hall("h2", seats=70)))
    country.do(ImportHalls(halls=[hall("h1", seats=100)]))
    refused = refusal(country, approve("2", "1"))
    assert (refused.code, refused.status, refused.errors) == ("proposal_conflict", 409, [{"hall_id": "h1"}])
    assert country.state.halls["h2"].seats == 80
    country.do(approve("2", "1", despite_changes=True))
    assert (country.state.halls["h1"].seats, country.state.halls["h2"].seats) == (90, 70)


def test_two_proposals_about_one_hall_are_not_approved_together() -> None:
    """Nor one after the other unseen: the second finds the hall changed."""
    country = started("h1")
    country.do(propose(hall("h1", seats=90)))
    country.do(propose(hall("h1", seats=70)))
    assert refusal(country, approve("1", "2", despite_changes=True)).code == "proposal_conflict"
    country.do(approve("1"))
    assert refusal(country, approve("2")).code == "proposal_conflict"


@pytest.mark.parametrize(
    "command",
    [
        propose(hall("h9", "02")),
        propose(hall("h1"), hall("h8", "01"), reach="02"),
        propose(hall("h1", "02"), reach="02"),
        propose(withdrawn=("h1",), reach="02"),
        ImportHalls(halls=[hall("h9", "02")], reach="01"),
        ImportHalls(halls=[hall("h1", "02")], reach="02"),
        WithdrawHalls(hall_ids=["h1"], reach="02"),
    ],
)
def test_nobody_changes_a_hall_outside_of_his_unit(command: Command) -> None:
    """Neither by moving a foreign hall to it, nor by moving an own one away."""
    country = started("h1")
    refused = refusal(country, command)
    assert (refused.code, refused.status) == ("out_of_reach", 403)


def test_a_withdrawn_hall_comes_back_only_to_who_reached_it() -> None:
    """Its id is not free for another province."""
    country = started("h1")
    country.do(WithdrawHalls(hall_ids=["h1"]))
    assert refusal(country, ImportHalls(halls=[hall("h1", "02")], reach="02")).code == "out_of_reach"
    country.do(ImportHalls(halls=[hall("h1", "01")], reach="01"))
    assert "h1" not in country.state.register.withdrawn


def test_only_who_reaches_a_proposal_decides_it() -> None:
    """A commune's organiser does not decide for the province; the province does for the commune."""
    country = started("h1")
    country.do(propose(hall("h1", seats=90)))
    assert refusal(country, approve("1", reach="00004")).code == "out_of_reach"
    assert refusal(country, approve("1", reach="02")).code == "out_of_reach"
    country.do(approve("1", reach="01"))
    assert country.state.halls["h1"].seats == 90


def test_a_hall_in_a_conference_is_not_withdrawn() -> None:
    """Nor one whose delegates are on the roster of a conference that has not ended."""
    country = started("h1", "h2", "h3")
    country.register("e1", "e2")
    country.join("h1")
    assert refusal(country, WithdrawHalls(hall_ids=["h3", "h1"])).code == "hall_seated"
    country.do(EnrolDelegates(conference_id="hn", blocks=[DelegateBlock("h2", 1, 5)]))
    assert refusal(country, WithdrawHalls(hall_ids=["h2"])).code == "hall_enrolled"
    assert refusal(country, WithdrawHalls(hall_ids=["h7"])).status == 404
    country.do(WithdrawHalls(hall_ids=["h3"]))
    assert country.do(WithdrawHalls(hall_ids=["h3"])) == []
    country.do(LeaveHall(conference_id="hn", hall_id="h1"))
    country.do(ChangePhase(conference_id="hn", phase="ended"))
    assert len(country.do(WithdrawHalls(hall_ids=["h1", "h2"]))) == 1


def counted(country: Country) -> dict[str, int]:
    """By unit, the halls that count in the conference; by the sums and by the lists of halls."""
    rollup = country.state.rollups["hn"]
    ids = hall_ids_in(country.state, "hn")
    assert rollup.hall_ids_under("territory", None) == ids
    assert (
        rollup.total().real.halls
        == len(ids)
        == len(hall_attendances(country.state, country.state.conferences["hn"], ids))
    )
    return {unit: rollup.total("territory", unit).real.halls for unit in ("01", "00004")}


def test_a_withdrawn_hall_stays_in_the_figures_of_the_past() -> None:
    """Of a conference in which it took part, and of one that had ended; not of one to come. Also when restored."""
    country = started("h1", "h2", "h3", "h4")
    figures = HeadcountReport(summoned=80, present=70, excused=10, unexcused=0, exempt=0)
    country.do(ReportHeadcount(conference_id="hn", hall_id="h1", report=figures))
    country.do(WithdrawHalls(hall_ids=["h1", "h2"]))
    assert counted(country) == {"01": 3, "00004": 3}
    country.do(ChangePhase(conference_id="hn", phase="ended"))
    country.do(WithdrawHalls(hall_ids=["h3"]))
    assert counted(country) == {"01": 3, "00004": 3}
    assert hall_ids_in(country.state, "hn") == ["h1", "h3", "h4"]
    country.do(CreateConference(conference_id="next", title="Hội nghị", feeds=["program"]))
    assert country.state.rollups["next"].total().real.halls == 1
    country.state = decode_state(encode_state(country.state), country.state.policy)
    assert counted(country) == {"01": 3, "00004": 3}
    assert country.state.rollups["hn"].total().real.headcount.present == 70


def test_nothing_is_a_correction_because_a_hall_was_withdrawn() -> None:
    """The figures of the closing and those of now are the same."""
    country = started("h1", "h2")
    country.do(ChangePhase(conference_id="hn", phase="ended"))
    country.do(CloseAttendance(conference_id="hn"))
    country.do(WithdrawHalls(hall_ids=["h1"]))
    closed = read_closing(country.state.closings["hn"])
    assert corrections(country.state, "hn", closed) == []


def test_of_a_withdrawn_hall_nobody_is_kept() -> None:
    """Its contact is forgotten with it."""
    country = started("h1")
    country.do(ImportHalls(halls=[hall("h1", contact_phone="0900")]))
    country.do(WithdrawHalls(hall_ids=["h1"]))
    assert country.state.register.withdrawn["h1"].contact_phone == ""


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In proposals and in halls: all of it is in memory."""
    country = started("h1")
    monkeypatch.setattr(proposing, "MAX_PENDING_HALLS", 2)
    assert refusal(country, propose(hall("a"), hall("b"), hall("c"))).code == "too_many_proposals"
    country.do(propose(hall("a"), hall("b")))
    assert refusal(country, propose(hall("c"))).code == "too_many_proposals"


def test_a_proposal_that_can_never_be_is_refused_at_once() -> None:
    """By the rules of an import."""
    country = started("h1")
    assert refusal(country, propose(hall("h9", seats=-1))).code == "bad_seats"
    assert refusal(country, propose(hall("h1", seats=3), withdrawn=("h1",))).code == "duplicate_hall"


def test_a_history_is_bounded_and_says_of_people_only_that_they_changed() -> None:
    """The newest changes stay; the count goes on."""
    country = started("h1")
    for number in range(KEPT_CHANGES + 5):
        country.do(ImportHalls(halls=[hall("h1", seats=number, contact_phone=f"0900 {number}")]), actor="user:an")
    changes = country.state.register.changes["h1"]
    assert len(changes) == KEPT_CHANGES
    assert country.state.register.revisions["h1"] == KEPT_CHANGES + 6
    assert FieldChange("seats", str(KEPT_CHANGES + 3), str(KEPT_CHANGES + 4)) in changes[-1].fields
    assert FieldChange("contact_phone", "", "") in changes[-1].fields
    assert b"0900" not in repr(changes).encode()


def test_halls_that_changed_longest_ago_forget_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """When all histories together are too long."""
    country = started("h1", "h2", "h3")
    monkeypatch.setattr("conference.registry.register.KEPT_OF_ALL", 3)
    country.do(ImportHalls(halls=[hall("h1", seats=1)]))
    register = country.state.register
    assert set(register.changes) == {"h3", "h1"}
    assert register.change_count == sum(map(len, register.changes.values())) == 3


def test_the_register_is_in_the_snapshot() -> None:
    """Proposals that wait, decisions, history and withdrawn halls."""
    country = started("h1", "h2")
    country.do(propose(hall("h1", seats=90)), actor="user:an")
    country.do(propose(hall("h9")), actor="user:an")
    country.do(approve("1"), actor="user:binh")
    country.do(WithdrawHalls(hall_ids=["h2"]))
    restored = decode_state(encode_state(country.state), country.state.policy)
    assert restored.register == country.state.register
    assert fingerprint(restored) == fingerprint(country.state)
