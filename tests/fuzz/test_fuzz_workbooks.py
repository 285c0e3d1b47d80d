"""Tables from workbooks: hostile ones end as typed errors, written ones come back."""

from __future__ import annotations

import unicodedata
from contextlib import suppress

from fuzz_xlsx import COLUMNS, MAIN, fuzz_one
from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.errors import ImportFailedError
from bridges.tables import Faults, parse_table
from bridges.xlsx_writing import Sheet, serialize_workbook

HEAD = b'<worksheet xmlns="%s"><sheetData><row r="1"><c r="A1" t="str"><v>code</v></c></row>' % MAIN.encode()
VALUES = st.sampled_from(
    (b"", b"1", b"12.0", b"1e308", b"-1", b"nan", b"x", b"2958466", b"0.5", b"99999999999999999999")
)
KINDS = st.sampled_from((b"", b' t="s"', b' t="b"', b' t="e"', b' t="d"', b' t="str"', b' t="?"'))
STYLES = st.sampled_from((b"", b' s="0"', b' s="1"', b' s="2"', b' s="99999"', b' s="-1"', b' s="x"'))
PLACES = st.sampled_from((b"", b' r="A2"', b' r="B9"', b' r="XFD1"', b' r="ZZZZ1"', b' r="2"', b' r="a3"'))
FORMULAS = st.sampled_from((b"", b"<f>1+1</f>", b"<f/>"))
CELLS = st.builds(
    lambda place, kind, style, formula, value: b"<c%s%s%s>%s<v>%s</v></c>" % (place, kind, style, formula, value),
    PLACES,
    KINDS,
    STYLES,
    FORMULAS,
    VALUES,
)
ROWS = st.builds(
    lambda number, cells: b"<row%s>%s</row>" % (number, b"".join(cells)),
    st.sampled_from((b"", b' r="2"', b' r="1048577"', b' r="0"', b' r="x"')),
    st.lists(CELLS, max_size=4),
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=40)


@given(st.lists(ROWS, max_size=6), st.sampled_from((b"", b"</sheetData></worksheet>", b"</c>")))
@settings(max_examples=150)
def test_any_sheet_reads_or_is_refused_as_typed(found: list[bytes], end: bytes) -> None:
    """Cells of every kind at every place, in sheets that end well or badly, raise nothing but `ImportFailedError`."""
    fuzz_one(HEAD + b"".join(found) + end)


@given(st.binary(max_size=300))
@settings(max_examples=100)
def test_any_archive_reads_or_is_refused_as_typed(tail: bytes) -> None:
    """What only begins as an archive does raises nothing but `ImportFailedError`."""
    with suppress(ImportFailedError):
        list(parse_table(b"PK" + tail, COLUMNS, Faults()))


@given(st.lists(TEXTS, min_size=1, max_size=8))
@settings(max_examples=50)
def test_what_is_written_comes_back(texts: list[str]) -> None:
    """Any printable text in a cell is the same after a workbook was written and read, in Unicode's composed form."""
    data = serialize_workbook([Sheet(name="a", headings=["mã", "tên"], rows=[("c", text) for text in texts])])
    faults = Faults()
    again = [row.cells["name"] for row in parse_table(data, COLUMNS, faults)]
    assert not faults.errors
    assert again == [normalized(text) for text in texts]


def normalized(text: str) -> str:
    """Composed, as everything that is imported."""
    return unicodedata.normalize("NFC", text)
