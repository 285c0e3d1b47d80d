"""The time of sending inside a payload."""

from benchmarks.support.stamp import stamp_of, stamped


def test_a_stamp_is_found_again() -> None:
    """It takes the last octets, changes no others and no length."""
    payload = bytes(range(40))
    marked = stamped(payload, 1_700_000_000_123_456_789)
    assert (marked[:32], len(marked)) == (payload[:32], 40)
    assert stamp_of(marked) == 1_700_000_000_123_456_789
