from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from conference import coordinator as coordinator_module
from conference.commands import ChangePhase, CreateConference
from conference.coordinator import Coordinator
from conference.errors import CorruptJournalError, JournalError, RejectedError, RewoundJournalError, StaleEpochError
from conference.events import Event, HeadcountReported, partition_of, stream_of
from conference.journal.contract import Entry, Record, Snapshot, Writer
from conference.partitions import PartitionFollower
from conference.policy import Policy
from conference.snapshot import decode_state, fingerprint
from conference.state import State, apply


class ScriptedJournal:
    """A journal in memory whose appends wait for `gate` and fail as told.

    Attributes:
        gate: appends go on while it is set.
        failures: errors of the next appends, in order; None for one that succeeds.
        appends: what each successful append wrote.
        epoch: of the newest writer.
        is_deaf: signs of life are not confirmed.
        elsewhere: records of partitions.
    """

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[JournalError | None] = []
        self.read_failures: list[JournalError] = []
        self.appends: list[list[Entry]] = []
        self.records: list[Record] = []
        self.elsewhere: list[Record] = []
        self.snapshots: list[Snapshot] = []
        self.waiting = asyncio.Event()
        self.closed = False
        self.epoch = 0
        self.is_deaf = False

    async def writer(self) -> Writer:
        """Nobody holds it."""
        return Writer(epoch=self.epoch, holder="", pulse=0)

    async def open_writer(self, *, after: int | None = None) -> int:
        """One more."""
        if after not in {None, self.epoch}:
            raise StaleEpochError("taken over")
        self.epoch += 1
        return self.epoch

    async def renew(self, epoch: int) -> None:
        """Tell a stale one."""
        if self.is_deaf:
            raise JournalError("not confirmed")
        if epoch != self.epoch:
            raise StaleEpochError("taken over")

    async def release(self, epoch: int) -> None:
        """Nobody held it."""

    async def announce(self, epoch: int, address: str) -> None:
        """Nobody asks."""

    async def read_partitions(self, after: dict[str, int]) -> AsyncIterator[Record]:
        """What others wrote."""
        for record in list(self.elsewhere):
            if record.position > after.get(record.stream, 0):
                yield record

    async def kept_after(self) -> dict[str, int]:
        """Everything is kept."""
        return {}

    async def begin_fill(self, after: dict[str, int]) -> None:
        """No copy goes here."""
        raise NotImplementedError

    async def fill(self, records: Sequence[Record]) -> None:
        """No copy goes here."""
        raise NotImplementedError

    async def finish_fill(self, epoch: int, snapshot: Snapshot | None) -> None:
        """No copy goes here."""
        raise NotImplementedError

    async def append(self, epoch: int, entries: Sequence[Entry]) -> None:
        """Wait for the gate, then fail or keep."""
        self.waiting.set()
        await self.gate.wait()
        self.waiting.clear()
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.appends.append(list(entries))
        for entry in entries:
            stream = stream_of(entry.event)
            position = 1 + sum(record.stream == stream for record in self.records)
            self.records.append(
                Record(
                    stream=stream,
                    position=position,
                    epoch=epoch,
                    at_ms=entry.at_ms,
                    actor=entry.actor,
                    event=entry.event,
                )
            )

    async def read(self, after: dict[str, int]) -> AsyncIterator[Record]:
        """What was kept."""
        if self.read_failures:
            raise self.read_failures.pop(0)
        for record in [*self.records, *self.elsewhere]:
            if record.position > after.get(record.stream, 0):
                yield record

    async def save_snapshot(self, epoch: int, snapshot: Snapshot) -> None:
        """Keep it, if it is the newest writer's."""
        await self.renew(epoch)
        self.snapshots.append(snapshot)

    async def latest_snapshot(self) -> Snapshot | None:
        """The last one."""
        return self.snapshots[-1] if self.snapshots else None

    async def close(self) -> None:
        """Note it."""
        self.closed = True


