"""A clock inside the picture that a machine can read: it measures glass to glass through any codec and any relay.

80 bits, most significant first: 48 bits of milliseconds since the epoch, 24 bits of frame number, 8 bits of CRC. Each
bit is a cell of 16x16 luma samples, 40 cells a row, two rows, from the left edge, 16 rows below the top edge. Only luma
is used, and of each cell only the inner 8x8 samples: a block codec at a low bitrate rings at the edges of a cell and
keeps its mean. The strip must arrive at the size at which it was drawn; a scaled picture reads as no timecode.

This module owns the drawing and the reading; it knows no clock.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

Luma = npt.NDArray[np.uint8]

CELL_PX = 16  # one macroblock of H.264 and VP8: a cell is one transform's mean, cheap to code and hard to break
COLUMNS = 40
ROWS = 2
TOP_PX = 16
MIN_WIDTH_PX = COLUMNS * CELL_PX
MIN_HEIGHT_PX = TOP_PX + ROWS * CELL_PX

_BLACK = 16  # limited-range luma (ITU-R BT.601): values outside 16..235 are clipped by some pipelines
_WHITE = 235
# A cell whose mean lies between these is no bit at all: ordinary pictures are refused before the CRC, which alone would
# let one in 256 through.
_DARKEST_WHITE = 150
_BRIGHTEST_BLACK = 100
_INSET_PX = 4
_MAX_AT_MS = (1 << 48) - 1
_FRAME_NUMBER_MASK = (1 << 24) - 1


class Timecode(msgspec.Struct, frozen=True, kw_only=True):
    """What the strip says: `at_ms` milliseconds since the epoch, `frame_number` modulo 2^24."""

    at_ms: int
    frame_number: int


def _crc8(data: bytes) -> int:
    """CRC-8 with polynomial 0x2F and start 0xFF, so that an all-black strip does not pass."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ 0x2F) & 0xFF if crc & 0x80 else crc << 1
    return crc


def draw_timecode(luma: Luma, at_ms: int, frame_number: int) -> None:
    """Paint the strip into a picture, in place.

    Args:
        luma: writable luma plane, (height, width) of uint8, at least 48 x 640.
        at_ms: milliseconds since the epoch, below 2^48.
        frame_number: any count; its low 24 bits are drawn.

    Raises:
        ValueError: the picture is too small or the time does not fit.
    """
    if luma.ndim != 2 or luma.shape[0] < MIN_HEIGHT_PX or luma.shape[1] < MIN_WIDTH_PX:
        raise ValueError(f"a timecode needs a picture of at least {MIN_WIDTH_PX}x{MIN_HEIGHT_PX}")
    if not 0 <= at_ms <= _MAX_AT_MS:
        raise ValueError("time is outside 48 bits of milliseconds")
    data = at_ms.to_bytes(6, "big") + (frame_number & _FRAME_NUMBER_MASK).to_bytes(3, "big")
    bits = np.unpackbits(np.frombuffer(data + bytes([_crc8(data)]), dtype=np.uint8)).reshape(ROWS, COLUMNS)
    cells = np.where(bits, np.uint8(_WHITE), np.uint8(_BLACK)).repeat(CELL_PX, axis=0).repeat(CELL_PX, axis=1)
    luma[TOP_PX:MIN_HEIGHT_PX, :MIN_WIDTH_PX] = cells


def read_timecode(luma: Luma) -> Timecode | None:
    """Read the strip of a decoded picture.

    Args:
        luma: luma plane, (height, width) of uint8; it may be a view into a decoder's frame.

    Returns:
        The timecode, or None when the picture is too small, carries none, or carries a damaged one.
    """
    if luma.ndim != 2 or luma.shape[0] < MIN_HEIGHT_PX or luma.shape[1] < MIN_WIDTH_PX:
        return None
    strip = luma[TOP_PX:MIN_HEIGHT_PX, :MIN_WIDTH_PX].reshape(ROWS, CELL_PX, COLUMNS, CELL_PX)
    means = strip[:, _INSET_PX:-_INSET_PX, :, _INSET_PX:-_INSET_PX].mean(axis=(1, 3))
    white = means >= _DARKEST_WHITE
    if not bool(np.all(white | (means <= _BRIGHTEST_BLACK))):
        return None
    data = np.packbits(white.reshape(-1)).tobytes()
    if _crc8(data[:9]) != data[9]:
        return None
    return Timecode(at_ms=int.from_bytes(data[:6], "big"), frame_number=int.from_bytes(data[6:9], "big"))
