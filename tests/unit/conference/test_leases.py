from __future__ import annotations

from conference.leases import LeaseTable


def ended(table: LeaseTable, now_s: float) -> list[str]:
    """Ids of the leases that have ended."""
    return [lease.holder for lease in table.expired(now_s)]


def watch(table: LeaseTable, until_s: float, start_s: float) -> list[str]:
    """Check in small steps, as the gateway does; what has ended at the end."""
    found: list[str] = []
    steps = int((until_s - start_s) / 0.25)
    for step in range(steps + 1):
        found = ended(table, start_s + step * 0.25)
    return found


def test_a_silent_relays_lease_ends() -> None:
    """After `lease_s` without a word the lease has ended, and stays so until it is forgotten."""
    table = LeaseTable(3.0)
    table.renew("a", 1, now_s=0, seen_ms=10)
    assert watch(table, 2.75, 0) == []
    assert watch(table, 3.5, 3.0) == ["a"]
    table.forget("a", 1)
    assert ended(table, 3.75) == []


def test_heartbeats_keep_a_lease() -> None:
    """Each word renews the lease and the time at which the relay was seen."""
    table = LeaseTable(3.0)
    for second in range(10):
        table.renew("a", 1, now_s=second, seen_ms=second * 1000)
        assert watch(table, second + 1, second) == []
    assert table.last_seen_ms("a") == 9000


def test_our_own_standstill_costs_no_relay_its_lease() -> None:
    """When the table was not asked for long, nobody was heard: every lease is longer by that time."""
    table = LeaseTable(3.0)
    table.renew("a", 1, now_s=0, seen_ms=0)
    assert watch(table, 1, 0) == []
    assert ended(table, 100.0) == []
    assert watch(table, 101.75, 100.25) == []
    assert watch(table, 102.5, 102.0) == ["a"]


def test_an_older_registration_changes_nothing() -> None:
    """Words and losses of an earlier epoch neither renew nor end the lease of the later one."""
    table = LeaseTable(3.0)
    table.renew("a", 2, now_s=0, seen_ms=5)
    table.renew("a", 1, now_s=2, seen_ms=9)
    assert table.last_seen_ms("a") == 5
    table.forget("a", 1)
    assert watch(table, 3.25, 0) == ["a"]


def test_grace_is_given_once() -> None:
    """A relay of the journal gets one lease to come back; a lease that runs is not made longer by it."""
    table = LeaseTable(3.0)
    table.grant_grace("a", 1, now_s=0, seen_ms=0)
    table.grant_grace("a", 1, now_s=2, seen_ms=2000)
    assert watch(table, 3.0, 0) == ["a"]
    assert table.last_seen_ms("a") == 0


def test_grace_may_be_longer_than_a_lease() -> None:
    """After a start relays have the grace to come back; one that was heard has a lease like any other again."""
    table = LeaseTable(3.0)
    for relay_id in ("a", "b"):
        table.grant_grace(relay_id, 1, now_s=0, seen_ms=0, grace_s=10)
    table.renew("b", 2, now_s=0, seen_ms=0)
    assert watch(table, 9.75, 0) == ["b"]
    assert watch(table, 10.0, 9.75) == ["b", "a"]
