"""Presence deltas are kept until they are acknowledged."""

from __future__ import annotations

from relay.core.presence_outbox import MAX_DELTAS_PER_BATCH, PresenceOutbox
from relay.messages import SessionClosed, SessionOpened


def opened(session_id: str) -> SessionOpened:
    """A session that began."""
    return SessionOpened(session_id=session_id, subject="h1", conference="c", feed="program", at_ms=1)


def closed(session_id: str) -> SessionClosed:
    """A session that ended."""
    return SessionClosed(session_id=session_id, subject="h1", conference="c", feed="program", at_ms=2, reason="left")


def test_a_batch_is_kept_until_acknowledged() -> None:
    """What was sent and not acknowledged is sent again; what was acknowledged is not."""
    outbox = PresenceOutbox()
    outbox.opened(opened("a"))
    first = outbox.next_batch()
    outbox.opened(opened("b"))
    second = outbox.next_batch()
    assert first is not None
    assert second is not None
    assert [batch.sequence for batch in outbox.unacknowledged()] == [1, 2]
    outbox.acknowledge(1)
    assert outbox.unacknowledged() == [second]


def test_open_sessions_are_those_not_closed() -> None:
    """The list for a registration holds each open session once."""
    outbox = PresenceOutbox()
    outbox.opened(opened("a"))
    outbox.opened(opened("b"))
    outbox.closed(closed("a"))
    outbox.closed(closed("never opened"))
    assert [delta.session_id for delta in outbox.open_sessions()] == ["b"]
    batch = outbox.next_batch()
    assert batch is not None
    assert len(batch.deltas) == 3


def test_batches_are_bounded() -> None:
    """A storm of deltas leaves in several batches and in order."""
    outbox = PresenceOutbox()
    for number in range(MAX_DELTAS_PER_BATCH + 5):
        outbox.opened(opened(str(number)))
    first, second = outbox.next_batch(), outbox.next_batch()
    assert first is not None
    assert second is not None
    assert (len(first.deltas), len(second.deltas)) == (MAX_DELTAS_PER_BATCH, 5)
    assert outbox.next_batch() is None
