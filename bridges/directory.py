"""Finding halls and units by words without marks, in any order, and by code or telephone number. Pure.

`diem cau ba dinh` finds *Điểm cầu Ba Đình*: a word of the question is the beginning of a word that is known of a hall:
its name, code, address, contact, or the name of a unit that it stands under. Telephone numbers are found by any six or
more of their digits in a row, however they are written. Answers stand in the order of `bridges.collation`, first those
with the telephone number, then those whose own name or code has all the words.

Each hall is kept as one line of folded text; a question is looked for in all lines. That is some milliseconds for
40,000 halls; an index of words would cost many times the memory, and work after each change.
"""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Generator, Iterable, Mapping, Sequence

from bridges.collation import CollationKey, collation_key
from bridges.halls import Hall
from bridges.tables import fold
from bridges.units import Unit

# More words than anybody types; the rest of a longer question is not looked at.
MAX_WORDS = 12
MAX_QUESTION_CHARACTERS = 200
# Fewer digits than this are in too many numbers.
LEAST_PHONE_DIGITS = 6
# Halls whose line is made before others may have their turn; some 10 ms.
STEP = 500
_MAX_DEPTH = 64
_WORDS = re.compile(r"[^\W_]+")
_PHONE = re.compile(r"[+(]?[0-9][0-9 ().\-]*")
_FOREIGN_PREFIX = "84"


class Question:
    """What somebody typed.

    Args:
        text: any; only its first `MAX_QUESTION_CHARACTERS` are looked at.

    Attributes:
        is_empty: it has no words, and everything answers it.
    """

    __slots__ = ("_phone", "_words", "is_empty")

    def __init__(self, text: str) -> None:
        text = text[:MAX_QUESTION_CHARACTERS].strip()
        # The longest first: it is in the fewest lines, and the others are looked for in those alone.
        words = sorted(set(words_of(text)), key=len, reverse=True)[:MAX_WORDS]
        self._words = [f" {word}" for word in words]
        digits = phone_digits(text) if _PHONE.fullmatch(text) else ""
        self._phone = digits if len(digits) >= LEAST_PHONE_DIGITS else ""
        self.is_empty = not words

    def answers(self, line: str) -> bool:
        """Whether a line (`line_of`) has all that is asked."""
        return all(word in line for word in self._words) or self.has_phone(line)

    @property
    def is_phone(self) -> bool:
        """Whether it is a telephone number, or enough of one; it may be a code as well."""
        return bool(self._phone)

    def has_phone(self, line: str) -> bool:
        """Whether a line has the telephone number, or the part of one, that is asked for."""
        return bool(self._phone) and self._phone in line

    def among(self, lines: Sequence[str]) -> list[int]:
        """The places of the lines that answer, ascending."""
        found: Iterable[int] = range(len(lines))
        for word in self._words:
            found = [place for place in found if word in lines[place]]
        if not self._phone:
            return list(found)
        by_phone = {place for place, line in enumerate(lines) if self._phone in line}
        return sorted(by_phone.union(found))


def words_of(text: str) -> list[str]:
    """The words of a text, folded: without marks, in lower case."""
    return _WORDS.findall(fold(text))


def line_of(*texts: str, phone: str = "") -> str:
    """What a `Question` is looked for in: each word after a space."""
    words = [word for text in texts for word in words_of(text)]
    digits = phone_digits(phone)
    return "".join(f" {word}" for word in ([*words, digits] if digits else words))


def phone_digits(text: str) -> str:
    """The digits of a telephone number as they are dialled at home: `+84 912…` is `0912…`."""
    digits = "".join(letter for letter in text if letter in "0123456789")
    if digits.startswith(_FOREIGN_PREFIX) and text.lstrip(" (").startswith("+"):
        return f"0{digits[len(_FOREIGN_PREFIX) :]}"
    return digits


def find_units(units: Iterable[Unit], question: Question) -> list[Unit]:
    """Units whose name, kind or code answer a question, by name."""
    found = [unit for unit in units if question.answers(line_of(unit.name, unit.kind, unit.code))]
    return sorted(found, key=lambda unit: (collation_key(unit.name), unit.code))


