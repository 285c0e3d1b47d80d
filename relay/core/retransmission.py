"""The retransmission stream (RTX, RFC 4588) of one output of video.

Each answer to a NACK takes new numbers of the stream's own SRTP index, which never goes back and is never used twice
(RFC 3711 section 9.1), whatever becomes of the output meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relay.core.packet_cache import PacketCache
from relay.wire.rtx import serialize_rtx


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

    def payload_type_for(self, payload_type: int) -> int:
        """What repairs a codec, -1 where that was not negotiated."""
        return self._payload_types.get(payload_type, -1)

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
