import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridges.timecode import Timecode, draw_timecode, read_timecode


@given(
    at_ms=st.integers(0, (1 << 48) - 1),
    frame_number=st.integers(0, (1 << 24) - 1),
    seed=st.integers(0, 2**32 - 1),
    width=st.sampled_from([640, 768, 1280, 1920]),
)
def test_a_drawn_timecode_is_read_back_through_noise(at_ms: int, frame_number: int, seed: int, width: int) -> None:
    """Whatever is drawn is read, also when every sample is disturbed by up to 40."""
    luma = np.full((360, width), 90, dtype=np.uint8)
    draw_timecode(luma, at_ms, frame_number)
    noise = np.random.default_rng(seed).integers(-40, 41, luma.shape)
    noisy = np.clip(luma.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    assert read_timecode(noisy) == Timecode(at_ms=at_ms, frame_number=frame_number)


@given(seed=st.integers(0, 2**32 - 1))
def test_a_picture_without_a_timecode_reads_as_none(seed: int) -> None:
    """Random grey pictures never look like a timecode."""
    luma = np.random.default_rng(seed).integers(0, 256, (360, 640)).astype(np.uint8)
    assert read_timecode(luma) is None


@given(at_ms=st.integers(0, (1 << 48) - 1), bit=st.integers(0, 79))
def test_one_turned_cell_is_noticed(at_ms: int, bit: int) -> None:
    """The CRC finds every single wrong bit."""
    luma = np.full((360, 640), 90, dtype=np.uint8)
    draw_timecode(luma, at_ms, 7)
    row, column = divmod(bit, 40)
    cell = luma[16 + 16 * row : 32 + 16 * row, 16 * column : 16 * column + 16]
    cell[:] = np.where(cell > 128, 16, 235)
    assert read_timecode(luma) is None


@given(data=st.data())
def test_reading_never_raises(data: st.DataObject) -> None:
    """Any plane of any size reads as a timecode or as none."""
    shape = (data.draw(st.integers(0, 70)), data.draw(st.integers(0, 700)))
    luma = np.full(shape, data.draw(st.integers(0, 255)), dtype=np.uint8)
    assert read_timecode(luma) is None