def create(number: int) -> CreateConference:
    """One event."""
    return CreateConference(conference_id=f"c{number}", title=f"Hội nghị {number}", feeds=["program"])


@pytest.fixture
async def journal() -> ScriptedJournal:
    """An empty journal."""
    return ScriptedJournal()


@pytest.fixture
async def coordinator(journal: ScriptedJournal, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Coordinator]:
    """A coordinator that has started on it."""
    monkeypatch.setattr(coordinator_module, "RECOVERY_PAUSE_S", 0.0)
    coordinator = Coordinator(journal, Policy(), lambda: 1_000, snapshot_every=100)
    await coordinator.start()
    yield coordinator
    journal.gate.set()
    await coordinator.stop()
    assert journal.closed


async def recovered(coordinator: Coordinator) -> None:
    """Wait until commands are taken again."""
    again = asyncio.Event()
    coordinator.subscribe_recovery(again.set)
    if not coordinator.is_ready:
        await asyncio.wait_for(again.wait(), 5)


def folded(journal: ScriptedJournal) -> str:
    """Fingerprint of what the journal holds."""
    state = State(Policy())
    for record in journal.records:
        apply(state, record.event, record.at_ms, record.actor)
    return fingerprint(state)


async def test_nobody_is_answered_before_the_append(coordinator: Coordinator, journal: ScriptedJournal) -> None:
    """The state has the event at once, the caller his answer only when it is durable."""
    journal.gate.clear()
    task = asyncio.create_task(coordinator.execute(create(1), "user:lan"))
    await journal.waiting.wait()
    assert "c1" in coordinator.state.conferences
    assert not task.done()
    journal.gate.set()
    assert len(await task) == 1
    assert [entry.actor for entry in journal.appends[0]] == ["user:lan"]


async def test_those_who_come_during_a_sync_share_the_next(coordinator: Coordinator, journal: ScriptedJournal) -> None:
    """However many commands come while one append is under way, they cost one more append, in their order."""
    journal.gate.clear()
    first = asyncio.create_task(coordinator.execute(create(0), "a"))
    await journal.waiting.wait()
    others = [asyncio.create_task(coordinator.execute(create(number), "a")) for number in range(1, 101)]
    await asyncio.sleep(0)
    journal.gate.set()
    await asyncio.gather(first, *others)
    assert [len(append) for append in journal.appends] == [1, 100]
    assert list(coordinator.state.conferences) == [f"c{number}" for number in range(101)]


async def test_a_repeated_command_waits_for_the_one_that_it_repeats(
    coordinator: Coordinator, journal: ScriptedJournal
) -> None:
    """A command without effect, and a refusal, are not answered before what they rest on is durable."""
    journal.gate.clear()
    first = asyncio.create_task(coordinator.execute(create(1), "a"))
    again = asyncio.create_task(coordinator.execute(create(1), "b"))
    refused = asyncio.create_task(
        coordinator.execute(CreateConference(conference_id="c1", title="Khác", feeds=["program"]), "c")
    )
    await journal.waiting.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not again.done()
    assert not refused.done()
    journal.gate.set()
    assert (len(await first), await again) == (1, [])
    with pytest.raises(RejectedError):
        await refused


async def test_a_failed_append_leaves_nothing_behind(coordinator: Coordinator, journal: ScriptedJournal) -> None:
    """Everybody who waits gets the error, also those in the batch behind; then the state is the journal's again."""
    await coordinator.execute(create(0), "a")
    journal.gate.clear()
    journal.failures = [JournalError("disk full")]
    first = asyncio.create_task(coordinator.execute(create(1), "a"))
    await journal.waiting.wait()
    behind = [
        asyncio.create_task(coordinator.execute(command, "a"))
        for command in (create(2), ChangePhase(conference_id="c1", phase="open"))
    ]
    await asyncio.sleep(0)
    journal.gate.set()
    for found in await asyncio.gather(first, *behind, return_exceptions=True):
        assert isinstance(found, JournalError)
    await recovered(coordinator)
    assert list(coordinator.state.conferences) == ["c0"]
    assert fingerprint(coordinator.state) == folded(journal)
    await coordinator.execute(create(1), "a")
    assert fingerprint(coordinator.state) == folded(journal)


