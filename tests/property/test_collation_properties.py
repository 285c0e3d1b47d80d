"""Vietnamese order is a total order that agrees with folding, and search finds every hall by its own name."""

from __future__ import annotations

import unicodedata
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bridges.collation import collation_key
from bridges.directory import HallDirectory, Question, words_of
from bridges.halls import Hall
from bridges.tables import fold

LETTERS = "aàảãáạăằẳẵắặâầẩẫấậbcdđeèẻẽéẹêềểễếệghiìỉĩíịklmnoòỏõóọôồổỗốộơờởỡớợpqrstuùủũúụưừửữứựvxyỳỷỹýỵ"
VIETNAMESE = st.text(LETTERS + LETTERS.upper() + " 0123456789-", max_size=12)
ANYTHING = st.one_of(VIETNAMESE, st.text(max_size=12))


@given(ANYTHING, ANYTHING)
def test_only_equal_texts_have_equal_keys(left: str, right: str) -> None:
    """Equal means: of the same letters, in whatever form; and then they fold alike."""
    same = unicodedata.normalize("NFC", left) == unicodedata.normalize("NFC", right)
    assert (collation_key(left) == collation_key(right)) == same
    if same:
        assert fold(left) == fold(right)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_the_order_is_total(first: str, second: str, third: str) -> None:
    """Of any two texts one stands before the other, and three never stand in a circle."""
    keys = sorted(collation_key(text) for text in (first, second, third))
    assert keys[0] <= keys[1] <= keys[2]
    assert keys[0] <= keys[2]


@given(ANYTHING)
def test_composed_and_decomposed_are_one(text: str) -> None:
    """A name typed on another system stands at the same place."""
    forms = {collation_key(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert len(forms) == 1


@given(st.text(LETTERS, min_size=1, max_size=8), st.data())
def test_tones_and_case_decide_only_among_equal_letters(word: str, data: st.DataObject) -> None:
    """A word with other tones and capitals stands beside the word, before every word with greater letters."""
    tones = "\u0300\u0309\u0303\u0301\u0323"
    bare = [
        unicodedata.normalize(
            "NFC", "".join(mark for mark in unicodedata.normalize("NFD", letter) if mark not in tones)
        )
        for letter in word
    ]
    changed = "".join(
        data.draw(st.sampled_from((letter, letter.upper(), letter + data.draw(st.sampled_from(tones)))))
        for letter in bare
    )
    assert collation_key(word)[0] == collation_key(changed)[0]
    assert collation_key(changed) < collation_key("".join(bare) + "a")


@given(st.lists(VIETNAMESE.filter(words_of), min_size=1, max_size=20), st.randoms())
def test_every_hall_is_found_by_its_own_name_without_marks(names: list[str], random: Random) -> None:
    """In any order of its words, and nothing is found that lacks one of them."""
    halls = {
        f"h{number}": Hall(hall_id=f"h{number}", name=name, unit="01", level="base", seats=1)
        for number, name in enumerate(names)
    }
    made = HallDirectory()
    list(made.renew(halls, {}))
    assert made.ordered() == sorted(halls, key=lambda hall_id: (collation_key(halls[hall_id].name), hall_id))
    for hall_id, hall in halls.items():
        words = words_of(hall.name)
        random.shuffle(words)
        asked = " ".join(words)
        found = made.find(Question(asked))
        assert hall_id in found
        for other in found:
            known = words_of(f"{halls[other].name} {other} 01")
            assert asked.isdigit() or all(any(each.startswith(word) for each in known) for word in words)
