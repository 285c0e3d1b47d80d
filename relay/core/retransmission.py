"""The retransmission stream (RTX, RFC 4588) of one output of video.

Each answer to a NACK takes new numbers of the stream's own SRTP index, which never goes back and is never used twice
(RFC 3711 section 9.1), whatever becomes of the output meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from relay.core.packet_cache import PacketCache
from relay.fanout.interface import FanOut, PeerSlot, TrackSlot
from relay.wire.rtx import serialize_rtx

if TYPE_CHECKING:  # an output holds its retransmission
    from relay.core.output import Output


class Retransmission:
    """Numbers the RTX packets of one output.

    Attributes:
        ssrc: of the stream.
        payload_type: under which the fan-out has it, -1 while it has not.
        next_index: SRTP index of the next packet.
    """

    __slots__ = ("_payload_types", "next_index", "payload_type", "ssrc")

    def __init__(self, ssrc: int, payload_types: Mapping[int, int]) -> None:
        """Make a stream that has sent nothing.

        Args:
            ssrc: ours, that the answer names.
            payload_types: of a codec to that of its RTX.
        """
        self.ssrc = ssrc
        self.payload_type = -1
        self.next_index = 0
        self._payload_types = payload_types

    def repairs(self, payload_type: int) -> bool:
        """True where RTX was negotiated for a codec."""
        return payload_type in self._payload_types

    def resend(
        self, fanout: FanOut, slot: TrackSlot, output: Output, cache: PacketCache, indexes: Sequence[int]
    ) -> int:
        """Send packets of a track again, wrapped; the fan-out is told of the stream when it is first needed.

        Args:
            fanout: sends them.
            slot: under which it has the streams that repair the track.
            output: the output that lacks them, of a codec that `repairs` knows.
            cache: of the track.
            indexes: of the packets.

        Returns:
            How many packets the cache still had.
        """
        payload_type = self._payload_types[output.payload_type]
        if self.payload_type != payload_type:
            self.payload_type = payload_type
            fanout.add_output(
                slot,
                output.peer,
                ssrc=self.ssrc,
                payload_type=payload_type,
                index_offset=0,
                timestamp_offset=output.timestamp_offset,  # an RTX packet has the time of the packet in it
            )
        first = self.next_index
        made = self.wrap(cache, indexes, output.index_offset)
        return fanout.resend(slot, output.peer, made, range(first, self.next_index))

    def withdraw(self, fanout: FanOut, slot: TrackSlot, peer: PeerSlot) -> None:
        """The output that it repaired has ended."""
        if self.payload_type >= 0:
            self.payload_type = -1
            fanout.remove_output(slot, peer)

    def wrap(self, cache: PacketCache, indexes: Sequence[int], index_offset: int) -> PacketCache:
        """Make RTX packets of packets of a track.

        Args:
            cache: of the track.
            indexes: of the packets; what the cache does not hold is passed over.
            index_offset: of the output.

        Returns:
            A cache of the RTX packets alone, each under its SRTP index.
        """
        made = PacketCache(max(len(indexes), 1))
        for index in indexes:
            packet = cache.get(index)
            wrapped = serialize_rtx(packet, index + index_offset) if packet is not None else b""
            if wrapped:
                made.put(self.next_index, wrapped)
                self.next_index += 1
        return made
