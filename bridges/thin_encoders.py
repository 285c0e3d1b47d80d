"""aiortc's encoders with payloads that fit a path of 1,280 octets; its own make RTP packets of 1,312. Shell."""

from __future__ import annotations

from collections.abc import Iterable

from aiortc import RTCRtpCodecParameters
from aiortc.codecs import get_encoder
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor

from bridges.h264_payload import MAX_PAYLOAD_BYTES, packetize_h264, split_evenly

MIN_BITRATE_BPS = 50_000  # of a small layer; aiortc's own encoders go no lower than 250 and 500 kbit/s
MAX_BITRATE_BPS = 3_000_000


class ThinH264Encoder(H264Encoder):
    """H.264 (RFC 6184)."""

    _bitrate_bps = 1_000_000

    @property
    def target_bitrate(self) -> int:
        """What the encoder may make, in bit/s."""
        return self._bitrate_bps

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._bitrate_bps = max(MIN_BITRATE_BPS, min(bitrate, MAX_BITRATE_BPS))

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
