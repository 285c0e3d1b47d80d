"""The test programme (chương trình thử): a picture and a sound made here, in which every fault is seen and heard.

The picture: colour bars, the time of day and a frame counter that people can read, a bar that crosses the picture once
in two seconds, a patch of grain that gives the encoder real work, and the timecode that a machine reads. The sound: a
soft tone, and a beep at each full second of the clock. Everything that does not move is drawn once; a frame costs some
tenths of a millisecond before the encoder.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from av import AudioFrame, VideoFrame

from bridges.errors import PublishError
from bridges.lettering import Lettering
from bridges.source import Kind, Media
from bridges.timecode import MIN_HEIGHT_PX, MIN_WIDTH_PX, TOP_PX, draw_timecode

SAMPLE_RATE = 48_000
SAMPLES_PER_FRAME = 960  # 20 ms, one Opus packet
_VIDEO_TIME_BASE = Fraction(1, 90_000)
_AUDIO_TIME_BASE = Fraction(1, SAMPLE_RATE)

_TONE_HZ = 220  # a whole number of waves in a second, so that the table repeats without a click
_TONE_LEVEL = 0.04
_BEEP_HZ = 1000
_BEEP_LEVEL = 0.25
_BEEP_S = 0.1
_BAR_PERIOD_S = 2.0
_BAR_PX = 12
# Grain: a few tiles in turn. Without it a test picture codes at 40 kbit/s and tests nothing of a real programme's load.
_GRAIN_PX = (64, 96)
_GRAIN_TILES = 16
# When the process was held up for longer, the programme skips to now instead of playing late.
_LATE_S = 0.1
# Colour bars at 75 % (ITU-R BT.601), Cb and Cr from the left: grey, yellow, cyan, green, magenta, red, blue, dark.
_CHROMA = ((128, 128), (44, 142), (156, 44), (72, 58), (184, 198), (100, 212), (212, 114), (128, 128))
_LUMA = (104, 112, 98, 90, 74, 66, 50, 40)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Picture:
    """Draws one frame after another. Pure: the time is an argument.

    Args:
        width: samples, even, at least 640.
        height: samples, even, at least 240.

    Raises:
        PublishError: with code `bad_size`.
    """

    def __init__(self, width: int, height: int) -> None:
        if width < MIN_WIDTH_PX or height < max(MIN_HEIGHT_PX, 240) or width % 2 or height % 2:
            raise PublishError("bad_size", f"a test programme of {width}x{height}: at least 640x240, both even")
        self._width = width
        self._height = height
        self._planes: npt.NDArray[np.uint8] = np.empty((height * 3 // 2, width), dtype=np.uint8)
        edges = [width * i // 8 // 2 * 2 for i in range(9)]
        luma = self._planes[:height]
        chroma = self._planes[height:].reshape(2, height // 2, width // 2)
        for i in range(8):
            luma[:, edges[i] : edges[i + 1]] = _LUMA[i]
            chroma[0, :, edges[i] // 2 : edges[i + 1] // 2] = _CHROMA[i][0]
            chroma[1, :, edges[i] // 2 : edges[i + 1] // 2] = _CHROMA[i][1]
        self._panel_top = 64
        self._panel_height = 120
        panel = slice(self._panel_top, self._panel_top + self._panel_height)
        luma[panel] = 16
        chroma[:, panel.start // 2 : panel.stop // 2] = 128
        chroma[:, TOP_PX // 2 : MIN_HEIGHT_PX // 2] = 128
        self._bar_top = self._panel_top + self._panel_height + 8
        self._bar_ground = luma[self._bar_top].copy()
        self._grain = np.random.default_rng(1).integers(60, 180, (_GRAIN_TILES, *_GRAIN_PX)).astype(np.uint8)
        self._large = Lettering(8, ink=225, paper=16)
        self._small = Lettering(4, ink=180, paper=16)

    def draw(self, at_ms: int, frame_number: int) -> VideoFrame:
        """Draw the frame captured at `at_ms` (milliseconds since the epoch) and return it without timestamps."""
        luma = self._planes[: self._height]
        moment = datetime.fromtimestamp(at_ms / 1000, tz=UTC).astimezone()
        text = f"{moment:%H:%M:%S}.{at_ms % 1000 // 100}"
        self._large.draw(luma, text, left_px=32, top_px=self._panel_top + 8)
        self._small.draw(luma, f"#{frame_number:08d}", left_px=32, top_px=self._panel_top + 80)
        luma[self._bar_top :] = self._bar_ground
        left = int(at_ms / 1000 % _BAR_PERIOD_S / _BAR_PERIOD_S * (self._width - _BAR_PX))
        luma[self._bar_top :, left : left + _BAR_PX] = 225
        top = self._panel_top + 28
        right = self._width - 32
        luma[top : top + _GRAIN_PX[0], right - _GRAIN_PX[1] : right] = self._grain[frame_number % _GRAIN_TILES]
        draw_timecode(luma, at_ms, frame_number)
        return VideoFrame.from_ndarray(self._planes, format="yuv420p")


def tone_of_a_second() -> npt.NDArray[np.int16]:
    """Compute one second of sound: the tone, with the beep in its first tenth. 48,000 samples, mono."""
    at = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    sound = _TONE_LEVEL * np.sin(2 * np.pi * _TONE_HZ * at)
    beep = at[at < _BEEP_S]
    envelope = np.sin(np.pi * beep / _BEEP_S)  # no click at its ends
    sound[: beep.size] += _BEEP_LEVEL * envelope * np.sin(2 * np.pi * _BEEP_HZ * beep)
    return (sound * 32767).astype(np.int16)


class Programme:
    """The test programme as a source.

    Args:
        width: of the picture, at least 640.
        height: of the picture, at least 240.
        fps: frames per second, 1 to 30 (the encoder's budget is made for 30).
        wall_ms: clock of the picture, milliseconds since the epoch.

    Raises:
        PublishError: with code `bad_size`.
    """

    def __init__(
        self, *, width: int = 640, height: int = 360, fps: int = 30, wall_ms: Callable[[], int] = _wall_ms
    ) -> None:
        if not 1 <= fps <= 30:
            raise PublishError("bad_size", f"a test programme of {fps} frames per second: 1 to 30")
        self.kinds: frozenset[Kind] = frozenset({"audio", "video"})
        self.encoded: frozenset[Kind] = frozenset()
        self._picture = Picture(width, height)
        self._fps = fps
        self._wall_ms = wall_ms
        self._sound = np.tile(tone_of_a_second(), 2)  # twice, so that no frame is cut by the table's end
        self._started_at: float | None = None
        self._started_wall_ms = 0
        self._frame_number = 0
        self._audio_number = 0

    async def next_media(self, kind: Kind) -> Media | None:
        """Wait until the next frame is due and make it; never ends."""
        if kind == "video":
            return await self._next_video()
        return await self._next_audio()

    async def close(self) -> None:
        """Nothing to release."""

    async def _due(self, number: int, interval_s: float) -> int:
        """Sleep until frame `number` is due; after a hold-up return a later number that is due now."""
        clock = asyncio.get_running_loop().time
        if self._started_at is None:
            self._started_at = clock()
            self._started_wall_ms = self._wall_ms()
        late_s = clock() - (self._started_at + number * interval_s)
        if late_s > _LATE_S:
            return number + int(late_s / interval_s)
        if late_s < 0:
            await asyncio.sleep(-late_s)
        return number

    async def _next_video(self) -> VideoFrame:
        number = await self._due(self._frame_number, 1 / self._fps)
        self._frame_number = number + 1
        frame = self._picture.draw(self._wall_ms(), number)
        frame.pts = number * 90_000 // self._fps
        frame.time_base = _VIDEO_TIME_BASE
        return frame

    async def _next_audio(self) -> AudioFrame:
        number = await self._due(self._audio_number, SAMPLES_PER_FRAME / SAMPLE_RATE)
        self._audio_number = number + 1
        position = number * SAMPLES_PER_FRAME
        phase = (self._started_wall_ms % 1000 * SAMPLE_RATE // 1000 + position) % SAMPLE_RATE
        frame = AudioFrame.from_ndarray(
            self._sound[phase : phase + SAMPLES_PER_FRAME].reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = SAMPLE_RATE
        frame.pts = position
        frame.time_base = _AUDIO_TIME_BASE
        return frame