async def test_what_failed_cannot_arrive_behind_the_fold(coordinator: Coordinator, journal: ScriptedJournal) -> None:
    """The state is folded again with another epoch, and not at all once somebody else has taken over."""
    journal.failures = [JournalError("no answer")] * 2
    with pytest.raises(JournalError):
        await coordinator.execute(create(1), "a")
    await recovered(coordinator)
    assert (coordinator.epoch, journal.epoch) == (2, 2)
    journal.epoch = 3
    with pytest.raises(JournalError):
        await coordinator.execute(create(1), "a")
    for _ in range(20):
        await asyncio.sleep(0)
    with pytest.raises(JournalError, match="taken over"):
        await coordinator.execute(create(1), "a")


async def test_nothing_is_read_or_taken_until_the_journal_was_read_again(
    coordinator: Coordinator, journal: ScriptedJournal
) -> None:
    """Between the failure and the fold there is no state; the fold is tried until it works."""
    journal.failures = [JournalError("gone")]
    journal.read_failures = [JournalError("still gone")] * 3
    with pytest.raises(JournalError):
        await coordinator.execute(create(1), "a")
    assert not coordinator.is_ready
    with pytest.raises(JournalError):
        _ = coordinator.state
    with pytest.raises(JournalError):
        await coordinator.execute(create(2), "a")
    await recovered(coordinator)
    assert journal.read_failures == []
    assert coordinator.state.conferences == {}


@pytest.mark.parametrize("error", [StaleEpochError("taken over"), CorruptJournalError("torn")])
async def test_what_time_does_not_heal_is_not_tried_again(
    coordinator: Coordinator, journal: ScriptedJournal, error: JournalError
) -> None:
    """A writer that was replaced, and a journal that is corrupt, end this coordinator's work for good."""
    journal.failures = [error] if isinstance(error, StaleEpochError) else [JournalError("x")]
    journal.read_failures = [] if isinstance(error, StaleEpochError) else [error]
    with pytest.raises(JournalError):
        await coordinator.execute(create(1), "a")
    for _ in range(20):
        await asyncio.sleep(0)
    with pytest.raises(JournalError):
        await coordinator.execute(create(1), "a")
    assert not coordinator.is_ready


async def test_a_caller_who_goes_takes_nothing_back(coordinator: Coordinator, journal: ScriptedJournal) -> None:
    """A cancelled caller's events are written all the same, and nobody else is disturbed."""
    journal.gate.clear()
    gone = asyncio.create_task(coordinator.execute(create(1), "a"))
    stays = asyncio.create_task(coordinator.execute(create(2), "a"))
    await journal.waiting.wait()
    gone.cancel()
    journal.gate.set()
    await stays
    assert list(coordinator.state.conferences) == ["c1", "c2"]
    assert fingerprint(coordinator.state) == folded(journal)


async def test_snapshots_hold_only_what_is_durable(coordinator: Coordinator, journal: ScriptedJournal) -> None:
    """A snapshot and the records behind it fold to the same state as the whole journal, whenever it was taken."""
    journal.gate.clear()
    tasks = []
    for number in range(350):
        tasks.append(asyncio.create_task(coordinator.execute(create(number), "a")))
        if number % 60 == 59:
            await journal.waiting.wait()
            journal.gate.set()
            while journal.waiting.is_set():  # noqa: ASYNC110 - the turn in which the append goes on
                await asyncio.sleep(0)
            journal.gate.clear()
    journal.gate.set()
    await asyncio.gather(*tasks)
    assert journal.snapshots
    for snapshot in journal.snapshots:
        other = ScriptedJournal()
        other.records, other.snapshots = journal.records, [snapshot]
        restarted = Coordinator(other, Policy(), lambda: 1_000)
        await restarted.start()
        assert fingerprint(restarted.state) == folded(journal)
        await restarted.stop()


