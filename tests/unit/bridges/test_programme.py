import asyncio
from itertools import pairwise

import numpy as np
import pytest
from av import AudioFrame, VideoFrame

from bridges.decoding import luma_of
from bridges.errors import PublishError
from bridges.lettering import Lettering
from bridges.programme import SAMPLE_RATE, Picture, Programme, tone_of_a_second
from bridges.timecode import Timecode, read_timecode


@pytest.mark.parametrize(("width", "height"), [(640, 360), (1280, 720), (642, 240)])
def test_a_picture_carries_its_time(width: int, height: int) -> None:
    """At every size the timecode reads back from the frame itself."""
    frame = Picture(width, height).draw(1_700_000_012_345, 99)
    assert (frame.width, frame.height) == (width, height)
    assert read_timecode(luma_of(frame)) == Timecode(at_ms=1_700_000_012_345, frame_number=99)


def test_a_picture_moves() -> None:
    """Two frames half a second apart differ in clock, counter, grain and bar."""
    picture = Picture(640, 360)
    one = luma_of(picture.draw(1_700_000_000_000, 1)).copy()
    two = luma_of(picture.draw(1_700_000_000_500, 16)).copy()
    for rows in (slice(64, 130), slice(140, 180), slice(200, 360)):
        assert not np.array_equal(one[rows], two[rows])


@pytest.mark.parametrize(("width", "height", "fps"), [(320, 360, 30), (640, 100, 30), (641, 360, 30), (640, 360, 60)])
def test_a_programme_of_a_wrong_size_is_refused(width: int, height: int, fps: int) -> None:
    """Too small for the timecode, odd, or too fast for the encoder."""
    with pytest.raises(PublishError) as caught:
        Programme(width=width, height=height, fps=fps)
    assert caught.value.code == "bad_size"


def test_the_second_begins_with_a_beep() -> None:
    """The first tenth is loud, the rest soft, and the table repeats without a click."""
    sound = tone_of_a_second().astype(np.int32)
    assert sound.size == SAMPLE_RATE
    assert np.abs(sound[: SAMPLE_RATE // 10]).max() > 4 * np.abs(sound[SAMPLE_RATE // 10 :]).max()
    assert abs(sound[0] - sound[-1]) < 200


async def test_frames_come_when_they_are_due() -> None:
    """Ten frames of 25 a second and twenty pieces of sound take 0.4 s, with timestamps to match."""
    programme = Programme(fps=25)
    clock = asyncio.get_running_loop().time
    began = clock()

    async def pictures() -> list[int]:
        frames = [await programme.next_media("video") for _ in range(10)]
        assert all(isinstance(frame, VideoFrame) for frame in frames)
        return [frame.pts or 0 for frame in frames if frame is not None]

    async def sounds() -> list[int]:
        frames = [await programme.next_media("audio") for _ in range(20)]
        assert all(isinstance(frame, AudioFrame) and frame.samples == 960 for frame in frames)
        return [frame.pts or 0 for frame in frames if frame is not None]

    video, audio = await asyncio.gather(pictures(), sounds())
    assert 0.34 < clock() - began < 2
    assert {b - a for a, b in pairwise(video)} >= {3600}
    assert {b - a for a, b in pairwise(audio)} >= {960}


async def test_a_programme_that_was_held_up_goes_on_from_now() -> None:
    """After a pause of half a second the next frame is the one that is due, not the one that was."""
    programme = Programme(fps=20)
    first = await programme.next_media("video")
    await asyncio.sleep(0.5)
    after = await programme.next_media("video")
    assert first is not None
    assert after is not None
    assert (after.pts or 0) - (first.pts or 0) >= 9 * 4500


def test_letters_are_cut_off_at_the_edge() -> None:
    """What does not fit is left out, and nothing is written outside."""
    luma = np.zeros((20, 40), dtype=np.uint8)
    Lettering(2, ink=255, paper=1).draw(luma, "0123456789", left_px=4, top_px=2)
    assert luma[:, 4:40].max() == 255
    assert luma[:, :4].max() == 0
    Lettering(8, ink=255, paper=1).draw(luma, "0", left_px=0, top_px=0)
