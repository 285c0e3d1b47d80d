"""An output: one track to one peer, and how its packets are numbered there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from relay.core.catch_up import CatchUp
from relay.core.pacer import TokenBucket
from relay.core.retransmission import Retransmission
from relay.fanout.interface import OutputTotals, PeerSlot
from relay.wire.sdp import Codec

# An output must not begin so near the wrap of its sequence numbers that a lost packet hides the wrap from the receiver,
# whose roll-over counter starts at 0 (RFC 3711 section 3.3.1). A hall's numbers begin in the lower half; a link keeps
# those of the source and waits for the wrap to pass.
WRAP_GUARD = 64
FIRST_NUMBERS = 0x7FFF

# A link that is sent nothing for longer begins behind its last number: its receiver could not tell the round any more.
MAX_LINK_GAP = 1 << 14

# What one subscriber may be sent again: a NACK can name thousands of packets in one datagram, and what repairs a line
# that is too thin must not fill it. 16 kB at once and 1 Mbit/s, or half of the programme where that is more. A link
# repairs for all halls below it, on a better line.
RESEND_OCTETS = 16_000
RESEND_MIN_OCTETS_PER_S = 125_000
RESEND_SHARE = 0.5
LINK_RESENDS = 20  # times as much
MAX_NACKED = 512  # what of one NACK is looked up at all


class Output:
    """One track to one peer: what it can decode, how it is numbered, and where it began.

    Attributes:
        peer: slot of the receiving peer.
        ssrc: SSRC at the receiver, chosen by us.
        codecs: what the receiver offered, with its payload types.
        wanted: false for a standby, which is sent nothing.
        keeps_numbers: true for a relay-to-relay link, which carries the track's own sequence numbers, so that a child
            can merge two parents; it begins with any packet, and may ask for those before it.
        attached: true while packets flow.
        catch_up: how far it is while it is sent the cached group of pictures, None before and after.
        first_index: the least index that may be sent in the present run of packets.
        index_offset: added to the track's index, gives the SRTP index at this receiver.
        resends: octets that may be sent again now.
        rtx: the stream that repairs it, None where lost packets are sent again as they were.
        timestamp_offset: added to the track's RTP timestamps, modulo 2^32.
        on_begin: told of the first index, before it is numbered, of an output that goes on where one on another track
            ends; such a one begins with a live packet, since from the cache it would be shown again what it has seen.
    """

    __slots__ = (
        "attached",
        "catch_up",
        "codecs",
        "first_index",
        "index_offset",
        "keeps_numbers",
        "next_wire_index",
        "octets_before",
        "on_begin",
        "packets_before",
        "payload_type",
        "peer",
        "resends",
        "rtx",
        "ssrc",
        "timestamp_offset",
        "wanted",
    )

    def __init__(
        self,
        peer: PeerSlot,
        ssrc: int,
        codecs: Sequence[Codec],
        *,
        wanted: bool,
        keeps_numbers: bool = False,
        rtx: Retransmission | None = None,
    ) -> None:
        self.peer = peer
        self.ssrc = ssrc
        self.codecs = list(codecs)
        self.wanted = wanted
        self.keeps_numbers = keeps_numbers
        self.rtx = rtx
        self.attached = False
        self.catch_up: CatchUp | None = None
        self.payload_type = -1
        self.first_index = 0
        self.index_offset = 0
        self.timestamp_offset = 0
        self.on_begin: Callable[[int], None] | None = None
        self.next_wire_index = -1
        self.packets_before = 0
        self.octets_before = 0
        self.resends = TokenBucket()

    def fill_resends(self, mean_octets_per_s: float, now: float) -> None:
        """Let time pass for `resends`; the track's source sends `mean_octets_per_s`."""
        times = LINK_RESENDS if self.keeps_numbers else 1
        octets_per_s = max(RESEND_MIN_OCTETS_PER_S, RESEND_SHARE * mean_octets_per_s)
        self.resends.fill(now, octets_per_s=octets_per_s * times, depth=RESEND_OCTETS * times)

    def begin(self, index: int) -> None:
        """Number a run of packets that begins at `index` of the track."""
        if self.on_begin is not None:
            self.on_begin(index)
            self.on_begin = None
        wire_index, self.first_index = _first_numbers(self, index)
        self.index_offset = wire_index - index
        self.attached = True

    def end(self, next_index: int, sent: OutputTotals) -> None:
        """The run is over: its next packet would have been `next_index`; `sent` is all that it was sent so far."""
        self.packets_before, self.octets_before = sent.packets, sent.octets
        self.attached = False
        self.catch_up = None
        self.next_wire_index = next_index + self.index_offset

    def continue_from(self, old: Output) -> None:
        """Number on where an output that has ended on another track stopped."""
        self.next_wire_index = old.next_wire_index
        self.packets_before, self.octets_before = old.packets_before, old.octets_before
        self.resends = old.resends

    @property
    def has_begun(self) -> bool:
        """True once anything was sent."""
        return self.attached or self.next_wire_index >= 0

    @property
    def last_index(self) -> int:
        """The index of the track behind which an output that has ended stopped."""
        return self.next_wire_index - self.index_offset - 1

    @property
    def resumes_at(self) -> float:
        """The least index of the track that was not sent in an earlier run, infinity where only live ones will do."""
        if self.on_begin is not None:
            return float("inf")
        return self.next_wire_index - self.index_offset if self.next_wire_index >= 0 else 0


def _first_numbers(output: Output, index: int) -> tuple[int, int]:
    """Where a run of packets that begins at `index` begins on the wire, and the least index that may be sent in it."""
    if output.next_wire_index < 0:
        if not output.keeps_numbers:
            return index & FIRST_NUMBERS, index
        # Nothing was ever sent on this output, so that a child may ask for what came before, down to number 0.
        return index & 0xFFFF, index & ~0xFFFF
    kept = index + output.index_offset
    if output.keeps_numbers and kept - output.next_wire_index < MAX_LINK_GAP:
        return kept, index
    return output.next_wire_index, index
