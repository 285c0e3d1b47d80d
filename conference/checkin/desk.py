"""Checks delegates in: their codes are verified, what is new is made durable, and each is told what became of theirs.

Whoever comes while a round is under way is in the next one. So singles that arrive together share a decision, a record
and a sync, and of several scans of one delegate, however they came, exactly one is told that it counts. No number and
no code is ever logged.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bridges.checkin import conference_tag, parse_code
from bridges.checkin_messages import (
    Checkin,
    CheckinMethod,
    CheckinOutcome,
    CheckinResult,
    DelegateMark,
    MarkOutcome,
    MarkResult,
)
from bridges.errors import CheckinCodeError
from conference.access import ApiClaims, KeyRing
from conference.checkin.checkins import Checkins
from conference.checkin.delegates import Counted, Delegate
from conference.checkin.enrolling import MAX_NONCE, MAX_SCANS
from conference.checkin.events import Mark, Scan
from conference.checkin.pin_guard import PinGuard
from conference.commands import RecordCheckins, RecordMarks
from conference.decider import Decider
from conference.ending import end
from conference.errors import ConferenceError, JournalError, RejectedError
from monitoring.log_config import get_logger

# Signatures checked between two turns for everybody else; some 2 ms.
_CHECKED_AT_ONCE = 64
# Check-ins that may wait for a round before new ones are refused; some seconds of the whole country.
MAX_WAITING = 50_000


class _Shown(NamedTuple):
    """A check-in whose code, if it has one, was verified.

    Attributes:
        result: why it is not to be recorded, "" where the signature is good or there is a PIN instead.
        number: the delegate's; 0 where that could not be read.
        issue: of the code; None where there is a PIN.
        pin: as typed.
    """

    result: CheckinResult | None
    number: int
    issue: int | None
    pin: str
    at_ms: int
    nonce: int
    method: CheckinMethod


class _Waiting:
    """A request that waits for its round."""

    __slots__ = ("answer", "by", "outcomes", "shown")

    def __init__(self, by: ApiClaims, shown: list[_Shown]) -> None:
        self.by = by
        self.shown = shown
        self.outcomes: list[CheckinOutcome | None] = [None] * len(shown)
        self.answer: asyncio.Future[list[CheckinOutcome]] = asyncio.get_running_loop().create_future()


_Before = dict[tuple[str, int], Counted | None]


class CheckinDesk:
    """Takes the check-ins of halls' devices and of delegates' own.

    Args:
        decider: makes durable, and has the state.
        keys: verify codes.
        observe: called with the result of each check-in and of each mark.
        monotonic_s: for the limit on wrong PINs.
    """

    def __init__(
        self,
        decider: Decider,
        keys: KeyRing,
        observe: Callable[[str], None] = lambda _result: None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._decider = decider
        self._keys = keys
        self._observe = observe
        self._guard = PinGuard(keys, monotonic_s)
        self._log = get_logger("conference.checkin.desk")
        self._waiting: list[_Waiting] = []
        self._size = 0
        self._rounds: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """End; nobody asks any more."""
        await end(self._rounds)

    async def check_in(
        self, by: ApiClaims, checkins: Sequence[Checkin], method: CheckinMethod | None = None
    ) -> list[CheckinOutcome]:
        """Record check-ins at the hall of a token; return what became of each once that is durable.

        Args:
            by: claims of a hall's or a poster's token.
            checkins: in any order.
            method: how, whatever they say.

        Raises:
            RejectedError: the conference takes none, or (503) too many wait.
            JournalError: they could not be made durable; to be sent again.
        """
        if self._size + len(checkins) > MAX_WAITING:
            raise RejectedError("busy", "many check in at this moment; ask again", status=503, retry_after_s=2)
        shown = []
        for place, checkin in enumerate(checkins, 1):
            shown.append(self._show(by.conference, checkin, method or checkin.method))
            if place % _CHECKED_AT_ONCE == 0:
                await asyncio.sleep(0)
        waiting = _Waiting(by, shown)
        self._waiting.append(waiting)
        self._size += len(shown)
        if self._rounds is None or self._rounds.done():
            self._rounds = asyncio.create_task(self._serve(), name="checkin-rounds")
        outcomes = await waiting.answer
        for outcome in outcomes:
            self._observe(outcome.result)
        return outcomes

    async def mark(self, by: ApiClaims, marks: Sequence[DelegateMark]) -> list[MarkOutcome]:
        """Record what a hall's technician says of its delegates; return what became of it once that is durable.

        Raises:
            RejectedError: the conference takes none.
            JournalError: they could not be made durable; to be sent again.
        """
        await self._decider.settled()
        checkins = self._decider.state.checkins.get(by.conference) or Checkins()
        results = [_result_of_mark(checkins.delegate(mark.number), by.hall) for mark in marks]
        taken = [
            Mark(mark.number, mark.mark, mark.at_ms, mark.nonce)
            for mark, result in zip(marks, results, strict=True)
            if result == "recorded"
        ]
        command = RecordMarks(conference_id=by.conference, hall_id=by.hall, marks=taken)
        await self._decider.execute(command, by.actor)
        for result in results:
            self._observe(result)
        return [MarkOutcome(result=result, number=mark.number) for mark, result in zip(marks, results, strict=True)]

    def _show(self, conference_id: str, checkin: Checkin, method: CheckinMethod) -> _Shown:
        """Verify a code; what needs the state comes later."""
        at_ms, nonce = checkin.at_ms, checkin.nonce
        if not 0 <= nonce <= MAX_NONCE:
            raise RejectedError("bad_nonce", "a nonce is a positive integer of at most 63 bits", status=422)
        if not checkin.code:
            return _Shown(None, checkin.number, None, checkin.pin, at_ms, nonce, method)
        result: CheckinResult | None = None
        try:
            code = parse_code(checkin.code)
        except CheckinCodeError:
            return _Shown("forged", 0, 0, "", at_ms, nonce, method)
        if code.conference_tag != conference_tag(conference_id):
            result = "other_conference"
        elif not self._keys.is_issued(conference_id, code):
            result = "forged"
        return _Shown(result, 0 if result else code.number, code.issue, "", at_ms, nonce, method)

    async def _serve(self) -> None:
        while self._waiting:
            present = self._next_round()
            try:
                await self._serve_round(present)
            except ConferenceError as error:
                _fail(present, error)
            except Exception as error:  # noqa: BLE001 - whatever it is: logged, told to who waits, and gone on after
                self._log.exception("a round of check-ins failed")
                _fail(present, JournalError(f"a round of check-ins failed: {type(error).__name__}"))
            except asyncio.CancelledError:
                _fail(present, JournalError("the program is stopping"))
                raise

    def _next_round(self) -> list[_Waiting]:
        """Those who wait, as many as one record may hold of one hall."""
        taken, size = 0, 0
        while taken < len(self._waiting) and size + len(self._waiting[taken].shown) <= MAX_SCANS:
            size += len(self._waiting[taken].shown)
            taken += 1
        present, self._waiting = self._waiting[:taken], self._waiting[taken:]
        self._size -= size
        return present

    async def _serve_round(self, present: list[_Waiting]) -> None:
        await self._decider.settled()
        before: _Before = {}
        groups: dict[tuple[str, str, str], list[_Waiting]] = {}
        scans: dict[tuple[str, str, str], list[Scan]] = {}
        for waiting in present:
            by = waiting.by
            key = (by.conference, by.hall, by.actor)
            groups.setdefault(key, []).append(waiting)
            scans.setdefault(key, []).extend(self._judge(waiting, before))
        commands = [
            self._decider.execute(RecordCheckins(conference_id=key[0], hall_id=key[1], scans=each), key[2])
            for key, each in scans.items()
        ]
        done = await asyncio.gather(*commands, return_exceptions=True)
        await self._decider.settled()
        for of_group, answer in zip(groups.values(), done, strict=True):
            if isinstance(answer, ConferenceError):
                _fail(of_group, answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                for waiting in of_group:
                    self._answer(waiting, before)

    def _judge(self, waiting: _Waiting, before: _Before) -> list[Scan]:
        """What of a request is to be recorded; notes what became of the rest."""
        by, scans = waiting.by, list[Scan]()
        checkins = self._decider.state.checkins.get(by.conference) or Checkins()
        for place, shown in enumerate(waiting.shown):
            result, known = shown.result, None
            if result is None:
                known = checkins.delegate(shown.number)
                result = self._refusal(by, shown, known)
            if result is None and known is not None:
                before.setdefault((by.conference, shown.number), known.scan)
                scans.append(Scan(shown.number, shown.at_ms, shown.nonce, shown.method))
            else:
                waiting.outcomes[place] = CheckinOutcome(result=result or "unknown", number=shown.number)
        return scans

    def _refusal(self, by: ApiClaims, shown: _Shown, known: Delegate | None) -> CheckinResult | None:
        """Why a check-in is not recorded; None where it is."""
        if shown.issue is None:
            issue = None if known is None else known.issue
            refusal = self._guard.check(by, shown.number, issue, shown.pin)
            if refusal is not None:
                return refusal
        if known is None:
            return "unknown"
        if known.withdrawn:
            return "withdrawn"
        return "replaced" if shown.issue not in (None, known.issue) else None

    def _answer(self, waiting: _Waiting, before: _Before) -> None:
        by = waiting.by
        checkins = self._decider.state.checkins[by.conference]
        outcomes = []
        for shown, outcome in zip(waiting.shown, waiting.outcomes, strict=True):
            if outcome is not None:
                outcomes.append(outcome)
                continue
            known = checkins.delegate(shown.number)
            result, hall_id = _result_of(known, before[by.conference, shown.number], by.hall, shown.nonce)
            outcomes.append(
                CheckinOutcome(result=result, number=shown.number, hall_id=hall_id if by.role == "hall" else "")
            )
        if not waiting.answer.done():
            waiting.answer.set_result(outcomes)


def _result_of(known: Delegate | None, before: Counted | None, hall_id: str, nonce: int) -> tuple[CheckinResult, str]:
    """What became of a recorded scan, and the hall where another counts."""
    if known is None or known.withdrawn or known.scan is None:
        return "withdrawn", ""
    if known.mark == "void":
        return "void", ""
    this = (hall_id, nonce)
    if (known.scan.hall_id, known.scan.nonce) != this:
        elsewhere = known.scan.hall_id != hall_id
        return ("elsewhere", known.scan.hall_id) if elsewhere else ("again", "")
    if before is None or (before.hall_id, before.nonce) == this:
        return "counted", ""
    # An earlier scan that came later counts from now on; who brings it is told what was so until now.
    return ("again", "") if before.hall_id == hall_id else ("elsewhere", before.hall_id)


def _result_of_mark(known: Delegate | None, hall_id: str) -> MarkResult:
    if known is None:
        return "unknown"
    if known.withdrawn:
        return "withdrawn"
    return "recorded" if known.hall_id == hall_id else "other_hall"


def _fail(waiting: Sequence[_Waiting], error: ConferenceError) -> None:
    for each in waiting:
        if not each.answer.done():
            each.answer.set_exception(error)
