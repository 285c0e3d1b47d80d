"""Delegates' QR codes as a camera sees them."""

from __future__ import annotations

from pathlib import Path

import segno

WIDTH, HEIGHT = 640, 480
_FRAMES = 5
_MODULE_PX = 6  # 45 modules with the quiet zone: the code fills half of the picture, as one held up at a door


def write_camera_film(path: Path, content: str) -> None:
    """Write a film (YUV4MPEG2) for Chromium's fake camera that shows one QR code, a little grey and uneven."""
    rows = [list(row) for row in segno.make(content, error="m", mode="numeric").matrix_iter(scale=_MODULE_PX, border=4)]
    left, top = (WIDTH - len(rows[0])) // 2, (HEIGHT - len(rows)) // 2
    luma = bytearray(b"\xb0" * (WIDTH * HEIGHT))
    for line, row in enumerate(rows):
        start = (top + line) * WIDTH + left
        luma[start : start + len(row)] = bytes(0x38 if dark else 0xD8 for dark in row)
    frame = b"FRAME\n" + bytes(luma) + b"\x80" * (WIDTH * HEIGHT // 2)
    path.write_bytes(b"YUV4MPEG2 W%d H%d F5:1 Ip A1:1 C420jpeg\n" % (WIDTH, HEIGHT) + frame * _FRAMES)
