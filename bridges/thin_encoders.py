"""aiortc's encoders with payloads that fit a path of 1,280 octets; its own make RTP packets of 1,312. Shell."""

from __future__ import annotations

from collections.abc import Iterable

from aiortc import RTCRtpCodecParameters
from aiortc.codecs import get_encoder
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor

from bridges.h264_payload import MAX_PAYLOAD_BYTES, packetize_h264, split_evenly


class ThinH264Encoder(H264Encoder):
    """H.264 (RFC 6184)."""

    @classmethod
    def _packetize(cls, packages: Iterable[bytes]) -> list[bytes]:
        return packetize_h264(packages)


class ThinVp8Encoder(Vp8Encoder):
    """VP8 (RFC 7741)."""

    @classmethod
    def _packetize(cls, buffer: bytes, picture_id: int) -> list[bytes]:
        first = bytes(VpxPayloadDescriptor(partition_start=1, partition_id=0, picture_id=picture_id))
        other = bytes(VpxPayloadDescriptor(partition_start=0, partition_id=0, picture_id=picture_id))
        pieces = split_evenly(buffer, MAX_PAYLOAD_BYTES - max(len(first), len(other)))
        return [(other if number else first) + piece for number, piece in enumerate(pieces)]


def new_encoder(codec: RTCRtpCodecParameters) -> Encoder:
    """Make the encoder of a codec that was negotiated."""
    match codec.mimeType.lower():
        case "video/h264":
            return ThinH264Encoder()
        case "video/vp8":
            return ThinVp8Encoder()
        case _:
            return get_encoder(codec)
