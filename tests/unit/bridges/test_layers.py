"""A source of pictures in three sizes."""

from __future__ import annotations

import asyncio

import pytest
from av import VideoFrame

from bridges.errors import PublishError
from bridges.layers import BITRATE_SHARES, Layer, layers_of, name_layers
from bridges.source import Kind, Media


class Pictures:
    """Pictures that are there at once."""

    kinds: frozenset[Kind] = frozenset({"video"})
    encoded: frozenset[Kind] = frozenset()

    def __init__(self, count: int) -> None:
        self.left = count

    async def next_media(self, kind: Kind) -> Media | None:
        """The next one, 642 x 362."""
        assert kind == "video"
        if not self.left:
            return None
        self.left -= 1
        frame = VideoFrame(642, 362, "yuv420p")
        frame.pts = self.left
        return frame

    async def close(self) -> None:
        """Nothing to release."""


async def size_of(layer: Layer) -> tuple[int, int, int | None]:
    """Width, height and time of the next picture."""
    frame = await layer.next_media("video")
    assert isinstance(frame, VideoFrame)
    return frame.width, frame.height, frame.pts


async def test_each_picture_comes_in_three_sizes() -> None:
    """Whole, halved and quartered, in even numbers of rows and columns, at one time; then all end."""
    layers = layers_of(Pictures(1))
    found = await asyncio.gather(*(size_of(layer) for layer in layers))
    assert found == [(642, 362, 0), (320, 180, 0), (160, 90, 0)]
    assert await asyncio.gather(*(layer.next_media("video") for layer in layers)) == [None, None, None]


async def test_an_encoder_that_is_slow_leaves_pictures_out() -> None:
    """The others wait for nobody."""
    whole, half, _ = layers_of(Pictures(5))
    for _ in range(5):
        await size_of(whole)
    assert (await size_of(half))[2] == 0, "the last one"


@pytest.mark.parametrize(
    ("kinds", "encoded"), [({"audio"}, set()), ({"audio", "video"}, {"video"})], ids=["sound", "encoded"]
)
def test_what_cannot_be_made_smaller_is_refused(kinds: set[Kind], encoded: set[Kind]) -> None:
    """Sound alone, and H.264 that passes through."""
    source = Pictures(0)
    source.kinds, source.encoded = frozenset(kinds), frozenset(encoded)
    with pytest.raises(PublishError) as refused:
        layers_of(source)
    assert refused.value.code == "not_scalable"


def test_shares_are_of_one_bitrate() -> None:
    """By picture elements."""
    assert sum(BITRATE_SHARES) == pytest.approx(1)
    assert BITRATE_SHARES[0] == 4 * BITRATE_SHARES[1] == 16 * BITRATE_SHARES[2]


def test_an_offer_names_the_layers_behind_the_first() -> None:
    """With its cname; other lines stay."""
    offer = "m=video 9 X 96\r\na=ssrc:7 cname:me\r\na=mid:1\r\n"
    named = name_layers(offer, [7, 8, 9])
    assert named == (
        "m=video 9 X 96\r\na=ssrc:7 cname:me\r\na=ssrc:8 cname:me\r\na=ssrc:9 cname:me\r\n"
        "a=ssrc-group:SIM 7 8 9\r\na=mid:1\r\n"
    )
