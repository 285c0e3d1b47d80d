"""Vietnamese alphabetical order, by the rules of CLDR for `vi`."""

from __future__ import annotations

import unicodedata

import pytest

from bridges.collation import collation_key, person_key

ORDERED = [
    # Each letter of the alphabet is one of its own, whatever its tone.
    ["a", "ạ", "ă", "ặ", "â", "ậ", "b", "c", "d", "đ", "e", "ẹ", "ê", "ệ", "g"],
    ["o", "ọ", "ô", "ộ", "ơ", "ợ", "p", "u", "ụ", "ư", "ự", "v"],
    # ngang, huyền, hỏi, ngã, sắc, nặng
    ["ma", "mà", "mả", "mã", "má", "mạ", "mai"],
    # Tones decide only where all letters are equal.
    ["Hà Nam", "Hà Nội", "Ha Tây", "Hà Tĩnh"],
    ["Đà Nẵng", "Đắk Lắk", "Điện Biên", "Đồng Nai", "Đồng Tháp"],
    # Small letters first, then capitals.
    ["an", "An", "AN", "àn"],
    # Numbers by value, spaces and signs before digits before letters, other scripts last.
    ["Điểm cầu 2", "Điểm cầu 02", "Điểm cầu 10", "Điểm cầu 10a"],
    ["", "-a", "1a", "a", "a b", "a-b", "a1", "ab", "f", "z", "я", "中"],
]


@pytest.mark.parametrize("names", ORDERED, ids=" < ".join)
def test_names_stand_in_this_order(names: list[str]) -> None:
    """However they were mixed before, and whatever the form of their letters."""
    assert sorted(set(names), key=collation_key) == names
    decomposed = [unicodedata.normalize("NFD", name) for name in names]
    assert sorted(set(decomposed), key=collation_key) == decomposed


def test_people_stand_by_their_given_name() -> None:
    """Which is the last word; family names decide where that is equal."""
    names = ["Nguyễn Văn An", "Trần Thị An", "Lê Hoàng Ân", "Bùi Bình", "Phạm Đức"]
    assert sorted(set(names), key=person_key) == names
