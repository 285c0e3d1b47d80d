"""Sixteen-bit RTP sequence numbers as integers that only grow (RFC 3550 appendix A.1, RFC 3711 section 3.3.1)."""

from __future__ import annotations

_MODULUS = 1 << 16
_HALF = 1 << 15


def is_newer(a: int, b: int) -> bool:
    """Tell whether sequence number `a` follows `b`, on the shorter way around the circle of 65,536.

    Equal numbers are not newer. Exactly half a circle apart, the greater number counts as the newer one, so that
    of two different numbers exactly one is newer.
    """
    distance = (a - b) & 0xFFFF
    if distance == _HALF:
        return a > b
    return 0 < distance < _HALF


class SequenceUnwrapper:
    """Turns sequence numbers into indexes: the number plus 65,536 for every wrap before it.

    The first number is its own index. A number is taken to be the one nearest to the highest index so far, so
    reordering across the wrap is told from a new round. An index is never negative: a packet that would come before
    index 0 (older than the first one, across a wrap) gets index 0, so it looks like an old packet and is treated
    as one; there its low 16 bits are not its number.
    """

    __slots__ = ("_highest",)

    def __init__(self) -> None:
        self._highest = -1

    @property
    def highest(self) -> int:
        """The highest index so far; -1 before the first number."""
        return self._highest

    def unwrap(self, sequence_number: int) -> int:
        """Give the index of a 16-bit sequence number and remember it when it is the highest."""
        if self._highest < 0:
            self._highest = sequence_number
            return sequence_number
        step = (sequence_number - self._highest) & 0xFFFF
        if step < _HALF:
            self._highest += step
            return self._highest
        return max(0, self._highest + step - _MODULUS)
