"""Which protocol a datagram on the shared UDP port belongs to, told by its first bytes.

RFC 7983 as updated by RFC 9443 divides the first byte; RFC 5761 section 4 tells RTCP from RTP by the second. ZRTP,
TURN channels and QUIC are not spoken here and come out as `UNKNOWN`. Nothing is validated: each parser does that.
"""

from __future__ import annotations

import enum


class Kind(enum.Enum):
    """The protocol of a datagram."""

    STUN = "stun"
    DTLS = "dtls"
    RTP = "rtp"
    RTCP = "rtcp"
    UNKNOWN = "unknown"


def classify(datagram: bytes | memoryview) -> Kind:
    """Tell the protocol of one datagram; never raises.

    An RTP packet needs a second byte to be told from RTCP, so a lone byte of that range is `UNKNOWN`.
    """
    if len(datagram) < 2:
        return Kind.UNKNOWN
    first = datagram[0]
    if 128 <= first <= 191:
        # With rtcp-mux the RTCP packet types 192..223 occupy RTP's marker bit and payload types 64..95 (RFC 5761).
        return Kind.RTCP if 192 <= datagram[1] <= 223 else Kind.RTP
    if first <= 3:
        return Kind.STUN
    if 20 <= first <= 63:
        return Kind.DTLS
    return Kind.UNKNOWN
