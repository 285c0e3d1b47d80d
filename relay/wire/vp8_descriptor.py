"""The VP8 payload descriptor (RFC 7741 section 4.2) without its optional fields.

Hot path: each packet of a VP8 simulcast publisher passes here once.
"""

from __future__ import annotations


def plain_vp8(payload: bytes) -> bytes:
    """Leave out PictureID, TL0PICIDX, TID and KEYIDX, which count in each simulcast layer for itself.

    A receiver that is moved from one layer to another would see them jump, also backwards, and some then take the new
    layer for an old one. Without them it goes by the sequence numbers, as with H.264.

    Args:
        payload: of an RTP packet.

    Returns:
        The payload with a descriptor of one octet; as it was where it has such a one already, or is malformed.
    """
    if len(payload) < 2 or not payload[0] & 0x80:
        return payload
    extension = payload[1]
    length = 2
    if extension & 0x80:  # PictureID, of one octet or two
        if len(payload) < 3:
            return payload
        length += 2 if payload[2] & 0x80 else 1
    if extension & 0x40:  # TL0PICIDX
        length += 1
    if extension & 0x30:  # TID and KEYIDX share an octet
        length += 1
    if length >= len(payload):
        return payload
    return bytes([payload[0] & 0x7F]) + payload[length:]
