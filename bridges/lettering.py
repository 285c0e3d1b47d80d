"""Digits for a test picture: a bitmap of 5x7 dots a character, enlarged. No fonts, no drawing library."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_WIDTH = 5
_HEIGHT = 7
_DOTS: dict[str, str] = {
    "0": ".###. #...# #..## #.#.# ##..# #...# .###.",
    "1": "..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###.",
    "2": ".###. #...# ....# ...#. ..#.. .#... #####",
    "3": "##### ...#. ..#.. ...#. ....# #...# .###.",
    "4": "...#. ..##. .#.#. #..#. ##### ...#. ...#.",
    "5": "##### #.... ####. ....# ....# #...# .###.",
    "6": "..##. .#... #.... ####. #...# #...# .###.",
    "7": "##### ....# ...#. ..#.. .#... .#... .#...",
    "8": ".###. #...# #...# .###. #...# #...# .###.",
    "9": ".###. #...# #...# .#### ....# ...#. .##..",
    ":": "..... ..#.. ..... ..... ..... ..#.. .....",
    ".": "..... ..... ..... ..... ..... .##.. .##..",
    "#": ".#.#. .#.#. ##### .#.#. ##### .#.#. .#.#.",
    " ": "..... ..... ..... ..... ..... ..... .....",
}


class Lettering:
    """Characters pre-rendered at one size; `text` costs one copy per character.

    Args:
        scale_px: samples per dot; a character cell is 6 * scale wide and 7 * scale high.
        ink: luma of the dots.
        paper: luma of the ground.
    """

    def __init__(self, scale_px: int, *, ink: int, paper: int) -> None:
        self._cells: dict[str, npt.NDArray[np.uint8]] = {}
        for character, rows in _DOTS.items():
            dots = np.full((_HEIGHT, _WIDTH + 1), paper, dtype=np.uint8)
            for y, row in enumerate(rows.split()):
                for x, dot in enumerate(row):
                    if dot == "#":
                        dots[y, x] = ink
            self._cells[character] = dots.repeat(scale_px, axis=0).repeat(scale_px, axis=1)
        self.height_px = _HEIGHT * scale_px
        self.advance_px = (_WIDTH + 1) * scale_px

    def draw(self, luma: npt.NDArray[np.uint8], text: str, *, left_px: int, top_px: int) -> None:
        """Write `text` (digits, `:`, `.`, `#` and spaces) into a luma plane, in place; what does not fit is cut off.

        Raises:
            KeyError: a character that has no bitmap.
        """
        left = left_px
        for character in text:
            cell = self._cells[character]
            if left + self.advance_px > luma.shape[1] or top_px + self.height_px > luma.shape[0]:
                return
            luma[top_px : top_px + self.height_px, left : left + self.advance_px] = cell
            left += self.advance_px
