"""Leases of relays, and of the journal's writer: who was heard of lately. Pure; `now_s` is a monotonic clock.

A lease ends when nothing was heard for `lease_s`. What this table refuses to do is to blame a holder for our own
silence: when the coordinator itself stood still (a paused machine, a long garbage collection, a full processor) it
heard nobody, and all leases would end at once. `expired` notices the gap between two of its calls and gives every
lease that much more time.
"""

from __future__ import annotations

import msgspec

# `expired` is called eight times in a lease; a call that comes half a lease after the one before was not merely busy.
STALL_SHARE = 0.5


class Lease(msgspec.Struct, kw_only=True):
    """One holder's lease.

    Attributes:
        holder: whose: a relay's id.
        epoch: of its registration.
        ends_s: monotonic time at which it ends unless renewed.
        last_seen_ms: wall clock, milliseconds since the epoch, when it was heard last.
    """

    holder: str
    epoch: int
    ends_s: float
    last_seen_ms: int


class LeaseTable:
    """The leases of all that live."""

    def __init__(self, lease_s: float) -> None:
        self.lease_s = lease_s
        self._leases: dict[str, Lease] = {}
        self._checked_s: float | None = None

    def renew(self, holder: str, epoch: int, *, now_s: float, seen_ms: int) -> None:
        """A holder was heard of; older registrations than the one known are ignored."""
        lease = self._leases.get(holder)
        if lease is None or lease.epoch < epoch:
            self._leases[holder] = Lease(holder=holder, epoch=epoch, ends_s=now_s + self.lease_s, last_seen_ms=seen_ms)
        elif lease.epoch == epoch:
            lease.ends_s = now_s + self.lease_s
            lease.last_seen_ms = seen_ms

    def grant_grace(self, holder: str, epoch: int, *, now_s: float, seen_ms: int, grace_s: float = 0.0) -> None:
        """Give a relay that the journal calls live, and that has no lease here, time to come back.

        That is one whole lease, or `grace_s` where that is longer; once it is heard, its lease is like any other.
        """
        if holder not in self._leases:
            self.renew(holder, epoch, now_s=now_s, seen_ms=seen_ms)
            self._leases[holder].ends_s = now_s + max(self.lease_s, grace_s)

    def forget(self, holder: str, epoch: int) -> None:
        """The relay was lost or said goodbye; a newer registration keeps its lease."""
        lease = self._leases.get(holder)
        if lease is not None and lease.epoch <= epoch:
            del self._leases[holder]

    def last_seen_ms(self, holder: str) -> int | None:
        """When the relay was heard last, or None."""
        lease = self._leases.get(holder)
        return None if lease is None else lease.last_seen_ms

    def expired(self, now_s: float) -> list[Lease]:
        """Leases that have ended, longest ago first. They stay until `forget`, so that a failure is tried again."""
        if self._checked_s is not None:
            gap_s = now_s - self._checked_s
            if gap_s > self.lease_s * STALL_SHARE:
                for lease in self._leases.values():
                    lease.ends_s += gap_s
        self._checked_s = now_s
        ended = [lease for lease in self._leases.values() if lease.ends_s <= now_s]
        return sorted(ended, key=lambda lease: lease.ends_s)
