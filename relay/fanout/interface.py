"""The interface of a fan-out: one burst in, N subscribers out, nobody waits for anybody.

A fan-out owns, per peer, the address and the outbound SRTP key, and per output (one track to one peer) the SSRC, the
payload type and the index offset. Packets come from a track's `PacketCache`, so that a first send and a resend read the
same bytes: the same SRTP index is never encrypted with different bytes (RFC 3711 section 9.1).

`relay.fanout.reference` is the pure-Python implementation; a faster one must equal it byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NewType, Protocol

import msgspec

from relay.core.packet_cache import PacketCache
from relay.core.srtp import SrtpKeys

PeerSlot = NewType("PeerSlot", int)
TrackSlot = NewType("TrackSlot", int)
Address = tuple[str, int]


class FanOutTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Counters since the start. A dropped burst is one that a socket would have had to wait for."""

    packets_sent: int = 0
    bytes_sent: int = 0
    sends: int = 0
    packets_dropped: int = 0
    bursts_dropped: int = 0
    send_errors: int = 0
    reports_sent: int = 0
    reports_dropped: int = 0


class OutputTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Packets and payload octets sent to one output: what a sender report tells (RFC 3550 section 6.4.1)."""

    packets: int = 0
    octets: int = 0


NOTHING_SENT = OutputTotals()


class Tail(msgspec.Struct, frozen=True):
    """One packet of another track that may ride behind a burst: under BUNDLE both have one address (RFC 8843)."""

    track: TrackSlot
    cache: PacketCache
    index: int


class FanOut(Protocol):
    """Sends bursts of a track to all its outputs. Slots are small integers chosen by the caller."""

    def add_peer(self, peer: PeerSlot, address: Address, keys: SrtpKeys) -> None:
        """Know a peer: where it is and with which key to encrypt for it.

        The keys are the fan-out's alone from now on: it counts the SRTCP index, and two who count would use one twice.
        """
        ...

    def set_address(self, peer: PeerSlot, address: Address) -> None:
        """ICE validated another address for the peer."""
        ...

    def remove_peer(self, peer: PeerSlot) -> None:
        """Forget a peer and all its outputs; its key is wiped."""
        ...

    def add_output(
        self,
        track: TrackSlot,
        peer: PeerSlot,
        *,
        ssrc: int,
        payload_type: int,
        index_offset: int,
        timestamp_offset: int = 0,
        sent_before: OutputTotals = NOTHING_SENT,
    ) -> None:
        """Send `track` to `peer` from the next burst on.

        Args:
            track: what to send.
            peer: to whom.
            ssrc: on the wire.
            payload_type: on the wire.
            index_offset: added to the track's packet index, gives the 48-bit SRTP index at this output; the sequence
                number on the wire is its low 16 bits.
            timestamp_offset: added to the RTP timestamp, modulo 2^32.
            sent_before: what went out under this SSRC before; sender reports count it, `output_totals` does not.
        """
        ...

    def remove_output(self, track: TrackSlot, peer: PeerSlot) -> None:
        """Stop sending `track` to `peer`; unknown outputs are ignored."""
        ...

    def send_burst(
        self, track: TrackSlot, cache: PacketCache, indexes: Sequence[int], tail: Tail | None = None
    ) -> None:
        """Send these packets of the cache, in order, to every output of the track.

        A tail goes to every output of its own track: behind the burst's last packet, in one send, where a peer takes
        both and the tail is not longer than the packets before it, else by itself.
        """
        ...

    def resend(self, track: TrackSlot, peer: PeerSlot, cache: PacketCache, indexes: Sequence[int]) -> int:
        """Send packets again to one output, byte for byte as the first time. Returns how many the cache still had."""
        ...

    def send_report(
        self,
        track: TrackSlot,
        *,
        ntp_timestamp: int,
        rtp_timestamp: int,
        cname: str,
        peer: PeerSlot | None = None,
        appended: bytes = b"",
    ) -> None:
        """Send a sender report and the CNAME (RFC 3550 sections 6.4.1, 6.5) to every output of the track.

        Each tells the output's own SSRC, times and counts.

        Args:
            track: of the outputs.
            ntp_timestamp: of the report, 64 bits.
            rtp_timestamp: the same moment on the track's clock.
            cname: at most 255 octets.
            peer: whose output alone is to be sent it; None for all.
            appended: more of the compound packet, whole RTCP packets of at most 24 octets in all.
        """
        ...

    def output_totals(self, track: TrackSlot, peer: PeerSlot) -> OutputTotals:
        """Counters of one output; zero for an unknown one."""
        ...

    def totals(self) -> FanOutTotals:
        """Counters of all outputs."""
        ...

    def close(self) -> None:
        """Wipe all keys; the socket belongs to the caller."""
        ...
