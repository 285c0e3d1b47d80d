"""What one session has delivered, and what that says about its relay. Pure.

A session is judged by its packets alone: their absence (silence), their going on (delivery), and a primary that falls
silent again and again while its backup delivers (flapping). What is done about it decides `bridges.follower`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from bridges.follower_outputs import SessionId
from bridges.messages import MoveReason, RelayAccess

SILENCE_S = 0.3  # audio alone sends 50 packets a second: 15 of them are missing by then
FIRST_PACKET_S = 2.0  # a session that has never delivered may be waiting for a source that has not started
CONFIRM_S = 0.1  # five audio packets: sound is never cached
CONFIRM_WITHOUT_SOUND_S = 0.3  # a relay's cached group of pictures is on its way for up to 0.2 s, and then stops
CONNECT_PATIENCE_S = 1.5  # a relay that has not answered by then is doubted; its backup is tried meanwhile
FLAP_WINDOW_S = 10.0
FLAP_PROOF_S = 0.05  # so long must the backup have delivered meanwhile
FLAP_LIMIT = 3  # a primary that fell silent so often while its backup delivered is left although it came back


@dataclass(slots=True)
class WatchedSession:
    """A WHEP session as its hall sees it; all moments are seconds of one monotonic clock.

    Attributes:
        session: its number.
        access: its relay.
        active: it should be sending.
        opened_at: when it was asked for.
        active_since: when it was last activated.
        connected_at: when ICE and DTLS were up, None before.
        last_packet_at: of the packets since `active_since`; an earlier packet says nothing about now.
        first_proof_at: of what proves a living source since `active_since`: sound, or any packet where none is awaited.
        last_proof_at: likewise.
        brought_sound: it delivered sound at some time.
        expects_sound: it stands in for a session that did.
        first_frame_at: when the first frame since `active_since` was decoded.
        asked_at: when its relay was asked something that it has not answered.
    """

    session: SessionId
    access: RelayAccess
    active: bool
    opened_at: float
    active_since: float
    connected_at: float | None = None
    last_packet_at: float | None = None
    first_proof_at: float | None = None
    last_proof_at: float | None = None
    brought_sound: bool = False
    expects_sound: bool = False
    first_frame_at: float | None = None
    asked_at: float | None = None

    def activate(self, now: float) -> None:
        """It is asked to send from now on; what came before does not count."""
        self.active = True
        self.active_since = now
        self.last_packet_at = self.first_proof_at = self.last_proof_at = self.first_frame_at = None

    def late(self, now: float) -> bool:
        """Its relay has not answered for too long."""
        return self.connected_at is None and now - self.opened_at > CONNECT_PATIENCE_S

    def ask(self, now: float) -> None:
        """A request about it goes to its relay."""
        if self.asked_at is None:
            self.asked_at = now

    def unanswered(self, now: float) -> bool:
        """Its relay has not answered a request, or the one that opens it, for too long."""
        return self.late(now) or (self.asked_at is not None and now - self.asked_at > CONNECT_PATIENCE_S)

    def note_packets(self, last_packet_at: float, last_sound_at: float | None = None) -> bool:
        """Packets arrived, the last at `last_packet_at`, the last of sound at `last_sound_at`; says if that is news."""
        if last_sound_at is not None and last_sound_at >= self.active_since:
            self.brought_sound = True
            if self.expects_sound:
                self._note_proof(last_sound_at)
        if not self.expects_sound:
            self._note_proof(last_packet_at)
        if self.last_packet_at is not None and last_packet_at <= self.last_packet_at:
            return False
        self.last_packet_at = last_packet_at
        return True

    def _note_proof(self, at: float) -> None:
        if self.first_proof_at is None:
            self.first_proof_at = at
        self.last_proof_at = at if self.last_proof_at is None else max(at, self.last_proof_at)

    def silent(self, now: float) -> bool:
        """No packet for too long, on a session that should deliver."""
        if self.connected_at is None:
            return False
        if self.last_packet_at is None:
            return now - max(self.connected_at, self.active_since) > FIRST_PACKET_S
        return now - self.last_packet_at > SILENCE_S

    def delivered_for(self) -> float:
        """Seconds from the first to the last proof of a living source since the activation."""
        if self.first_proof_at is None or self.last_proof_at is None:
            return 0.0
        return self.last_proof_at - self.first_proof_at

    def delivers(self) -> bool:
        """It has gone on delivering for longer than a burst from its relay's cache would."""
        return self.delivered_for() >= (CONFIRM_S if self.expects_sound else CONFIRM_WITHOUT_SOUND_S)


def unreachable(one: WatchedSession, other: WatchedSession, now: float) -> bool:
    """Of two silent sessions at least one has a relay that answers nothing, and no answer is still awaited."""
    both = (one, other)
    return any(session.unanswered(now) for session in both) and all(
        session.asked_at is None or session.unanswered(now) for session in both
    )


@dataclass(slots=True)
class Target:
    """A session that may become the one that feeds the picture: why, and since when it is tried."""

    session: SessionId
    reason: MoveReason
    since: float


class Flapping:
    """How often a primary came back from a silence during which its backup had delivered."""

    def __init__(self) -> None:
        self._returns: deque[float] = deque()

    def handle_return(self, backup: WatchedSession, now: float) -> bool:
        """The primary came back; says whether it has done so too often to be trusted."""
        # A pause of the source silences the backup as well, and is not the primary's fault.
        if backup.delivered_for() < FLAP_PROOF_S:
            return False
        while self._returns and now - self._returns[0] > FLAP_WINDOW_S:
            self._returns.popleft()
        if len(self._returns) >= FLAP_LIMIT:
            return True
        self._returns.append(now)
        return False

    def forget(self) -> None:
        """Another primary begins anew."""
        self._returns.clear()
