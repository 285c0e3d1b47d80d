"""The VP8 payload descriptor without what counts in each layer for itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.wire.codecs import is_keyframe_start
from relay.wire.vp8_descriptor import plain_vp8

FRAME = b"\x00\x9d\x01\x2a"


@pytest.mark.parametrize(
    ("descriptor", "plain"),
    [
        pytest.param("10", "10", id="plain already"),
        pytest.param("9080 05", "10", id="a PictureID of seven bits"),
        pytest.param("9080 8005", "10", id="a PictureID of fifteen bits"),
        pytest.param("b0e0 8005 07 40", "30", id="with TL0PICIDX and TID, of a frame that is no reference"),
        pytest.param("8010 0a", "00", id="KEYIDX, inside a frame"),
        pytest.param("9000", "10", id="an extension without fields"),
    ],
)
def test_the_optional_fields_are_left_out(descriptor: str, plain: str) -> None:
    """The frame and the bits of the first octet stay."""
    assert bytes(plain_vp8(bytes.fromhex(descriptor) + FRAME)) == bytes.fromhex(plain) + FRAME


@pytest.mark.parametrize("torn", ["", "90", "9080", "9080 80", "90f0 8005 07 40"])
def test_what_is_malformed_stays(torn: str) -> None:
    """A decoder may make of it what it can."""
    assert plain_vp8(bytes.fromhex(torn)) == bytes.fromhex(torn)


@given(payload=st.binary(max_size=24))
def test_a_start_stays_a_start(payload: bytes) -> None:
    """Whatever comes, nothing is raised, and doing it twice changes nothing."""
    plain = bytes(plain_vp8(payload))
    if plain != payload:
        assert is_keyframe_start("VP8", plain) == is_keyframe_start("VP8", payload)
    assert plain_vp8(plain) == plain or plain[:1] >= b"\x80"
