"""A film to publish as it is: H.264 at 2 Mbit/s with a keyframe every two seconds, and a tone in Opus."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av import AudioFrame, VideoFrame

FPS = 30
WIDTH, HEIGHT = 640, 360
BITRATE_BPS = 1_900_000


def write_film(path: Path, *, seconds: int) -> Path:
    """Write it: grain over a picture that moves, so that every frame costs its share."""
    rng = np.random.default_rng(1)
    grain = rng.integers(0, 60, (HEIGHT * 3 // 2, WIDTH * 2), dtype=np.uint8)
    with av.open(str(path), "w") as film:
        pictures: Any = film.add_stream("libx264", rate=FPS)
        pictures.width, pictures.height, pictures.pix_fmt, pictures.bit_rate = WIDTH, HEIGHT, "yuv420p", BITRATE_BPS
        pictures.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "g": str(2 * FPS),
            "keyint_min": str(2 * FPS),
            "maxrate": str(BITRATE_BPS),
            "bufsize": str(BITRATE_BPS // 2),
        }
        sounds: Any = film.add_stream("libopus", rate=48_000)
        sounds.layout = "stereo"
        for number in range(seconds * FPS):
            shift = number * 7 % WIDTH
            frame = VideoFrame.from_ndarray(grain[:, shift : shift + WIDTH] + np.uint8(90), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            film.mux(pictures.encode(frame))
        film.mux(pictures.encode(None))
        name = sounds.codec_context.format.name
        for number in range(seconds * 50):
            wave = np.sin(np.arange(number * 960, (number + 1) * 960) * (440 * 2 * np.pi / 48_000)) * 0.2
            floats = np.stack([wave, wave]) if name.endswith("p") else np.repeat(wave, 2)[np.newaxis]
            samples: Any = floats.astype(np.float32) if "flt" in name else (floats * 32_767).astype(np.int16)
            piece = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=name, layout="stereo")
            piece.sample_rate, piece.pts, piece.time_base = 48_000, number * 960, Fraction(1, 48_000)
            film.mux(sounds.encode(piece))
        film.mux(sounds.encode(None))
    return path
