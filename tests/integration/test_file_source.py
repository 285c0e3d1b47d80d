import asyncio
from collections.abc import AsyncIterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av import AudioFrame, Packet, VideoFrame
from av.container import OutputContainer
from support.aiortc_relay import TestRelay, running_relays

from bridges.errors import PublishError
from bridges.file_source import FileSource
from bridges.programme import Picture
from bridges.publish import open_source, publish

pytestmark = pytest.mark.integration

FPS = 15


def write_film(path: Path, *, seconds: float, video: str, audio: str, b_frames: int = 0) -> Path:
    """Write a film with a timecode in each picture; `video` and `audio` name encoders, "" leaves one out."""
    with av.open(str(path), "w") as film:
        # PyAV types a new stream by its encoder's literal name; here the names are arguments.
        pictures: Any = film.add_stream(video, rate=FPS) if video else None
        sounds: Any = film.add_stream(audio, rate=48_000) if audio else None
        if sounds is not None:
            sounds.layout = "stereo"
        if pictures is not None:
            pictures.width, pictures.height, pictures.pix_fmt = 640, 360, "yuv420p"
            pictures.options = {"preset": "ultrafast", "bf": str(b_frames), "g": str(FPS)}
            write_pictures(film, pictures, int(seconds * FPS))
        if sounds is not None:
            write_sounds(film, sounds, int(seconds * 50))
    return path


def write_pictures(film: OutputContainer, stream: Any, count: int) -> None:
    """Write so many pictures."""
    picture = Picture(640, 360)
    for number in range(count):
        frame = picture.draw(1_700_000_000_000 + number * 1000 // FPS, number)
        frame.pts = number
        frame.time_base = Fraction(1, FPS)
        film.mux(stream.encode(frame))
    film.mux(stream.encode(None))


def write_sounds(film: OutputContainer, stream: Any, count: int) -> None:
    """Write so many times 20 ms of silence."""
    name = stream.codec_context.format.name
    shape, kind = (2, 960) if name.endswith("p") else (1, 1920), np.float32 if "flt" in name else np.int16
    for number in range(count):
        piece = AudioFrame.from_ndarray(np.zeros(shape, dtype=kind), format=name, layout="stereo")
        piece.sample_rate = 48_000
        piece.pts = number * 960
        piece.time_base = Fraction(1, 48_000)
        film.mux(stream.encode(piece))
    film.mux(stream.encode(None))


@pytest.fixture
async def relay() -> AsyncIterator[TestRelay]:
    """A WHIP peer."""
    async with running_relays(1) as relays:
        yield relays[0]


async def test_h264_and_opus_pass_as_they_are(tmp_path: Path) -> None:
    """MP4's length prefixes become Annex B start codes; nothing is decoded."""
    source = FileSource(str(write_film(tmp_path / "film.mp4", seconds=1, video="libx264", audio="libopus")))
    assert source.encoded == {"audio", "video"}
    picture = await source.next_media("video")
    sound = await source.next_media("audio")
    await source.close()
    assert isinstance(picture, Packet)
    assert isinstance(sound, Packet)
    assert bytes(picture).startswith(b"\0\0\0\1")
    assert picture.is_keyframe


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
async def test_other_codecs_are_decoded(tmp_path: Path, name: str) -> None:
    """B-frames and AAC cannot pass: frames come, 20 ms of stereo at a time."""
    film = write_film(tmp_path / name, seconds=1, video="libx264", audio="aac", b_frames=2)
    source = FileSource(str(film))
    assert source.encoded == set()
    picture = await source.next_media("video")
    sound = await source.next_media("audio")
    await source.close()
    assert isinstance(picture, VideoFrame)
    assert isinstance(sound, AudioFrame)
    assert sound.samples == 960


async def test_a_film_ends_once_for_each_kind(tmp_path: Path) -> None:
    """All pictures come, in order, then None, for ever."""
    source = FileSource(str(write_film(tmp_path / "film.mp4", seconds=0.6, video="libx264", audio="libopus")))
    pictures = []
    while (picture := await source.next_media("video")) is not None:
        pictures.append(picture.pts or 0)
    while await source.next_media("audio") is not None:
        pass
    assert await source.next_media("video") is None
    await source.close()
    assert len(pictures) == 9
    assert pictures == sorted(pictures)


async def test_a_loop_goes_on_with_growing_timestamps(tmp_path: Path) -> None:
    """After the end the film starts again, and time does not."""
    source = FileSource(str(write_film(tmp_path / "film.mp4", seconds=0.4, video="libx264", audio="")), loop=True)
    stamps = []
    for _ in range(20):
        media = await source.next_media("video")
        assert media is not None
        stamps.append(media.pts or 0)
    await source.close()
    steps = {later - earlier for earlier, later in pairwise(stamps)}
    assert min(steps) > 0
    assert max(steps) < 90_000 / FPS * 1.5


async def test_a_film_is_published_without_encoding(tmp_path: Path, relay: TestRelay) -> None:
    """The relay's side decodes the film's own timecodes, and the film's end ends the publication."""
    film = write_film(tmp_path / "film.mp4", seconds=3, video="libx264", audio="libopus")
    summary = await asyncio.wait_for(publish(open_source(str(film)), [f"{relay.base_url}/c/program/whip"], "t"), 20)
    seen = [relay.timecodes.get_nowait() for _ in range(relay.timecodes.qsize())]
    assert len(seen) > 35
    assert seen[0].frame_number < 5
    assert all(timecode.at_ms < 1_700_000_010_000 for timecode in seen)
    assert relay.sounds > 100
    assert summary.connections == 1


@pytest.mark.parametrize(
    ("name", "code"), [("nowhere.mp4", "bad_source"), ("text.mp4", "bad_source"), ("v4l2:/dev/video99", "bad_source")]
)
def test_a_bad_source_says_so(tmp_path: Path, name: str, code: str) -> None:
    """A missing file, a file that is no film, and a missing device."""
    (tmp_path / "text.mp4").write_text("không phải phim")
    with pytest.raises(PublishError) as caught:
        open_source(name if ":" in name else str(tmp_path / name))
    assert caught.value.code == code


def test_subtitles_alone_are_no_media(tmp_path: Path) -> None:
    """A file that opens but carries neither picture nor sound."""
    film = tmp_path / "words.srt"
    film.write_text("1\n00:00:00,000 --> 00:00:01,000\nXin chào\n")
    with pytest.raises(PublishError) as caught:
        open_source(str(film))
    assert caught.value.code == "no_media"
