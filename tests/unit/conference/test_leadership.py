from __future__ import annotations

from conference.journal.contract import Writer
from conference.leadership import CHECKS_PER_LEASE, WriterWatch

LEASE_S = 3.0
STEP_S = LEASE_S / CHECKS_PER_LEASE


def writer(pulse: int, *, epoch: int = 1, holder: str = "one") -> Writer:
    """What the journal says."""
    return Writer(epoch=epoch, holder=holder, pulse=pulse)


def silent_for(watch: WriterWatch, said: Writer, start_s: float, duration_s: float) -> bool:
    """Ask as often as a coordinator that stands by does; whether it might take over at the end."""
    may = False
    for step in range(int(duration_s / STEP_S) + 1):
        may = watch.handle_writer(said, start_s + step * STEP_S)
    return may


def test_a_journal_that_nobody_holds_is_free_at_once() -> None:
    """The first coordinator, and the successor of one that stopped in order, wait for nothing."""
    assert WriterWatch(LEASE_S).handle_writer(writer(0, epoch=0, holder=""), 0)
    watch = WriterWatch(LEASE_S)
    assert not watch.handle_writer(writer(5), 0)
    assert watch.handle_writer(writer(5, holder=""), STEP_S)


def test_a_silent_writer_is_succeeded_after_a_lease() -> None:
    """It counts from the last sign that was seen here, and not from any clock of the writer's."""
    watch = WriterWatch(LEASE_S)
    assert not silent_for(watch, writer(1), 100.0, LEASE_S - STEP_S)
    assert watch.handle_writer(writer(1), 100.0 + LEASE_S)


def test_any_sign_of_life_keeps_the_writer() -> None:
    """A pulse, or another epoch of the same holder, begins a new lease."""
    watch = WriterWatch(LEASE_S)
    for pulse in range(10):
        assert not silent_for(watch, writer(pulse), pulse * LEASE_S, LEASE_S - STEP_S)
    assert not silent_for(watch, writer(9, epoch=2), 10 * LEASE_S, LEASE_S - STEP_S)


def test_while_the_store_is_away_nobodys_lease_ends() -> None:
    """After an outage the writer has most of its lease before it, less what had passed: it may come back as well."""
    watch = WriterWatch(LEASE_S)
    assert not watch.handle_writer(writer(1), 0)
    assert not watch.handle_writer(writer(1), STEP_S)
    assert not watch.handle_writer(writer(1), 60.0)
    assert not silent_for(watch, writer(1), 60.0 + STEP_S, LEASE_S - 5 * STEP_S)
    assert silent_for(watch, writer(1), 63.0, STEP_S)


def test_behind_a_slow_line_a_dead_writer_is_succeeded_too() -> None:
    """However far apart the answers are: after some of them, and never sooner than a lease."""
    for every_s in (STEP_S, LEASE_S / 3, LEASE_S, 10 * LEASE_S):
        watch = WriterWatch(LEASE_S)
        answers = 0
        while not watch.handle_writer(writer(1), answers * every_s):
            answers += 1
        assert answers * every_s >= LEASE_S
        assert answers <= CHECKS_PER_LEASE
