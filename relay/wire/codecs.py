"""Where a decoder can begin, read from the first bytes of an RTP payload. Nothing is decoded.

Sources: VP8 RFC 7741 section 4, VP9 RFC 9628 section 4.2, H.264 RFC 6184 section 5, AV1 RTP payload format 1.0
section 4.4. Hot path: every video packet of a source passes here once.
"""

from __future__ import annotations

_H264_IDR = 5
_H264_SPS = 7
_H264_STAP_A = 24
_H264_FU_A = 28
_H264_START = frozenset({_H264_IDR, _H264_SPS})


def is_keyframe_start(codec: str, payload: memoryview | bytes) -> bool:
    """Tell whether a decoder can begin with this packet; never raises, and False for anything malformed.

    With H.264 both the parameter sets and each slice of the IDR picture count, so several packets of one timestamp
    can be starts: the first of them is where to begin.

    Args:
        codec: encoding name as in the session description, in capitals: `VP8`, `VP9`, `H264` or `AV1`.
        payload: the RTP payload without padding.
    """
    if codec == "VP8":
        return _vp8(payload)
    if codec == "H264":
        return _h264(payload)
    if codec == "VP9":
        return _vp9(payload)
    if codec == "AV1":
        # Z (the packet continues an element) is never set with N (first packet of a coded video sequence).
        return len(payload) > 1 and payload[0] & 0x88 == 0x08
    return False


def _vp8(payload: memoryview | bytes) -> bool:
    # S set and partition index 0: the first packet of a frame.
    if not payload or payload[0] & 0x17 != 0x10:
        return False
    offset = 1
    if payload[0] & 0x80:
        if len(payload) < 3:
            return False
        extension = payload[1]
        offset = 2
        if extension & 0x80:  # PictureID, of one byte or two
            offset += 2 if payload[2] & 0x80 else 1
        if extension & 0x40:  # TL0PICIDX
            offset += 1
        if extension & 0x30:  # TID and KEYIDX share a byte
            offset += 1
    # The lowest bit of the frame's first byte is 0 in a key frame (RFC 6386 section 9.1).
    return offset < len(payload) and not payload[offset] & 0x01


def _vp9(payload: memoryview | bytes) -> bool:
    # B set: a frame begins. P clear: it is predicted from no earlier picture.
    if len(payload) < 2 or payload[0] & 0x48 != 0x08:
        return False
    first = payload[0]
    offset = 1
    if first & 0x80:  # picture ID, of one byte or two
        offset += 2 if payload[1] & 0x80 else 1
    if not first & 0x20:
        return offset < len(payload)
    # Upper spatial layers of a key picture have P clear as well, yet need the base layer: SID must be 0.
    return offset + 1 < len(payload) and not payload[offset] & 0x0E


def _h264(payload: memoryview | bytes) -> bool:
    if len(payload) < 2 or payload[0] & 0x80:  # forbidden_zero_bit
        return False
    unit_type = payload[0] & 0x1F
    if unit_type == _H264_FU_A:
        return bool(payload[1] & 0x80) and payload[1] & 0x1F in _H264_START
    if unit_type == _H264_STAP_A:
        return _h264_stap_a(payload)
    return unit_type in _H264_START


def _h264_stap_a(payload: memoryview | bytes) -> bool:
    size = len(payload)
    offset = 1
    found = False
    while offset < size:
        if offset + 3 > size:
            return False
        length = payload[offset] << 8 | payload[offset + 1]
        found = found or payload[offset + 2] & 0x1F in _H264_START
        offset += 2 + length
        if length == 0 or offset > size:
            return False
    return found
