"""The last packets of one track in a ring, and how a burst of them is cut into runs that one send can carry.

Hot path: no logging, no objects per packet, integers and memoryviews only. The arrays are public because a compiled
fan-out reads them. A packet becomes `sealed` when it is first sent; from then on its bytes never change, since the same
SRTP index is never encrypted with different bytes (RFC 3711 section 9.1). Equal length within a run comes from RTP
padding (RFC 3550 section 5.1), which is why it is given here, before the sealing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

ROW_BYTES = 1536  # an Ethernet packet and a tag, on whole cache lines
MAX_PACKET_BYTES = 1500
TAG_BYTES = 16  # the longest that protection adds
MAX_SEGMENT_BYTES = 1452  # UDP payload of an IPv6 packet of 1,500 octets; the kernel refuses longer GSO segments
MAX_RUN_SEGMENTS = 60  # below the kernel's limit of 64 on older versions
MAX_RUN_BYTES = 65_000  # below 65,507, what one UDP send takes
MAX_PADDING_BYTES = 255  # the count is one octet

_EMPTY = -1
_PADDING_BIT = 0x20
_MIN_HEADER_BYTES = 12


class Run(NamedTuple):
    """Positions `start` to `end` (exclusive) of a burst that one send carries.

    All packets have `segment_length` octets, save the last, which may be shorter. Lengths are without the tag.
    """

    start: int
    end: int
    segment_length: int


class PacketCache:
    """A ring of RTP packets by index (rounds times 65,536 plus sequence number).

    Attributes:
        capacity: packets that it holds; a packet sits in row `index % capacity`.
        packets: shape [capacity, 1536] of uint8.
        lengths: int32, octets of each packet, padding included.
        header_lengths: int32, octets before the payload.
        indexes: int64, -1 where the row is empty.
        sealed: uint8, 1 once the packet was sent.
        highest_index: the greatest index so far, -1 before the first.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("a packet cache holds at least one packet")
        self.capacity = capacity
        self.packets: npt.NDArray[np.uint8] = np.zeros((capacity, ROW_BYTES), dtype=np.uint8)
        self.lengths: npt.NDArray[np.int32] = np.zeros(capacity, dtype=np.int32)
        self.header_lengths: npt.NDArray[np.int32] = np.zeros(capacity, dtype=np.int32)
        self.indexes: npt.NDArray[np.int64] = np.full(capacity, _EMPTY, dtype=np.int64)
        self.sealed: npt.NDArray[np.uint8] = np.zeros(capacity, dtype=np.uint8)
        self.highest_index = _EMPTY
        # The same memory again: one element through a memoryview costs a third of one through numpy.
        self._packets = self.packets.reshape(-1).data
        self._lengths = self.lengths.data
        self._header_lengths = self.header_lengths.data
        self._indexes = self.indexes.data
        self._sealed = self.sealed.data

    def put(self, index: int, packet: bytes | memoryview) -> bool:
        """Keep a parsed packet.

        Returns:
            False when the packet is there already or so old that its row has gone to a newer one.

        Raises:
            ValueError: the packet was never parsed (our own bug): its size or its header cannot be.
        """
        length = len(packet)
        if index < 0 or not _MIN_HEADER_BYTES <= length <= MAX_PACKET_BYTES:
            raise ValueError(f"packet {index} of {length} octets does not fit")
        header_length = _MIN_HEADER_BYTES if not packet[0] & 0x1F else _header_length(packet)
        if header_length > length:
            raise ValueError(f"packet {index} is shorter than its header")
        row = index % self.capacity
        if self._indexes[row] >= index:
            return False
        begin = row * ROW_BYTES
        self._packets[begin : begin + length] = packet
        self._lengths[row] = length
        self._header_lengths[row] = header_length
        self._sealed[row] = 0
        self._indexes[row] = index
        self.highest_index = max(self.highest_index, index)
        return True

    def get(self, index: int) -> memoryview | None:
        """The packet as it stands now, read-only, or None. The view shows another packet once the ring comes round."""
        row = index % self.capacity
        if index < 0 or self._indexes[row] != index:
            return None
        begin = row * ROW_BYTES
        return self._packets[begin : begin + self._lengths[row]].toreadonly()

    def header_length(self, index: int) -> int:
        """Octets before the payload of a packet that `get` gives."""
        return self._header_lengths[index % self.capacity]

    def octets(self, index: int) -> int:
        """Octets of a packet as it stands now; 0 where `get` gives None."""
        row = index % self.capacity
        return self._lengths[row] if index >= 0 and self._indexes[row] == index else 0

    def payload_octets(self, index: int) -> int:
        """Octets of payload without padding of a packet that `get` gives, as a sender report counts them."""
        row = index % self.capacity
        return self._lengths[row] - self._header_lengths[row] - (self._padding_length(row) or 0)

    def equalise(self, indexes: Sequence[int]) -> list[Run]:
        """Cut a burst into runs, pad within them, and seal every packet of the burst.

        Args:
            indexes: the burst, in sending order. An index that the cache does not hold is in no run.

        Returns:
            Runs in order. Packets that were sealed before keep their bytes and make runs as they are.
        """
        runs: list[Run] = []
        start = 0
        while start < len(indexes):
            if not self._holds(indexes[start]):
                start += 1
                continue
            end, segment_length = self._grow_run(indexes, start)
            for position in range(start, end):
                row = indexes[position] % self.capacity
                if position < end - 1 and self._lengths[row] < segment_length:
                    self._pad(row, segment_length)
                self._sealed[row] = 1
            runs.append(Run(start, end, segment_length))
            start = end
        return runs

    def _holds(self, index: int) -> bool:
        return index >= 0 and self._indexes[index % self.capacity] == index

    def _grow_run(self, indexes: Sequence[int], start: int) -> tuple[int, int]:
        """The end of the longest run from `start`, and its segment length."""
        row = indexes[start] % self.capacity
        longest = self._lengths[row]
        reachable = self._reachable_length(row)  # what every packet so far could be padded to
        end = start + 1
        limit = min(len(indexes), start + MAX_RUN_SEGMENTS)
        while end < limit and self._holds(indexes[end]):
            row = indexes[end] % self.capacity
            candidate = max(longest, self._lengths[row])
            if reachable < candidate or candidate + TAG_BYTES > MAX_SEGMENT_BYTES:
                break
            if (candidate + TAG_BYTES) * (end + 1 - start) > MAX_RUN_BYTES:
                break
            longest = candidate
            end += 1
            reachable = min(reachable, self._reachable_length(row))
            if reachable < longest:
                break  # a shorter packet that cannot grow can only be the last
        return end, longest

    def _reachable_length(self, row: int) -> int:
        length = self._lengths[row]
        padding = self._padding_length(row)
        if self._sealed[row] or padding is None:
            return length
        return length - padding + MAX_PADDING_BYTES

    def _padding_length(self, row: int) -> int | None:
        """Octets of padding, None when the count is not possible, and the packet is better left alone."""
        begin = row * ROW_BYTES
        if not self._packets[begin] & _PADDING_BIT:
            return 0
        length = self._lengths[row]
        padding = self._packets[begin + length - 1]
        return padding if 1 <= padding <= length - self._header_lengths[row] else None

    def _pad(self, row: int, wanted: int) -> None:
        begin = row * ROW_BYTES
        length = self._lengths[row]
        padding = self._padding_length(row) or 0
        if padding:
            self._packets[begin + length - 1] = 0  # the old count becomes an octet of padding like any other
        self._packets[begin + length : begin + wanted] = bytes(wanted - length)
        self._packets[begin + wanted - 1] = padding + wanted - length
        self._packets[begin] |= _PADDING_BIT
        self._lengths[row] = wanted


def _header_length(packet: bytes | memoryview) -> int:
    """Octets of fixed header, CSRC and extension (RFC 3550 section 5.1); may pass the packet's end."""
    length = _MIN_HEADER_BYTES + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        if length + 4 > len(packet):
            return length + 4
        length += 4 + 4 * (packet[length + 2] << 8 | packet[length + 3])
    return length
