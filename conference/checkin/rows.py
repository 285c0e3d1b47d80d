"""The rows of delegates: 36 bytes for each number of a conference, in blocks that a snapshot can take as they are.

A snapshot takes references to the blocks; `put` copies a block before it changes one that was taken, so that no moment
pays for two and a half million rows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from bridges.checkin_messages import CheckinMethod, MarkKind

MAX_NUMBER = 9_999_999  # seven digits are typed at the door; four times the largest conference
MAX_ISSUE = 255  # of codes for one delegate: it is one byte of the code
BLOCK_ROWS = 4_096  # 147 kB, copied in some 20 µs

# In the order in which of two marks of one moment the later counts; the code 0 is for no mark.
MARKS: Final[tuple[MarkKind, ...]] = ("none", "exempt", "excused", "unexcused", "void", "present")
METHODS: Final[tuple[CheckinMethod, ...]] = get_args(CheckinMethod)
MARK_CODES: Final[dict[MarkKind, int]] = {mark: code for code, mark in enumerate(MARKS, 1)}
METHOD_CODES: Final[dict[CheckinMethod, int]] = {method: code for code, method in enumerate(METHODS, 1)}

_ROW = struct.Struct("<iiqqqBBBB")
ROW_BYTES = _ROW.size
BLOCK_BYTES = BLOCK_ROWS * ROW_BYTES
_DTYPE = np.dtype(
    [
        ("hall", "<i4"),
        ("scan_hall", "<i4"),
        ("at_ms", "<i8"),
        ("nonce", "<i8"),
        ("mark_at_ms", "<i8"),
        ("method", "u1"),
        ("mark", "u1"),
        ("issue", "u1"),
        ("withdrawn", "u1"),
    ]
)

RowArray = np.ndarray[Any, np.dtype[np.void]]


class Row(NamedTuple):
    """What is kept of one delegate; all zero for a number that nobody has.

    Attributes:
        hall: place of the hall whose roster they are on, 0 for none.
        scan_hall: place of the hall of the least scan, 0 for no scan.
        at_ms: time of that scan.
        nonce: of that scan.
        mark_at_ms: time of the latest mark.
        method: of the scan, as in `METHOD_CODES`.
        mark: the latest, as in `MARK_CODES`; 0 for none.
        issue: which code is good.
        withdrawn: 1 for who is on no roster any more.
    """

    hall: int
    scan_hall: int
    at_ms: int
    nonce: int
    mark_at_ms: int
    method: int
    mark: int
    issue: int
    withdrawn: int


NO_ROW = Row(0, 0, 0, 0, 0, 0, 0, 0, 0)


class CheckinRows:
    """Rows by number."""

    __slots__ = ("_blocks", "_taken")

    def __init__(self) -> None:
        self._blocks: dict[int, bytearray] = {}
        self._taken: set[int] = set()

    @classmethod
    def of(cls, blocks: dict[int, bytearray]) -> CheckinRows:
        """The rows of these blocks, which become theirs.

        Raises:
            ValueError: a block has another size or place.
        """
        if any(len(block) != BLOCK_BYTES for block in blocks.values()):
            raise ValueError("a block of check-ins has another size")
        if any(not 0 <= index <= MAX_NUMBER // BLOCK_ROWS for index in blocks):
            raise ValueError("a block of check-ins is for numbers that nobody can have")
        rows = cls()
        rows._blocks = blocks
        return rows

    def get(self, number: int) -> Row:
        """The row of a number."""
        block = self._blocks.get(number // BLOCK_ROWS)
        if block is None:
            return NO_ROW
        return Row._make(_ROW.unpack_from(block, number % BLOCK_ROWS * ROW_BYTES))

    def put(self, number: int, row: Row) -> None:
        """Replace the row of a number of at most `MAX_NUMBER`."""
        _ROW.pack_into(self._writable(number // BLOCK_ROWS), number % BLOCK_ROWS * ROW_BYTES, *row)

    def some(self, numbers: npt.NDArray[np.int64]) -> tuple[RowArray, npt.NDArray[np.int64]] | None:
        """The block in which all of these numbers are, only to be read, and their places there; None without one."""
        index = int(numbers[0]) // BLOCK_ROWS
        block, places = self._blocks.get(index), numbers - index * BLOCK_ROWS
        if block is None or places.min() < 0 or places.max() >= BLOCK_ROWS:
            return None
        return view(block), places

    def changing(self, number: int) -> RowArray:
        """The block of a number, to be changed in place."""
        return view(self._writable(number // BLOCK_ROWS))

    def pieces(self, first: int, count: int) -> Iterator[tuple[int, RowArray]]:
        """Rows of consecutive numbers, to be changed in place: the first number of each piece, and its rows."""
        number, end = first, first + count
        while number < end:
            low = number % BLOCK_ROWS
            high = min(BLOCK_ROWS, low + end - number)
            yield number, view(self._writable(number // BLOCK_ROWS))[low:high]
            number += high - low

    def peek(self, first: int, count: int) -> Iterator[RowArray | None]:
        """Rows of consecutive numbers, only to be read; None for a piece in which nobody ever had a row."""
        for index in range(first // BLOCK_ROWS, (first + count - 1) // BLOCK_ROWS + 1):
            block, start = self._blocks.get(index), index * BLOCK_ROWS
            low, high = max(first - start, 0), min(first + count - start, BLOCK_ROWS)
            yield None if block is None else view(block)[low:high]

    def blocks(self) -> Iterator[tuple[int, RowArray]]:
        """All rows, only to be read: the number of the first of each block, and the block; in ascending order."""
        for index in sorted(self._blocks):
            yield index * BLOCK_ROWS, view(self._blocks[index])

    def take(self) -> dict[int, bytearray]:
        """The blocks as they are now; nothing here changes them from now on."""
        self._taken = set(self._blocks)
        return dict(self._blocks)

    def _writable(self, index: int) -> bytearray:
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = bytearray(BLOCK_BYTES)
        elif index in self._taken:
            self._taken.discard(index)
            block = self._blocks[index] = bytearray(block)
        return block


def view(block: bytearray) -> RowArray:
    """A block as an array of rows with named fields, over the same bytes."""
    return np.frombuffer(block, dtype=_DTYPE)
