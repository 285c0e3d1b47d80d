"""What of a track waits to leave: for the rest of its frame, for its company, or for its turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from relay.core.burst import BurstAssembler
from relay.core.company import Company
from relay.core.inbound import Kind
from relay.core.pacer import Pacer
from relay.core.packet_cache import PacketCache
from relay.fanout.interface import Tail

Pieces = Sequence[Sequence[int]]


class Departures:
    """Takes packets of one track in order and lets pieces, each for one send, leave when their time has come.

    Attributes:
        pacer: the last gate; knows the rate of the track.
    """

    __slots__ = ("_as_tail", "_bursts", "_company", "_kind", "_rhythm", "_send", "pacer")

    def __init__(
        self,
        kind: Kind,
        cache: PacketCache,
        company: Company,
        *,
        send: Callable[[Pieces, float | None], None],
        as_tail: Callable[[int], Tail],
    ) -> None:
        """Make one of which nothing waits.

        Args:
            kind: of the track.
            cache: of the track.
            company: of its feed.
            send: is called with pieces that leave, and with the time if sound that waits may ride behind the last.
            as_tail: is called with a packet that leaves behind another track's burst.
        """
        self.pacer = Pacer(cache)
        self._kind: Kind = kind
        self._company = company
        self._send = send
        self._as_tail = as_tail
        self._bursts = BurstAssembler(is_video=kind == "video")
        self._rhythm = company.join(kind, self)

    def handle_packet(self, index: int, timestamp: int, *, marker: bool, is_taken: bool, now: float) -> None:
        """Take the next packet; `is_taken` says whether anybody takes the track."""
        is_ready = is_taken and (marker or self._kind == "audio")
        wait_until = self._company.wait_until(self._kind, self._rhythm, now) if is_ready else 0.0
        pieces: list[list[int]] = []
        for burst in self._bursts.handle_packet(index, timestamp, marker=marker, now=now, wait_until=wait_until):
            pieces += self.pacer.handle_burst(burst, now)
        self._send(pieces, now)
        if self._kind == "audio":
            self._company.handle_audio(now)

    def poll(self, now: float) -> None:
        """Let leave what has waited long enough."""
        burst = self._bursts.poll_flush(now)
        self._send(self.pacer.handle_burst(burst, now) if burst else self.pacer.poll(now), now)

    def waits_for_company(self) -> bool:
        """Whether a burst is complete and waits, and nothing stands in front of it."""
        return self._bursts.is_complete and self.pacer.first_held() is None

    def leave(self, now: float) -> None:
        """Let the burst leave that waits for company."""
        self._send(self._complete(now), now)

    def give_tail(self, now: float) -> Tail | None:
        """Give away the burst that waits, if it is one packet; whoever takes it sends it."""
        pieces = self._complete(now)
        if len(pieces) == 1 and len(pieces[0]) == 1:
            return self._as_tail(pieces[0][0])
        self._send(pieces, None)
        return None

    def flush(self) -> None:
        """Let all leave that waits, as one piece."""
        waiting = self.pacer.flush() + self._bursts.flush()
        self._send([waiting] if waiting else [], None)

    def insert_late(self, index: int) -> bool:
        """Give a packet that came late its place among those that wait; false when it has none there."""
        for waiting in (self._bursts, self.pacer):
            first = waiting.first_held()
            if first is not None and first < index:
                waiting.insert(index)
                return True
        return False

    def first_held(self) -> int | None:
        """The first index that waits; None while nothing does."""
        held = self.pacer.first_held()
        return self._bursts.first_held() if held is None else held

    def next_deadline(self) -> float | None:
        """When `poll` is due; None while nothing waits."""
        deadline, paced = self._bursts.next_deadline(), self.pacer.next_deadline()
        if deadline is None or paced is None:
            return paced if deadline is None else deadline
        return min(deadline, paced)

    def _complete(self, now: float) -> list[list[int]]:
        return self.pacer.handle_burst(self._bursts.flush(), now) if self._bursts.is_complete else []
