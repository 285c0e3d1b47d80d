"""Presence deltas on their way to the coordinator: kept until they are durable there.

Delivery is at least once; the session's id makes a delta idempotent. While the coordinator is away the deltas wait
here; after a reconnection what was not acknowledged is sent again, behind the whole list of open sessions.
"""

from __future__ import annotations

from collections import deque

from relay.messages import PresenceBatch, PresenceDelta, SessionClosed, SessionOpened

MAX_DELTAS_PER_BATCH = 1_000  # about 200 kB of JSON


class PresenceOutbox:
    """Batches deltas, numbers the batches, and forgets them when they are acknowledged."""

    def __init__(self) -> None:
        self._open: dict[str, SessionOpened] = {}
        self._waiting: deque[PresenceDelta] = deque()
        self._sent: deque[PresenceBatch] = deque()
        self._sequence = 0

    def opened(self, delta: SessionOpened) -> None:
        """A session began."""
        self._open[delta.session_id] = delta
        self._waiting.append(delta)

    def closed(self, delta: SessionClosed) -> None:
        """A session ended; unknown sessions are ignored."""
        if self._open.pop(delta.session_id, None) is not None:
            self._waiting.append(delta)

    def open_sessions(self) -> list[SessionOpened]:
        """Every session that is open now, for a registration."""
        return list(self._open.values())

    def next_batch(self) -> PresenceBatch | None:
        """The next batch to send, or None when nothing waits."""
        if not self._waiting:
            return None
        self._sequence += 1
        deltas = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_DELTAS_PER_BATCH))]
        batch = PresenceBatch(sequence=self._sequence, deltas=deltas)
        self._sent.append(batch)
        return batch

    def acknowledge(self, sequence: int) -> None:
        """The batches up to this one are durable."""
        while self._sent and self._sent[0].sequence <= sequence:
            self._sent.popleft()

    def unacknowledged(self) -> list[PresenceBatch]:
        """What to send again after a reconnection, oldest first."""
        return list(self._sent)