async def test_a_snapshot_that_holds_what_failed_is_not_kept(
    journal: ScriptedJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot is of a moment in which more was decided than was durable: it waits, and goes with what fails."""
    monkeypatch.setattr(coordinator_module, "RECOVERY_PAUSE_S", 0.0)
    coordinator = Coordinator(journal, Policy(), lambda: 1_000, snapshot_every=1)
    await coordinator.start()
    journal.gate.clear()
    journal.failures = [None, JournalError("gone")]
    first = asyncio.create_task(coordinator.execute(create(1), "a"))
    await journal.waiting.wait()
    second = asyncio.create_task(coordinator.execute(create(2), "a"))
    await asyncio.sleep(0)  # decided, and in the batch behind the first: the snapshot that the first makes due holds it
    journal.gate.set()
    await first
    with pytest.raises(JournalError):
        await second
    await recovered(coordinator)
    await coordinator.stop()
    assert [list(decode_state(snapshot.state).conferences) for snapshot in journal.snapshots] == [["c1"]]


async def test_a_damaged_snapshot_costs_time_only(journal: ScriptedJournal) -> None:
    """A snapshot that does not decode is passed over, and the whole journal is folded."""
    first = Coordinator(journal, Policy(), lambda: 1_000)
    await first.start()
    await first.execute(create(1), "a")
    await first.stop()
    journal.snapshots.append(Snapshot(positions={"control": 1}, state=b"rubbish"))
    second = Coordinator(journal, Policy(), lambda: 1_000)
    await second.start()
    assert list(second.state.conferences) == ["c1"]
    await second.stop()


async def test_subscribers_hear_of_durable_events_in_order(coordinator: Coordinator, journal: ScriptedJournal) -> None:
    """They are called after the append and not for what failed; one that fails harms nobody."""
    heard: list[Event] = []

    def broken(_: Sequence[Entry]) -> None:
        raise ValueError("a bug")

    coordinator.subscribe(broken)
    coordinator.subscribe(lambda entries: heard.extend(entry.event for entry in entries))
    await coordinator.execute(create(1), "a")
    journal.failures = [JournalError("disk full")]
    with pytest.raises(JournalError):
        await coordinator.execute(create(2), "a")
    await recovered(coordinator)
    await coordinator.execute(create(3), "a")
    assert [getattr(event, "conference_id", "") for event in heard] == ["c1", "c3"]


async def test_a_stop_makes_durable_what_waits_and_then_refuses(journal: ScriptedJournal) -> None:
    """Commands that were taken before the stop are answered; the last snapshot is of their state."""
    coordinator = Coordinator(journal, Policy(), lambda: 1_000)
    await coordinator.start()
    tasks = [asyncio.create_task(coordinator.execute(create(number), "a")) for number in range(10)]
    await asyncio.sleep(0)
    await coordinator.stop()
    assert all(len(events) == 1 for events in await asyncio.gather(*tasks))
    assert journal.snapshots[-1].positions == {"control": 10}
    with pytest.raises(JournalError):
        await coordinator.execute(create(11), "a")


async def test_a_clock_that_is_set_back_dates_nothing_before_what_was_written(journal: ScriptedJournal) -> None:
    """The times of records never fall, not even after a restart from a snapshot, and rise again with the clock."""
    times = [5_000]
    for _ in range(2):
        coordinator = Coordinator(journal, Policy(), lambda: times[-1])
        await coordinator.start()
        number = len(journal.records)
        for time_ms in (times[-1], 1_000, 4_999, 6_000 + number):
            times.append(time_ms)
            await coordinator.execute(create(len(journal.records)), "user:lan")
        times.append(10)
        await coordinator.stop()
    assert [record.at_ms for record in journal.records] == [5_000, 5_000, 5_000, 6_000, 6_000, 6_000, 6_000, 6_004]
    assert len(journal.snapshots) == 2


async def until_ready(coordinator: Coordinator, *, is_so: bool) -> None:
    """Wait until it is ready, or is not."""
    async with asyncio.timeout(10):
        while coordinator.is_ready != is_so:  # noqa: ASYNC110 - a lease that ends rings no bell
            await asyncio.sleep(0.01)


async def test_who_was_not_heard_for_a_lease_answers_nothing_from_memory(journal: ScriptedJournal) -> None:
    """What passes no fence is refused until a sign of life, or an append, is confirmed again; events are written."""
    coordinator = Coordinator(journal, Policy(), lambda: 1_000, lease_s=0.15)
    await coordinator.start()
    await coordinator.execute(create(1), "test")
    journal.is_deaf = True
    await until_ready(coordinator, is_so=False)
    with pytest.raises(JournalError, match="another one may lead"):
        await coordinator.execute(create(1), "test")
    with pytest.raises(JournalError, match="another one may lead"):
        await coordinator.execute(ChangePhase(conference_id="unknown", phase="open"), "test")
    assert await coordinator.execute(create(2), "test")
    await until_ready(coordinator, is_so=True)
    await until_ready(coordinator, is_so=False)
    journal.is_deaf = False
    await until_ready(coordinator, is_so=True)
    assert await coordinator.execute(create(1), "test") == []
    await coordinator.stop()


def counted(position: int, present: int) -> Record:
    """A figure that a gateway wrote."""
    event = HeadcountReported(
        conference_id="c1",
        hall_id="h1",
        summoned=90,
        present=present,
        excused=0,
        unexcused=0,
        exempt=0,
        note="",
        revision=position,
    )
    return Record(
        stream=partition_of("g"), position=position, epoch=1, at_ms=1_000 + position, actor="hall:h1", event=event
    )


async def test_what_gateways_wrote_is_taken_in_once(coordinator: Coordinator) -> None:
    """Records that come twice are passed over, and what lies behind a gap waits until the gap is read."""
    told: list[int] = []
    coordinator.subscribe(lambda entries: told.extend(entry.at_ms for entry in entries))
    coordinator.fold([counted(1, 10), counted(2, 20)])
    coordinator.fold([counted(2, 20), counted(4, 40)])
    assert coordinator.positions == {partition_of("g"): 2}
    assert coordinator.state.headcounts["c1"]["h1"].present == 20
    coordinator.fold([counted(3, 30), counted(4, 40)])
    assert coordinator.state.headcounts["c1"]["h1"].present == 40
    assert told == [1_001, 1_002, 1_003, 1_004]


async def test_partitions_are_followed(coordinator: Coordinator, journal: ScriptedJournal) -> None:
    """What stands in a partition is in the leader's state soon after, and counts towards the next snapshot."""
    follower = PartitionFollower(coordinator, journal, lambda: "http://leader", every_s=0.001)
    follower.start()
    journal.elsewhere += [counted(number, number) for number in range(1, 151)]
    async with asyncio.timeout(5):
        while not journal.snapshots:  # noqa: ASYNC110 - a journal rings no bell
            await asyncio.sleep(0.001)
    await follower.stop()
    assert journal.snapshots[0].positions == {partition_of("g"): 150}


async def test_a_partition_that_lost_records_costs_the_leader_its_state(
    coordinator: Coordinator, journal: ScriptedJournal
) -> None:
    """The state is folded again from what is there, and the coordinator goes on with another epoch."""
    await coordinator.execute(create(1), "a")
    journal.elsewhere += [counted(1, 10), counted(2, 20)]
    coordinator.fold(journal.elsewhere)
    before = coordinator.epoch
    journal.elsewhere.pop()
    coordinator.distrust(RewoundJournalError("record 2 is not there any more"))
    await recovered(coordinator)
    assert coordinator.epoch > before
    assert coordinator.state.headcounts["c1"]["h1"].present == 10
    assert coordinator.positions[partition_of("g")] == 1
