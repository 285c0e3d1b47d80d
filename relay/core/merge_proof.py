"""Whether two sources carry one stream, proven by their packets: what is merged by number must be equal by content.

Numbers alone do not prove it. Two origins number alike while they have the stream from its beginning, or the publisher
again after a pause; when another publisher came meanwhile, each continued its own numbering, and the two may be a few
packets apart. A second source is therefore merged only once a packet of it was found among those of the first, which
also tells how far its numbers and its clock are apart; and it is parted again when two packets of one number differ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from relay.core.packet_cache import PacketCache
from relay.core.timeline import SEQUENCE_MODULUS, TIMESTAMP_MODULUS, nearest

# So long a packet waits to be found: one source may be behind the other by this, and a search costs some tenths of a
# millisecond, which a stranger that never fits must not cost with each packet.
TRIAL_S = 0.1
SEARCH_PACKETS = 512  # how far apart numbers may be; publishers that are replaced leave origins a few packets apart
# Shorter payloads may be equal by chance: Opus sends silence as the same few octets again and again.
MIN_PAYLOAD_BYTES = 32
# A source that paused for longer must prove itself again: it may have got another publisher meanwhile.
TRUST_S = 0.5

_HEADER_BYTES = 12
_PADDING_BIT = 0x20


class Place(NamedTuple):
    """Where a source's packet belongs on the track: its index there, and what to add to the source's timestamps."""

    packet_index: int
    timestamp_offset: int


class MergeProof:
    """Looks for the packets of one source among those of a track that another one feeds."""

    __slots__ = ("_packet", "_since_s")

    def __init__(self) -> None:
        self._packet = b""
        self._since_s = 0.0

    def handle_packet(self, cache: PacketCache, plain: bytes, now: float) -> tuple[int, Place] | None:
        """Take a packet of the source that is not merged yet.

        Args:
            cache: what the track has from the other one.
            plain: the packet with its own number and timestamp, a header of 12 octets and no padding.
            now: seconds.

        Returns:
            A sequence number of the source and where it belongs; None while nothing is proven.
        """
        place = _place_by_number(cache, plain)
        if place is not None:
            return _number(plain), place
        if not self._packet:
            self._packet, self._since_s = plain, now
        if now - self._since_s < TRIAL_S:
            return None
        tried, self._packet = self._packet, b""
        place = _place_by_number(cache, tried) or _place_by_payload(cache, tried)
        return None if place is None else (_number(tried), place)


def is_copy(cached: memoryview, plain: bytes) -> bool:
    """Tell whether a cached packet is this one; the cached one may have been padded for sending since."""
    return bytes(cached[4:8]) == plain[4:8] and _same_payload(cached, plain)


def _same_payload(cached: memoryview, plain: bytes) -> bool:
    size, padding = len(plain), len(cached) - len(plain)
    if padding and (padding < 0 or not cached[0] & _PADDING_BIT or cached[-1] != padding):
        return False
    # Copying first is faster than comparing a memoryview, which goes octet by octet.
    return bytes(cached[_HEADER_BYTES:size]) == plain[_HEADER_BYTES:]


def _place_by_number(cache: PacketCache, plain: bytes) -> Place | None:
    """The usual case: number, timestamp and payload are those of the packet that is there."""
    index = nearest(_number(plain), cache.highest_index, SEQUENCE_MODULUS)
    cached = cache.get(index)
    return Place(index, 0) if cached is not None and is_copy(cached, plain) else None


def _place_by_payload(cache: PacketCache, plain: bytes) -> Place | None:
    """Any packet with this payload, if there is exactly one."""
    if len(plain) < _HEADER_BYTES + MIN_PAYLOAD_BYTES or cache.highest_index < 0:
        return None
    indexes = np.arange(max(0, cache.highest_index + 1 - SEARCH_PACKETS), cache.highest_index + 1)
    rows = indexes % cache.capacity
    lengths = cache.lengths[rows]
    fits = (cache.indexes[rows] == indexes) & (lengths >= len(plain)) & (lengths < len(plain) + 256)
    found = -1
    for index in indexes[fits].tolist():
        cached = cache.get(index)
        if cached is not None and _same_payload(cached, plain):
            if found >= 0:
                return None
            found = index
    cached = cache.get(found)
    return None if cached is None else Place(found, (_timestamp(cached) - _timestamp(plain)) % TIMESTAMP_MODULUS)


def _number(packet: bytes) -> int:
    return packet[2] << 8 | packet[3]


def _timestamp(packet: bytes | memoryview) -> int:
    return int.from_bytes(packet[4:8], "big")
