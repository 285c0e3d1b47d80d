"""Sheets to print: the codes of a hall's delegates, and the poster at its door. Pure; HTML for A4, Vietnamese first.

No script, nothing loaded, every value escaped. A delegate's code is one decimal number: as digits (numeric mode, error
correction M) it is 37 by 37 modules, which with the quiet zone of four on 42 mm of paper is 0.9 mm a module. A camera
that sees it 240 pixels wide reads it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape

import msgspec
import segno

from bridges.person import Person

# Ten cards fill a page: two columns of five.
CARDS_A_PAGE = 10
_QUIET_MODULES = 4  # ISO/IEC 18004 section 6.3.8

_STYLE = """
:root { color-scheme: light; }
body { font: 10.5pt/1.3 "Times New Roman", "Liberation Serif", serif; color: #000; margin: 0 auto; max-width: 190mm; }
.en { color: #444; font-style: italic; }
section { break-after: page; }
section:last-child { break-after: auto; }
h1 { font-size: 13pt; margin: 0; }
header { height: 14mm; overflow: hidden; }
header p { margin: 0; }
.cards { display: grid; grid-template-columns: 1fr 1fr; }
.card { display: flex; gap: 3mm; height: 50mm; box-sizing: border-box; padding: 3mm; border: .2mm dashed #888;
  break-inside: avoid; overflow: hidden; }
.card svg { width: 42mm; height: 42mm; flex: none; }
.card p { margin: 0 0 .8mm; }
.name { font-size: 13pt; font-weight: bold; }
.number b { font-size: 15pt; }
.pin b { font-size: 13pt; letter-spacing: .5mm; }
.poster { text-align: center; padding-top: 12mm; }
.poster h1 { font-size: 26pt; }
.poster h2 { font-size: 20pt; margin: 4mm 0; }
.poster svg { width: 120mm; height: 120mm; margin: 8mm auto; display: block; }
.poster ol { font-size: 15pt; text-align: left; margin: 0 auto; max-width: 150mm; }
@page { size: A4 portrait; margin: 10mm; }
@media screen { body { padding: 10mm; } }
"""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed for one delegate.

    Attributes:
        person: who, with the number.
        code: digits of the QR code.
        pin: six digits, for typing.
    """

    person: Person
    code: str
    pin: str


class HallSheet(msgspec.Struct, frozen=True, kw_only=True):
    """The cards of one hall, in the order in which they are printed."""

    hall_id: str
    hall_name: str
    cards: Sequence[Card]


class Poster(msgspec.Struct, frozen=True, kw_only=True):
    """The poster of one hall; `link` opens self check-in there and nothing else."""

    hall_id: str
    hall_name: str
    link: str


def content_security_policy() -> str:
    """The strictest policy under which the pages show as meant: their own style by hash, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def render_cards(title: str, sheets: Iterable[HallSheet]) -> str:
    """The codes of halls' delegates, each hall on pages of its own.

    Args:
        title: of the conference.
        sheets: halls with at least one card; about 4 ms a card.
    """
    parts: list[str] = []
    for sheet in sheets:
        pages = -(-len(sheet.cards) // CARDS_A_PAGE)
        for page in range(pages):
            cards = sheet.cards[page * CARDS_A_PAGE : (page + 1) * CARDS_A_PAGE]
            parts.append(
                f"<section><header><h1>{escape(sheet.hall_name)}</h1>"
                f"<p>{escape(title)} · {escape(sheet.hall_id)} · {_both('trang', 'page')} {page + 1}/{pages}</p>"
                f'</header><div class="cards">{"".join(map(_card, cards))}</div></section>'
            )
    return _document(f"Mã điểm danh – {title}", parts)


def render_posters(title: str, posters: Iterable[Poster]) -> str:
    """The posters of halls, a page each."""
    steps = (
        ("Mở máy ảnh của điện thoại và quét mã này.", "Open your phone's camera and scan this code."),
        ("Nhập số đại biểu và mã PIN trên thẻ.", "Enter the number and the PIN of your card."),
        ("Chờ dấu ✓ màu xanh.", "Wait for the green ✓."),
    )
    listed = "".join(f'<li>{escape(vi)}<br><span class="en">{escape(en)}</span></li>' for vi, en in steps)
    parts = [
        f'<section class="poster"><h2>{escape(title)}</h2><h1>{escape(poster.hall_name)}</h1>'
        f'<h2>Điểm danh <span class="en">Check-in</span></h2>{_qr(poster.link)}<ol>{listed}</ol>'
        f"<p>{escape(poster.hall_id)}</p></section>"
        for poster in posters
    ]
    return _document(f"Áp phích điểm danh – {title}", parts)


def _card(card: Card) -> str:
    person = card.person
    guest = f"<p>{_both('Khách mời', 'Invited guest')}</p>" if person.kind == "guest" else ""
    lines = "".join(f"<p>{escape(text)}</p>" for text in (person.position, person.organisation) if text)
    return (
        f'<div class="card">{_qr(card.code)}<div><p class="name">{escape(person.name)}</p>{lines}{guest}'
        f'<p class="number">{_both("Số", "No.")}: <b>{person.number}</b></p>'
        f'<p class="pin">PIN: <b>{escape(card.pin)}</b></p></div></div>'
    )


def _qr(content: str) -> str:
    """A QR code as SVG, scaled by the style; digits alone take the numeric mode by themselves."""
    code = segno.make(content, error="m", micro=False, boost_error=False)
    return str(code.svg_inline(border=_QUIET_MODULES, omitsize=True, svgclass=None, lineclass=None))


def _both(vi: str, en: str) -> str:
    return f'{escape(vi)} <span class="en">({escape(en)})</span>'


def _document(title: str, parts: Sequence[str]) -> str:
    head = f'<meta charset="utf-8">\n<title>{escape(title)}</title>\n<style>{_STYLE}</style>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="vi">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'
