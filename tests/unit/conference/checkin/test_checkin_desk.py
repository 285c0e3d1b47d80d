"""Rounds of check-ins: what is shared, who is told what, and what a failure does to those who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from bridges.checkin_messages import Checkin
from bridges.halls import Hall
from bridges.units import Unit
from conference.access import ApiClaims, KeyRing
from conference.checkin import desk as checkin_desk
from conference.checkin.desk import CheckinDesk
from conference.checkin.events import DelegateBlock
from conference.commands import (
    ChangePhase,
    Command,
    CreateConference,
    EnrolDelegates,
    ImportHalls,
    ImportUnits,
    RecordCheckins,
)
from conference.decide import decide
from conference.errors import JournalError, RejectedError
from conference.events import Event
from conference.state import State, apply

KEYS = KeyRing.generate()
NOW_MS = 1_000
HALL, POSTER = (ApiClaims(sub="a", role=role, hall="a", conference="c", exp=0) for role in ("hall", "poster"))


class Decisions:
    """A decider in memory: each command takes a turn of the loop, as a disk would."""

    def __init__(self) -> None:
        self.state = State()
        self.commands: list[RecordCheckins] = []
        self.failure: Exception | None = None
        for command in (
            ImportUnits(units=[Unit(code="01", name="Hà Nội", kind="city", parent="")]),
            ImportHalls(halls=[Hall(hall_id=each, name="Nhà", unit="01", level="base", seats=9) for each in "ab"]),
            CreateConference(conference_id="c", title="Hội nghị", feeds=["program"]),
            ChangePhase(conference_id="c", phase="open"),
            EnrolDelegates(conference_id="c", blocks=[DelegateBlock("a", 1, 200), DelegateBlock("b", 201, 9)]),
        ):
            self._do(command, 1)

    def _do(self, command: Command, now_ms: int) -> list[Event]:
        events = decide(self.state, command, now_ms)
        for event in events:
            apply(self.state, event, now_ms)
        return events

    def now_ms(self) -> int:
        """Now."""
        return NOW_MS

    async def settled(self) -> None:
        """At once."""

    async def execute(self, command: Command, actor: str) -> Sequence[Event]:
        """Decide, and let the disk work."""
        assert actor in {"hall:a", "poster:a", "hall:b"}
        if self.failure is not None:
            raise self.failure
        events = self._do(command, NOW_MS)
        if isinstance(command, RecordCheckins):
            self.commands.append(command)
        await asyncio.sleep(0)
        return events


def scan(number: int, nonce: int, at_ms: int = 500) -> Checkin:
    """A code as it was scanned."""
    return Checkin(code=KEYS.issue_code("c", number, 0), at_ms=at_ms, nonce=nonce)


async def results(desk: CheckinDesk, by: ApiClaims, *scans: Checkin) -> list[str]:
    """What became of each."""
    return [outcome.result for outcome in await desk.check_in(by, scans)]


async def test_those_who_come_together_share_a_decision() -> None:
    """One for each hall and kind of holder in a round, however many wait."""
    decisions = Decisions()
    desk = CheckinDesk(decisions, KEYS)
    made = await asyncio.gather(
        *(results(desk, HALL if number % 2 else POSTER, scan(number, number)) for number in range(1, 101))
    )
    assert made == [["counted"]] * 100
    assert len(decisions.commands) <= 4
    assert sum(len(command.scans) for command in decisions.commands) == 100


async def test_exactly_one_is_told_that_it_counts_whatever_comes_first() -> None:
    """An earlier scan that comes later counts from then on, and its device hears what was so until now."""
    desk = CheckinDesk(Decisions(), KEYS)
    told = [await results(desk, HALL, scan(1, nonce, at_ms)) for nonce, at_ms in ((1, 500), (2, 400), (3, 600))]
    assert told == [["counted"], ["again"], ["again"]]
    assert await results(desk, HALL, scan(1, 2, 400)) == ["counted"]
    other = ApiClaims(sub="b", role="hall", hall="b", conference="c", exp=0)
    assert await results(desk, other, scan(1, 4, 300)) == ["elsewhere"]
    assert await results(desk, HALL, scan(1, 2, 400)) == ["elsewhere"]


async def test_one_batch_may_say_the_same_twice() -> None:
    """The same scan counts as often as it is said, another one of the same delegate is again."""
    desk = CheckinDesk(Decisions(), KEYS)
    assert await results(desk, HALL, scan(1, 1), scan(1, 1), scan(1, 2, 600)) == ["counted", "counted", "again"]


async def test_what_fails_is_told_to_all_of_the_round() -> None:
    """And the next round goes on."""
    decisions = Decisions()
    desk = CheckinDesk(decisions, KEYS)
    decisions.failure = JournalError("the disk is full")
    failed = await asyncio.gather(
        *(desk.check_in(HALL, [scan(number, number)]) for number in (1, 2)), return_exceptions=True
    )
    assert [type(each) for each in failed] == [JournalError, JournalError]
    decisions.failure = ValueError("a bug")
    with pytest.raises(JournalError, match="ValueError"):
        await desk.check_in(HALL, [scan(1, 1)])
    decisions.failure = None
    assert await results(desk, HALL, scan(1, 1)) == ["counted"]


async def test_too_many_who_wait_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With when to ask again; those who wait already are served."""
    monkeypatch.setattr(checkin_desk, "MAX_WAITING", 3)
    desk = CheckinDesk(Decisions(), KEYS)
    first = asyncio.create_task(results(desk, HALL, scan(1, 1), scan(2, 2)))
    await asyncio.sleep(0)
    with pytest.raises(RejectedError) as caught:
        await desk.check_in(HALL, [scan(3, 3), scan(4, 4)])
    assert (caught.value.code, caught.value.status) == ("busy", 503)
    assert await first == ["counted", "counted"]
    assert await results(desk, HALL, scan(3, 3)) == ["counted"]


async def test_who_goes_away_holds_nobody_up() -> None:
    """A connection that was closed while its scan waited; the scan is recorded all the same."""
    desk = CheckinDesk(Decisions(), KEYS)
    gone = asyncio.create_task(desk.check_in(HALL, [scan(1, 1)]))
    await asyncio.sleep(0)
    gone.cancel()
    assert await results(desk, HALL, scan(2, 2)) == ["counted"]
    assert await results(desk, HALL, scan(1, 9)) == ["again"]


async def test_stopping_tells_those_who_wait() -> None:
    """Nobody is left without an answer."""
    desk = CheckinDesk(Decisions(), KEYS)
    waiting = asyncio.create_task(desk.check_in(HALL, [scan(1, 1)]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await desk.stop()
    with pytest.raises(JournalError):
        await waiting