class HallDirectory:
    """All halls in alphabetical order, and what is known of each as one line.

    It follows a register that changes: `renew` compares halls by identity (they are never changed in place) and makes
    anew what is new.
    """

    __slots__ = ("_entries", "_lines", "_names", "_order", "_places", "_unit_words", "_units")

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._units: dict[str, Unit] = {}
        self._unit_words: dict[str, str] = {}
        self._order: list[str] = []
        self._places: dict[str, int] = {}
        self._lines: list[str] = []
        self._names: list[str] = []

    def renew(self, halls: Mapping[str, Hall], units: Mapping[str, Unit]) -> Generator[None, None, None]:
        """Follow the register, in steps between which others may have their turn; what is asked meanwhile is as before.

        Args:
            halls: by id; read at once.
            units: by code; the same.
        """
        if self._units != units:
            self._entries.clear()
            self._unit_words.clear()
            self._units = dict(units)
        entries: dict[str, _Entry] = {}
        fresh: list[str] = []
        for hall in list(halls.values()):
            entry = self._entries.get(hall.hall_id)
            if entry is None or entry.hall is not hall:
                entry = self._entry(hall)
                fresh.append(hall.hall_id)
                if len(fresh) % STEP == 0:
                    yield
            entries[hall.hall_id] = entry
        yield
        order = self._ordered(entries, fresh)
        yield
        self._entries = entries
        self._order = order
        self._places = {hall_id: place for place, hall_id in enumerate(order)}
        self._lines = [entries[hall_id].line for hall_id in order]
        self._names = [entries[hall_id].own for hall_id in order]

    def ordered(self) -> Sequence[str]:
        """Ids of all halls, by name."""
        return self._order

    def place(self, hall_id: str) -> int:
        """Where a hall stands in `ordered`; -1 for one that is not known."""
        return self._places.get(hall_id, -1)

    def find(self, question: Question) -> list[str]:
        """Ids of the halls that answer a question, best first, then by name."""
        found = question.among(self._lines)
        if question.is_phone:
            best = [place for place in found if question.has_phone(self._lines[place])]
        else:
            best = [found[number] for number in question.among([self._names[place] for place in found])]
        named = set(best)
        return [self._order[place] for place in (*best, *(place for place in found if place not in named))]

    def _ordered(self, entries: Mapping[str, _Entry], fresh: Sequence[str]) -> list[str]:
        """Ids by name; a few that are new or changed are put among the others, which stand in order already."""

        def key_of(hall_id: str) -> tuple[CollationKey, str]:
            return entries[hall_id].key

        if len(fresh) > STEP:
            return sorted(entries, key=key_of)
        moved = set(fresh)
        order = [hall_id for hall_id in self._order if hall_id in entries and hall_id not in moved]
        for hall_id in fresh:
            insort(order, hall_id, key=key_of)
        return order

    def _entry(self, hall: Hall) -> _Entry:
        own = line_of(hall.name, hall.hall_id)
        rest = line_of(hall.address, hall.contact_name, phone=hall.contact_phone)
        line = f"{own}{rest}{self._words_above(hall.unit)}{self._words_above(hall.organisation)}"
        return _Entry(hall, (collation_key(hall.name), hall.hall_id), own, line)

    def _words_above(self, code: str) -> str:
        """The names of a unit and of those above it."""
        words = self._unit_words.get(code)
        if words is None:
            names, above = [code], code
            for _ in range(_MAX_DEPTH):
                unit = self._units.get(above)
                if unit is None:
                    break
                names.append(unit.name)
                above = unit.parent
            words = self._unit_words[code] = line_of(*names)
        return words


class _Entry:
    """What the directory keeps of a hall."""

    __slots__ = ("hall", "key", "line", "own")

    def __init__(self, hall: Hall, key: tuple[CollationKey, str], own: str, line: str) -> None:
        self.hall = hall
        self.key = key
        self.own = own
        self.line = line
