"""What clients were told, held against what the journal says: nothing lost, nothing twice, no gap, one decision each.

Every client numbers what it does, repeats it until it is answered, and only then does the next: the journal must hold
its numbers in order, each once, up to the last that was answered and at most one beyond. Presence alone may stand there
again, for relays send at least once; there what counts is the time that it adds up to.
"""

from __future__ import annotations

import msgspec
from support.coordinator_harness import CONFERENCE

from bridges.messages import Assignment
from conference.events import HallAssigned, HallLeft, HeadcountReported, PresenceObserved
from conference.journal.contract import Journal, Record
from conference.journal_fold import fold_journal
from conference.policy import Policy
from conference.snapshot import fingerprint
from conference.state import State, apply
from relay.messages import SessionOpened

SESSION_MS = 1_000
SESSION_EVERY_MS = 10_000
Actor = tuple[str, str]
"""What it does (`headcount`, `seat`, `presence`) and its name."""


class Verdict(msgspec.Struct, kw_only=True):
    """Figures of a trial.

    Attributes:
        records: read in the journal.
        acknowledged: answered commands.
        lost: answered commands that are not in the journal.
        twice: commands that are there more than once.
        split: answers that say something else than the journal.
        cut_before: commands under way at a death that were not written then.
        cut_after: commands under way at a death that were written and not answered.
        presence_repeated: presence that was sent and written again, and counted once.
        folds: comparisons of snapshot and tail with the whole journal.
    """

    records: int = 0
    acknowledged: int = 0
    lost: int = 0
    twice: int = 0
    split: int = 0
    cut_before: int = 0
    cut_after: int = 0
    presence_repeated: int = 0
    folds: int = 0


class Witness:
    """Follows a journal, and remembers what clients were told.

    Args:
        journal: read by this witness alone.

    Attributes:
        verdict: so far.
        under_way: what was sent and not answered yet.
    """

    def __init__(self, journal: Journal) -> None:
        self.verdict = Verdict()
        self.under_way: dict[Actor, int] = {}
        self._journal = journal
        self._whole = State(Policy())
        self._positions: dict[str, int] = {}
        self._epoch = 0
        self._answered: dict[Actor, int] = {}
        self._written: dict[Actor, int] = {}
        self._cut: dict[Actor, tuple[int, int]] = {}
        self._told: dict[tuple[str, int], str] = {}

    def handle_answer(self, actor: Actor, number: int) -> None:
        """A client was told that its command is done."""
        self._answered[actor] = number
        self.verdict.acknowledged += 1

    def handle_assignment(self, assignment: Assignment) -> None:
        """A hall was told its relay."""
        before = self._told.setdefault((assignment.hall_id, assignment.epoch), assignment.primary.relay_id)
        self.verdict.split += before != assignment.primary.relay_id

    def handle_death(self) -> None:
        """The leader was killed now."""
        self._cut.update({actor: (number, self._epoch) for actor, number in self.under_way.items()})

    async def check(self) -> None:
        """Read what was written since the last time, and compare.

        Raises:
            AssertionError: with what differs.
        """
        answered = dict(self._answered)
        fold = await fold_journal(self._journal, Policy())
        if fold.positions != self._positions:
            async for record in self._journal.read(dict(self._positions)):
                self._handle_record(record)
                if self._positions == fold.positions:
                    break
        for actor, number in answered.items():
            self.verdict.lost += max(0, number - self._written.get(actor, 0))
        assert fold.positions == self._positions
        assert fingerprint(fold.state) == fingerprint(self._whole)
        self.verdict.folds += 1
        self._check_presence()
        verdict = self.verdict
        assert (verdict.lost, verdict.twice, verdict.split) == (0, 0, 0), verdict

    def _handle_record(self, record: Record) -> None:
        verdict = self.verdict
        verdict.records += 1
        assert record.position == self._positions.get(record.stream, 0) + 1, record
        assert record.epoch >= self._epoch, record
        self._positions[record.stream] = record.position
        self._epoch = record.epoch
        apply(self._whole, record.event, record.at_ms, record.actor)
        match record.event:
            case HeadcountReported(hall_id=hall_id, note=note):
                self._handle_written(("headcount", hall_id), int(note), record.epoch)
            case HallAssigned(hall_id=hall_id, reason="join"):
                seat = ("seat", hall_id)
                # Joins have odd numbers, leavings even ones: a second join in a row has the number of the first.
                number = self._written.get(seat, 0)
                self._handle_written(seat, number + 1 if number % 2 == 0 else number, record.epoch)
                told = self._told.get((hall_id, record.event.epoch), record.event.primary)
                verdict.split += told != record.event.primary
            case HallLeft(hall_id=hall_id):
                number = self._written.get(("seat", hall_id), 0)
                self._handle_written(("seat", hall_id), number + 1 if number % 2 else number, record.epoch)
            case PresenceObserved(relay_id=relay_id, deltas=deltas):
                for delta in deltas:
                    if isinstance(delta, SessionOpened):
                        self._handle_written(("presence", relay_id), int(delta.session_id.split(":")[1]), record.epoch)
            case _:
                pass

    def _handle_written(self, actor: Actor, number: int, epoch: int) -> None:
        verdict, before = self.verdict, self._written.get(actor, 0)
        cut_number, cut_epoch = self._cut.get(actor, (0, 0))
        if number == cut_number:
            del self._cut[actor]
            if epoch == cut_epoch:
                verdict.cut_after += 1
            else:
                verdict.cut_before += 1
        if number == before and actor[0] == "presence":
            verdict.presence_repeated += 1
        elif number <= before:
            verdict.twice += 1
        else:
            verdict.lost += number - before - 1
            self._written[actor] = number

    def _check_presence(self) -> None:
        """Every session counts once, however often it was reported."""
        present_ms = sum(each.total_ms(0) for each in self._whole.presence.get(CONFERENCE, {}).values())
        sessions = sum(number for (kind, _), number in self._written.items() if kind == "presence")
        assert present_ms == sessions * SESSION_MS
