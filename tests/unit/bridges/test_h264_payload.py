from fractions import Fraction

import numpy as np
import pytest
from aiortc import RTCRtpCodecParameters
from aiortc.codecs import depayload
from aiortc.codecs.h264 import h264_depayload
from av import VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from bridges.h264_payload import MAX_PAYLOAD_BYTES, packetize_h264, split_evenly
from bridges.thin_encoders import new_encoder

SPS, PPS = b"\x67\x42\x00\x1f", b"\x68\xce\x3c"
START = b"\x00\x00\x00\x01"


def read(payloads: list[bytes]) -> bytes:
    """The units of payloads as another implementation reads them, in Annex B."""
    return b"".join(h264_depayload(payload) for payload in payloads)


def test_small_units_travel_together() -> None:
    """Parameter sets and a small slice in one STAP-A; its NRI is the highest of theirs."""
    idr = b"\x65" + bytes(100)
    (payload,) = packetize_h264([SPS, PPS, idr])
    assert payload[0] == 0x60 | 24
    assert read([payload]) == START + SPS + START + PPS + START + idr


def test_a_large_unit_is_cut_into_equal_fragments() -> None:
    """FU-A: start and end are marked, the type stands in each, lengths differ by one octet at most."""
    idr = b"\x65" + bytes(range(256)) * 20
    payloads = packetize_h264([SPS, idr, PPS])
    assert payloads[0] == SPS
    assert payloads[-1] == PPS
    fragments = payloads[1:-1]
    assert [fragment[0] for fragment in fragments] == [0x60 | 28] * len(fragments)
    assert [fragment[1] for fragment in fragments] == [0x85, *[0x05] * (len(fragments) - 2), 0x45]
    assert max(map(len, fragments)) - min(map(len, fragments)) <= 1
    assert read(payloads) == START + SPS + START + idr + START + PPS


def test_nothing_makes_nothing() -> None:
    """No units, and empty ones."""
    assert packetize_h264([]) == []
    assert packetize_h264([b"", b""]) == []
    assert split_evenly(b"", 10) == []


@given(st.lists(st.tuples(st.integers(1, 23), st.integers(0, 9_000)), max_size=12))
def test_every_unit_comes_out_as_it_went_in(shapes: list[tuple[int, int]]) -> None:
    """Whatever the sizes; and no payload is longer than the bound."""
    units = [bytes([0x60 | kind]) + bytes([number + 1]) * size for number, (kind, size) in enumerate(shapes)]
    payloads = packetize_h264(units)
    assert all(len(payload) <= MAX_PAYLOAD_BYTES for payload in payloads)
    # The other implementation refuses units of one octet, which are no pictures either.
    if all(len(payload) > 1 for payload in payloads):
        assert read(payloads) == b"".join(START + unit for unit in units)


@pytest.mark.parametrize("name", ["video/H264", "video/VP8"])
def test_encoders_of_video_keep_within_the_bound(name: str) -> None:
    """A noisy picture makes many packets, none too long; their payloads make the frame that the encoder made."""
    codec = RTCRtpCodecParameters(mimeType=name, clockRate=90_000, payloadType=96)
    encoder = new_encoder(codec)
    noise = np.random.default_rng(1).integers(0, 255, (360 * 3 // 2, 640), dtype=np.uint8)
    frame = VideoFrame.from_ndarray(noise, format="yuv420p")
    frame.pts, frame.time_base = 0, Fraction(1, 90_000)
    payloads, timestamp = encoder.encode(frame, force_keyframe=True)
    assert timestamp == 0
    assert len(payloads) > 10
    assert max(map(len, payloads)) <= MAX_PAYLOAD_BYTES
    assert sum(len(depayload(codec, payload)) for payload in payloads) > 10_000
