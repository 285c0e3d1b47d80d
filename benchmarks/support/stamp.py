"""The time of sending, written into a packet: a relay leaves payloads untouched, so that a receiver finds it again.

Pure. It is the last 8 octets of the payload, nanoseconds since the epoch, which also tells packets of one kind apart.
"""

from __future__ import annotations

import struct

_STAMP = struct.Struct("!Q")


def stamped(payload: bytes, sent_ns: int) -> bytes:
    """The payload with its last octets replaced by the stamp."""
    return payload[: -_STAMP.size] + _STAMP.pack(sent_ns)


def stamp_of(payload: bytes) -> int:
    """The stamp of a payload without padding, nanoseconds since the epoch."""
    return int(_STAMP.unpack_from(payload, len(payload) - _STAMP.size)[0])
