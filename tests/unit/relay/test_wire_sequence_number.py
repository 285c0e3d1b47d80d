import pytest

from relay.wire.sequence_number import SequenceUnwrapper, is_newer


@pytest.mark.parametrize(
    ("a", "b", "newer"),
    [
        (1, 0, True),
        (0, 1, False),
        (5, 5, False),
        (0, 65535, True),
        (65535, 0, False),
        (32767, 0, True),
        (32768, 0, True),
        (0, 32768, False),
        (32769, 0, False),
    ],
)
def test_newer_is_the_shorter_way_around(a: int, b: int, *, newer: bool) -> None:
    """A number follows another if it lies less than half a circle ahead; at exactly half, the greater one does."""
    assert is_newer(a, b) is newer


def test_the_first_number_is_its_own_index() -> None:
    """Nothing came before it."""
    unwrapper = SequenceUnwrapper()
    assert unwrapper.highest == -1
    assert unwrapper.unwrap(40000) == 40000
    assert unwrapper.highest == 40000


def test_indexes_grow_over_the_wrap() -> None:
    """After 65535 comes 65536."""
    unwrapper = SequenceUnwrapper()
    assert [unwrapper.unwrap(number) for number in (65534, 65535, 0, 1)] == [65534, 65535, 65536, 65537]


def test_reordering_across_the_wrap_keeps_the_round() -> None:
    """A late packet from before the wrap gets its old index, and the highest stays."""
    unwrapper = SequenceUnwrapper()
    assert [unwrapper.unwrap(number) for number in (65534, 1, 65535, 0)] == [65534, 65537, 65535, 65536]
    assert unwrapper.highest == 65537


def test_an_old_packet_before_the_first_has_a_smaller_index() -> None:
    """Below the first number there is room down to 0."""
    unwrapper = SequenceUnwrapper()
    unwrapper.unwrap(10)
    assert unwrapper.unwrap(7) == 7


def test_an_index_is_never_negative() -> None:
    """A packet from before index 0 looks like the oldest one."""
    unwrapper = SequenceUnwrapper()
    unwrapper.unwrap(3)
    assert unwrapper.unwrap(65530) == 0
    assert unwrapper.highest == 3
    assert unwrapper.unwrap(4) == 4
