"""H.264 in RTP payloads, non-interleaved mode (RFC 6184 sections 5.6 to 5.8). Pure.

Small units travel together (STAP-A), a large one in fragments of nearly one length (FU-A): a relay sends packets of one
length as one burst.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

# With RTP header and SRTP tag, UDP and IPv6, 1,264 octets: within the 1,280 that every path of IPv6 carries.
MAX_PAYLOAD_BYTES = 1188

_STAP_A = 24
_FU_A = 28
_TYPE = 0x1F
_NRI = 0x60
_FORBIDDEN = 0x80
_START, _END = 0x80, 0x40


def packetize_h264(units: Iterable[bytes], limit: int = MAX_PAYLOAD_BYTES) -> list[bytes]:
    """Put NAL units into payloads, in order.

    Args:
        units: NAL units without start codes; empty ones are passed over.
        limit: octets of a payload, at least 4.

    Returns:
        Payloads of at most `limit` octets.
    """
    payloads: list[bytes] = []
    together: list[bytes] = []
    for unit in units:
        if not unit:
            continue
        if together and 1 + sum(2 + len(each) for each in (*together, unit)) > limit:
            payloads.append(_aggregate(together))
            together = []
        if len(unit) > limit:
            payloads += _fragments(unit, limit)
        else:
            together.append(unit)
    if together:
        payloads.append(_aggregate(together))
    return payloads


def split_evenly(data: bytes, limit: int) -> list[bytes]:
    """Cut data into the least number of pieces of at most `limit` octets, whose lengths differ by one at most."""
    count = -(-len(data) // limit)
    cuts = [len(data) * number // count for number in range(count + 1)] if count else []
    return [data[begin:end] for begin, end in itertools.pairwise(cuts)]


def _aggregate(units: list[bytes]) -> bytes:
    if len(units) == 1:
        return units[0]
    # F is set where any unit has it, NRI is the highest of all (section 5.7).
    forbidden = max(unit[0] & _FORBIDDEN for unit in units)
    importance = max(unit[0] & _NRI for unit in units)
    return bytes([forbidden | importance | _STAP_A]) + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def _fragments(unit: bytes, limit: int) -> list[bytes]:
    pieces = split_evenly(unit[1:], limit - 2)
    indicator = unit[0] & (_FORBIDDEN | _NRI) | _FU_A
    last = len(pieces) - 1
    flags = [(_START if number == 0 else 0) | (_END if number == last else 0) for number in range(len(pieces))]
    return [bytes([indicator, flag | unit[0] & _TYPE]) + piece for flag, piece in zip(flags, pieces, strict=True)]
