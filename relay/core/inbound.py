"""Where a track comes from: the streams of its sources, side by side while two parents deliver the same feed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from relay.core.merge_proof import MergeProof
from relay.core.reception import Reception
from relay.core.timeline import SourceClock
from relay.fanout.interface import PeerSlot
from relay.wire.sdp import Codec

Kind = Literal["audio", "video"]

# A source that was heard within so long can answer. Longer than what a pacer or a frame rate of ten leaves between two
# packets, and as long as a parent may be silent before another one takes over.
DELIVERS_S = 0.3


class Inbound:
    """One stream of a source, as it arrives: its SSRC, its clock, and how well it is received.

    Attributes:
        layer: which of the feed's tracks of this kind it feeds.
        is_one_of_many: a publisher sends other layers beside it, each with counters of its own in the payload.
        last_packet_s: when a packet last came, -inf before the first.
    """

    __slots__ = (
        "clock",
        "codec",
        "codecs",
        "is_one_of_many",
        "kind",
        "last_packet_s",
        "layer",
        "peer",
        "proof",
        "reception",
        "ssrc",
    )

    def __init__(self, kind: Kind, layer: int, peer: PeerSlot, ssrc: int, codecs: Mapping[int, Codec]) -> None:
        self.kind: Kind = kind
        self.layer = layer
        self.is_one_of_many = False
        self.peer = peer
        self.ssrc = ssrc
        self.codecs = codecs  # by payload type
        self.codec: Codec | None = None
        self.clock: SourceClock | None = None
        self.proof = MergeProof()
        self.reception = Reception()
        self.last_packet_s = float("-inf")


class Inbounds:
    """All inbound streams of one track, and which of them to turn to."""

    __slots__ = ("_asked", "_streams")

    def __init__(self) -> None:
        self._streams: list[Inbound] = []
        self._asked = 0

    def add(self, inbound: Inbound) -> None:
        """A source may send the track under this SSRC."""
        self._streams.append(inbound)

    def remove_peer(self, peer: PeerSlot) -> None:
        """A source is gone."""
        self._streams = [inbound for inbound in self._streams if inbound.peer != peer]

    def all(self) -> list[Inbound]:
        """Every stream, the oldest source first."""
        return list(self._streams)

    def delivering(self, now: float) -> list[Inbound]:
        """The streams that bring packets, the oldest source first; while none does, the one that did last, if any."""
        found = [inbound for inbound in self._streams if now - inbound.last_packet_s < DELIVERS_S]
        if found:
            return found
        heard = [inbound for inbound in self._streams if inbound.clock is not None]
        return [max(heard, key=lambda inbound: inbound.last_packet_s)] if heard else []

    def leads(self, inbound: Inbound, now: float) -> bool:
        """True for one of those that deliver: what all of them say, this one is heard about."""
        return self.delivering(now)[:1] == [inbound]

    def part(self, inbound: Inbound, now: float) -> None:
        """Packets of this stream and of another differ under one number: only the one that leads goes on."""
        leading = self.delivering(now)[:1]
        for other in self._streams if leading == [inbound] else [inbound]:
            if other is not leading[0]:
                other.clock = None

    def next_to_ask(self, now: float) -> Inbound | None:
        """Whom to ask for what is missing; of several each in turn, since one may lack what another has."""
        delivering = self.delivering(now)
        self._asked += 1
        return delivering[self._asked % len(delivering)] if delivering else None

    def is_alone(self, inbound: Inbound, now: float) -> bool:
        """True unless another source delivers this track."""
        return all(other.peer == inbound.peer or now - other.last_packet_s >= DELIVERS_S for other in self._streams)
