"""Sheets to print."""

from __future__ import annotations

import re

from bridges.person import Person
from conference.access import KeyRing
from conference.people.sheets import CARDS_A_PAGE, Card, HallSheet, Poster, render_cards, render_posters

KEYS = KeyRing.generate()


def card(number: int, name: str = "Nguyễn Thị Lan") -> Card:
    """A delegate's card with a code of the right kind."""
    person = Person(
        number=number, hall_id="H1", name=name, position="Bí thư", kind="guest" if number == 2 else "delegate"
    )
    return Card(person=person, code=KEYS.issue_code("hn", number, 0), pin=KEYS.pin("hn", number, 0))


def test_a_card_has_code_name_number_and_pin() -> None:
    """The code is of 37 modules and a quiet zone of four on each side."""
    page = render_cards("Hội nghị", [HallSheet(hall_id="H1", hall_name="Ba Đình", cards=[card(1), card(2)])])
    assert page.count('viewBox="0 0 45 45"') == 2
    assert page.count("Khách mời") == 1
    for text in ("Nguyễn Thị Lan", "<b>1</b>", KEYS.pin("hn", 1, 0), "Ba Đình", "Hội nghị", "Bí thư"):
        assert text in page


def test_each_hall_begins_a_page() -> None:
    """Ten cards a page, no page of two halls."""
    sheets = [
        HallSheet(hall_id="H1", hall_name="A", cards=[card(n) for n in range(1, CARDS_A_PAGE + 2)]),
        HallSheet(hall_id="H2", hall_name="B", cards=[card(99)]),
    ]
    pages = re.findall(r"<section>.*?</section>", render_cards("Hội nghị", sheets), re.DOTALL)
    assert [page.count("<svg") for page in pages] == [CARDS_A_PAGE, 1, 1]
    assert "2/2" in pages[1]


def test_nothing_of_a_roster_is_markup() -> None:
    """Names come from files."""
    page = render_cards("<b>", [HallSheet(hall_id="H1", hall_name="<i>", cards=[card(1, "<script>alert(1)</script>")])])
    assert "<script" not in page
    assert "<i>" not in page
    assert "<title>Mã điểm danh – &lt;b&gt;" in page


def test_a_poster_shows_the_link_of_its_hall_as_a_code() -> None:
    """One page a hall; the link itself is in the code alone."""
    link = "https://hn.example/checkin#hall=" + "x" * 300
    page = render_posters("Hội nghị", [Poster(hall_id=f"H{n}", hall_name=f"Sảnh {n}", link=link) for n in (1, 2)])
    assert page.count("<svg") == page.count('<section class="poster">') == 2
    assert "#hall=" not in page
    assert "Sảnh 2" in page
