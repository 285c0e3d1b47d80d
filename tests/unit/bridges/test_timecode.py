import numpy as np
import pytest

from bridges.timecode import Timecode, draw_timecode, read_timecode


@pytest.mark.parametrize("colour", [0, 16, 128, 235, 255])
def test_a_plain_picture_carries_no_timecode(colour: int) -> None:
    """Black, grey and white pictures are not mistaken for a clock."""
    assert read_timecode(np.full((360, 640), colour, dtype=np.uint8)) is None


def test_the_frame_number_wraps_at_24_bits() -> None:
    """Only the low 24 bits are drawn."""
    luma = np.zeros((48, 640), dtype=np.uint8)
    draw_timecode(luma, 5, (1 << 24) + 3)
    assert read_timecode(luma) == Timecode(at_ms=5, frame_number=3)


def test_the_strip_leaves_the_rest_of_the_picture_alone() -> None:
    """Only rows 16 to 47 of the first 640 columns change."""
    luma = np.full((360, 800), 77, dtype=np.uint8)
    draw_timecode(luma, 1_700_000_000_000, 1)
    assert (luma[:16] == 77).all()
    assert (luma[48:] == 77).all()
    assert (luma[:, 640:] == 77).all()


@pytest.mark.parametrize("shape", [(47, 640), (360, 639)])
def test_a_picture_that_is_too_small_is_refused(shape: tuple[int, int]) -> None:
    """Drawing into too small a picture is the caller's error; reading it gives none."""
    luma = np.zeros(shape, dtype=np.uint8)
    with pytest.raises(ValueError, match="at least 640x48"):
        draw_timecode(luma, 1, 1)
    assert read_timecode(luma) is None


def test_a_time_outside_48_bits_is_refused() -> None:
    """A negative or too great time cannot be drawn."""
    luma = np.zeros((48, 640), dtype=np.uint8)
    for at_ms in (-1, 1 << 48):
        with pytest.raises(ValueError, match="48 bits"):
            draw_timecode(luma, at_ms, 1)
