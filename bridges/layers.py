"""One source of pictures in several sizes, for simulcast (RFC 8853): each frame whole, halved, quartered. Shell.

The largest layer reads the source; the others take the frame that it read last, so that an encoder that is slow leaves
frames out and delays nobody.
"""

from __future__ import annotations

import asyncio

from av import VideoFrame
from av.video.reformatter import VideoReformatter

from bridges.errors import PublishError
from bridges.source import Kind, Media, Source

DIVISORS = (1, 2, 4)
# Shares of the whole bitrate, by the number of picture elements: 16, 4 and 1 of 21.
BITRATE_SHARES = tuple((16 // (divisor * divisor)) / 21 for divisor in DIVISORS)


class Layer:
    """A source whose pictures are so many times smaller.

    Attributes:
        kinds: video alone.
        encoded: nothing.
    """

    kinds: frozenset[Kind] = frozenset({"video"})
    encoded: frozenset[Kind] = frozenset()

    def __init__(self, frames: _Frames, divisor: int) -> None:
        """Take part in the frames of a source."""
        self._frames = frames
        self._divisor = divisor
        self._taken = 0
        # One for each layer: those that a frame offers are shared by all who ask it, and two threads wait for ever.
        self._reformatter = VideoReformatter()

    async def next_media(self, kind: Kind) -> Media | None:
        """The next frame in this layer's size; None after the end."""
        if self._divisor == 1:
            return await self._frames.read(kind)
        frame, self._taken = await self._frames.after(self._taken)
        if frame is None:
            return None
        width, height = (size // self._divisor // 2 * 2 for size in (frame.width, frame.height))
        return await asyncio.get_running_loop().run_in_executor(None, self._reformatter.reformat, frame, width, height)

    async def close(self) -> None:
        """The source is somebody else's."""


class _Frames:
    """The last frame of a source, and its number."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._frame: VideoFrame | None = None
        self._number = 0
        self._changed = asyncio.Condition()

    async def read(self, kind: Kind) -> Media | None:
        media = await self._source.next_media(kind)
        async with self._changed:
            self._frame = media if isinstance(media, VideoFrame) else None
            self._number += 1
            self._changed.notify_all()
        return media

    async def after(self, number: int) -> tuple[VideoFrame | None, int]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._number > number)
            return self._frame, self._number


def layers_of(source: Source) -> list[Layer]:
    """The video of a source in `DIVISORS` sizes, the largest first.

    Raises:
        PublishError: its video is encoded already, or it has none.
    """
    if "video" not in source.kinds or "video" in source.encoded:
        raise PublishError(
            "not_scalable",
            "nguồn phát không có hình chưa nén để thu nhỏ / the source has no video that could be made smaller "
            "(a file of H.264 passes through as it is)",
        )
    frames = _Frames(source)
    return [Layer(frames, divisor) for divisor in DIVISORS]


def name_layers(offer: str, ssrcs: list[int]) -> str:
    """Say in an offer which SSRCs are layers of one picture (RFC 5576, `ssrc-group:SIM`).

    Args:
        offer: names the first of them.
        ssrcs: in the order of the layers.
    """
    lines: list[str] = []
    for line in offer.split("\r\n"):
        lines.append(line)
        if line.startswith(f"a=ssrc:{ssrcs[0]} cname:"):
            cname = line.partition(" ")[2]
            lines += [f"a=ssrc:{ssrc} {cname}" for ssrc in ssrcs[1:]]
            lines.append(f"a=ssrc-group:SIM {' '.join(map(str, ssrcs))}")
    return "\r\n".join(lines)
