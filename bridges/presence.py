"""Presence by connection: when a hall received media, as the union of its sessions' intervals.

Owns the first of the three sources of attendance (connection); a reconnection is not a new presence, and two sessions
at once (primary and backup during a move) count once. Refuses nothing: reports come at least once and in any order, so
a session's openings and closings commute and repeat without effect. `close_relay` is the exception by nature: it is a
judgement on what has arrived so far ("this relay is gone"), and a relay that comes back and reports the session
revokes it. A genuine closing is final.

Memory: a hall that flaps all day leaves one session for each reconnection. Past `KEPT_SESSIONS`, finished ones are
merged into `spans` and only an eight-byte digest of their id remains, so that a late repetition of a report is still
recognised and cannot open a phantom. What is given up after that: a second closing of the same session with a
*different* time is ignored instead of extending it (relays repeat reports, they do not revise them), and past
`REMEMBERED_SESSIONS` the oldest digests go, where only a repetition delayed by thousands of sessions could be mistaken
for news.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from itertools import pairwise

import msgspec

# A quiet hall has one to five sessions in a day; 32 keep the normal case exact and a scan of them trivial.
KEPT_SESSIONS = 32
# One reconnection every four seconds for nine hours; 64 KiB for the worst hall.
REMEMBERED_SESSIONS = 8_192
_DIGEST_BYTES = 8
_OPEN_END_MS = 2**63 - 1


class Interval(msgspec.Struct, frozen=True, order=True, gc=False):
    """A stretch of time in milliseconds since the epoch: `start_ms` is in it, `end_ms` is not."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.end_ms - self.start_ms


class Session(msgspec.Struct, kw_only=True, gc=False):
    """One session of the hall at one relay.

    Attributes:
        relay_id: relay that delivers.
        since_ms: when media began; None while only its closing has arrived.
        until_ms: when media ended; None while it is open.
        lost: `until_ms` is the moment at which its relay was lost; the relay may come back and revoke it.
    """

    relay_id: str
    since_ms: int | None = None
    until_ms: int | None = None
    lost: bool = False

    @property
    def is_open(self) -> bool:
        """Media flows, as far as is known."""
        return self.since_ms is not None and self.until_ms is None

    @property
    def is_finished(self) -> bool:
        """Both ends are known and nothing can revoke them."""
        return self.since_ms is not None and self.until_ms is not None and not self.lost


class HallPresence(msgspec.Struct, kw_only=True):
    """The presence of one hall in one conference; a plain value that a snapshot can hold.

    Attributes:
        sessions: by session id; open ones, lost ones and the latest finished ones.
        spans: union of the intervals of finished sessions that were merged away, ascending and disjoint.
        remembered: digests of the ids of those sessions, oldest first.
    """

    sessions: dict[str, Session] = {}
    spans: list[Interval] = []
    remembered: bytes = b""

    def handle_opened(self, session_id: str, relay_id: str, at_ms: int) -> None:
        """A relay reports that media of a session began at `at_ms`, or (once it reconnected) that it still flows."""
        if self._is_merged(session_id):
            return
        session = self.sessions.setdefault(session_id, Session(relay_id=relay_id))
        if session.since_ms is None or at_ms < session.since_ms:
            session.since_ms = at_ms
        if session.lost:
            session.until_ms = None
            session.lost = False
        self._merge_finished()

    def handle_closed(self, session_id: str, relay_id: str, at_ms: int) -> None:
        """A relay reports that media of a session ended at `at_ms`; final. Of differing times the latest counts."""
        if self._is_merged(session_id):
            return
        session = self.sessions.setdefault(session_id, Session(relay_id=relay_id))
        if session.until_ms is None or session.lost or at_ms > session.until_ms:
            session.until_ms = at_ms
        session.lost = False
        self._merge_finished()

    def close_relay(self, relay_id: str, at_ms: int) -> None:
        """The relay was lost, last seen at `at_ms`: its open sessions end there until it reports them again."""
        for session in self.sessions.values():
            if session.relay_id == relay_id and session.is_open:
                session.until_ms = at_ms
                session.lost = True

    @property
    def is_open(self) -> bool:
        """The hall receives media now, as far as is known."""
        return any(session.is_open for session in self.sessions.values())

    def intervals(self, now_ms: int) -> list[Interval]:
        """The union of all sessions, ascending; touching intervals are one. Open sessions end at `now_ms`."""
        return self._union(now_ms)

    def total_ms(self, now_ms: int) -> int:
        """Time present, each moment counted once."""
        return sum(interval.length_ms for interval in self._union(now_ms))

    @property
    def first_seen_ms(self) -> int | None:
        """When media first reached the hall, or None."""
        union = self._union(_OPEN_END_MS)
        return union[0].start_ms if union else None

    @property
    def last_seen_ms(self) -> int | None:
        """Latest moment known without a clock: the last ending, or the beginning of an open session; or None."""
        seen = [self.spans[-1].end_ms] if self.spans else []
        for session in self.sessions.values():
            if session.since_ms is None:
                continue
            if session.until_ms is None:
                seen.append(session.since_ms)
            elif session.until_ms > session.since_ms:
                seen.append(session.until_ms)
        return max(seen, default=None)

    def gaps(self) -> list[Interval]:
        """The absences between two presences, ascending; the time before the first and after the last is none."""
        union = self._union(_OPEN_END_MS)
        return [Interval(before.end_ms, after.start_ms) for before, after in pairwise(union)]

    @property
    def longest_gap_ms(self) -> int:
        """Length of the longest of `gaps`, 0 where there is none."""
        return max((gap.length_ms for gap in self.gaps()), default=0)

    def _union(self, open_end_ms: int) -> list[Interval]:
        found = list(self.spans)
        for session in self.sessions.values():
            if session.since_ms is not None:
                end_ms = open_end_ms if session.until_ms is None else session.until_ms
                found.append(Interval(session.since_ms, end_ms))
        return merge_intervals(found)

    def _is_merged(self, session_id: str) -> bool:
        if not self.remembered or session_id in self.sessions:
            return False
        digest = _digest(session_id)
        at = self.remembered.find(digest)
        while at % _DIGEST_BYTES > 0 and at >= 0:  # found across the border of two digests
            at = self.remembered.find(digest, at + 1)
        return at >= 0

    def _merge_finished(self) -> None:
        if len(self.sessions) <= KEPT_SESSIONS:
            return
        finished = sorted(
            (session.until_ms or 0, session_id) for session_id, session in self.sessions.items() if session.is_finished
        )
        oldest = finished[: max(0, len(finished) - KEPT_SESSIONS // 2)]
        gone = [(session_id, self.sessions.pop(session_id)) for _, session_id in oldest]
        self.spans = merge_intervals(
            [*self.spans, *(Interval(session.since_ms or 0, session.until_ms or 0) for _, session in gone)]
        )
        digests = b"".join(_digest(session_id) for session_id, _ in gone)
        self.remembered = (self.remembered + digests)[-REMEMBERED_SESSIONS * _DIGEST_BYTES :]


def merge_intervals(intervals: Iterable[Interval]) -> list[Interval]:
    """The union as ascending, disjoint intervals; empty ones, or ones that end before they begin, count for nothing."""
    merged: list[Interval] = []
    for interval in sorted(interval for interval in intervals if interval.end_ms > interval.start_ms):
        if merged and interval.start_ms <= merged[-1].end_ms:
            if interval.end_ms > merged[-1].end_ms:
                merged[-1] = Interval(merged[-1].start_ms, interval.end_ms)
        else:
            merged.append(interval)
    return merged


def _digest(session_id: str) -> bytes:
    return blake2b(session_id.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
