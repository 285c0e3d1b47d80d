"""Signs the codes of a whole country into a file, on all cores, before the clock of a benchmark runs."""

from __future__ import annotations

import mmap
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from conference.access import KeyRing

WIDTH = 180  # of one code in the file, spaces after it
_SLICE = 10_000


class IssuedCodes:
    """Codes by number, read from the file as they are asked for."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def code(self, number: int) -> bytes:
        """The digits of a number's code."""
        return self._map[(number - 1) * WIDTH : number * WIDTH].rstrip()

    def close(self) -> None:
        """Give the file up."""
        self._map.close()


def issue(key_file: Path, path: Path, conference_id: str, delegates: int) -> None:
    """Write the first codes (issue 0) of the delegates 1 to `delegates`."""
    starts = range(1, delegates + 1, _SLICE)
    with path.open("wb") as file, ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            pool.submit(_signed, key_file, conference_id, first, min(first + _SLICE, delegates + 1)) for first in starts
        ]
        for job in jobs:
            file.write(job.result())


def _signed(key_file: Path, conference_id: str, first: int, end: int) -> bytes:
    keys = KeyRing.load(key_file)
    return b"".join(keys.issue_code(conference_id, number, 0).encode().ljust(WIDTH) for number in range(first, end))
