"""Tables from workbooks: what a person sees in the cells is what is read, and what is hostile ends as a typed error."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import xlsxwriter
from python_calamine import load_workbook
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from bridges.errors import ImportFailedError
from bridges.tables import Column, Faults, parse_table
from bridges.xlsx_writing import Sheet, serialize_workbook

COLUMNS = (
    Column("code", ("mã", "code")),
    Column("name", ("tên", "name")),
    Column("seats", ("số đại biểu", "seats"), required=False),
    Column("", ("stt",), required=False),
)
CONTENT_TYPES = "[Content_Types].xml"
SHEET = "xl/worksheets/sheet1.xml"
NAMESPACE = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def rows(data: bytes, sheet: str = "") -> list[tuple[int, str, str, str]]:
    """Number, code, name and seats of each row; faults raise."""
    faults = Faults()
    found = list(parse_table(data, COLUMNS, faults, sheet=sheet))
    faults.raise_if_any("rows")
    return [(row.number, row.cells["code"], row.cells["name"], row.cells["seats"]) for row in found]


def failure(data: bytes) -> ImportFailedError:
    """How the import fails."""
    with pytest.raises(ImportFailedError) as caught:
        rows(data)
    return caught.value


def workbook(fill: Callable[[Workbook, Worksheet], None], *, bare: bool = False) -> bytes:
    """A workbook with one sheet, which has headings unless it is `bare`."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet("Điểm cầu")
    if not bare:
        sheet.write_row(0, 0, ["Mã", "Tên", "Số đại biểu"])
    fill(book, sheet)
    book.close()
    return out.getvalue()


def repacked(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """A workbook with its parts changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after:
        for info in before.infolist():
            after.writestr(info.filename, change(info.filename, before.read(info)))
    return out.getvalue()


def with_sheet(xml: bytes) -> bytes:
    """A workbook whose sheet is this XML."""
    plain = workbook(lambda _book, _sheet: None)
    return repacked(plain, lambda name, part: xml if name == SHEET else part)


def sheet_xml(inside: bytes) -> bytes:
    """A sheet with headings as inline texts and these rows."""
    heads = b"".join(
        b'<c r="%c1" t="inlineStr"><is><t>%s</t></is></c>' % (65 + number, name)
        for number, name in enumerate((b"code", b"name", b"seats"))
    )
    return (
        b"<worksheet xmlns='"
        + NAMESPACE
        + b"'><sheetData><row r='1'>"
        + heads
        + b"</row>"
        + inside
        + b"</sheetData></worksheet>"
    )


def test_cells_read_as_a_person_sees_them() -> None:
    """Whole numbers, leading zeros, dates, booleans, fractions and results of formulas are as the spreadsheet shows."""

    def fill(book: Workbook, sheet: Worksheet) -> None:
        zeros, day = book.add_format({"num_format": "00"}), book.add_format({"num_format": "dd/mm/yyyy"})
        moment = book.add_format({"num_format": '[$-42A]h:mm "ngày" d/m/yyyy'})
        number = book.add_format({"num_format": '#,##0 "đại biểu"'})
        sheet.write_number(1, 0, 1, zeros)
        sheet.write_datetime(1, 1, datetime(2025, 7, 1, tzinfo=UTC).replace(tzinfo=None), day)
        sheet.write_number(1, 2, 12.0)
        sheet.write_string(2, 0, "01")
        sheet.write_datetime(2, 1, datetime(2026, 2, 7, 8, 30, tzinfo=UTC).replace(tzinfo=None), moment)
        sheet.write_formula(2, 2, "=C2*2", None, 24)
        sheet.write_number(3, 0, 4)
        sheet.write_formula(3, 1, '="a"&"b"', None, "ab")
        sheet.write_number(3, 2, 1250, number)
        sheet.write_boolean(4, 0, True)  # noqa: FBT003 - as XlsxWriter has it
        sheet.write_number(4, 1, 0.1 + 0.2)
        sheet.write_rich_string(4, 2, book.add_format({"bold": True}), "6", "0")

    assert rows(workbook(fill)) == [
        (2, "01", "2025-07-01", "12"),
        (3, "01", "2026-02-07 08:30", "24"),
        (4, "4", "ab", "1250"),
        (5, "1", "0.3", "60"),
    ]


def test_titles_above_two_rows_of_headings_and_rows_left_empty() -> None:
    """A title over all columns, headings of which one spans two columns, and empty rows with a style, do no harm."""

    def fill(book: Workbook, sheet: Worksheet) -> None:
        bold = book.add_format({"bold": True})
        sheet.merge_range(0, 0, 0, 3, "DANH SÁCH ĐIỂM CẦU", bold)
        sheet.merge_range(2, 0, 3, 0, "STT", bold)
        sheet.merge_range(2, 1, 2, 2, "Điểm cầu", bold)
        sheet.merge_range(2, 3, 3, 3, "\ufeffSố đại biểu", bold)
        sheet.write_row(3, 1, ["Mã", "Tên"])
        sheet.write_row(4, 0, [1, "a", "Một", 60])
        sheet.write_row(7, 0, [2, "b", "Hai"])
        sheet.write_row(8, 0, ["", "# ghi chú", "không phải điểm cầu"])
        sheet.write_blank(500, 0, None, bold)
        sheet.write_blank(1_048_575, 16_383, None, bold)

    assert rows(workbook(fill, bare=True)) == [(5, "a", "Một", "60"), (8, "b", "Hai", "")]


def test_the_first_shown_sheet_or_the_one_that_is_named() -> None:
    """A hidden sheet is not taken for the first; a name is compared as headings are."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    for name, code in (("Ẩn", "hidden"), ("Một", "first"), ("Tỉnh khác", "second")):
        sheet = book.add_worksheet(name)
        sheet.write_row(0, 0, ["code", "name"])
        sheet.write_row(1, 0, [code, "x"])
    book.worksheets()[1].activate()
    book.worksheets()[1].set_first_sheet()
    book.worksheets()[0].hide()
    book.close()
    assert rows(out.getvalue())[0][1] == "first"
    assert rows(out.getvalue(), "tinh khac")[0][1] == "second"
    with pytest.raises(ImportFailedError) as caught:
        rows(out.getvalue(), "Ba")
    assert caught.value.code == "no_sheet"
    assert "Tỉnh khác" in caught.value.errors[0].reason_vi


def test_formulas_that_failed_are_faults() -> None:
    """`#N/A` is nobody's name."""
    error = failure(
        with_sheet(
            sheet_xml(
                b'<row r="2"><c r="A2" t="inlineStr"><is><t>a</t></is></c><c r="B2" t="e"><f>X</f><v>#N/A</v></c></row>'
            )
        )
    )
    assert [(fault.row, fault.column, fault.value) for fault in error.errors] == [
        (2, "name", "#N/A"),
    ]


def test_what_is_written_reads_back() -> None:
    """Texts that look like formulas, numbers, errors or escapes come back as they were; numbers can be summed."""
    texts = ["01", "=1+1", "'=1+1", "+84 912", "#N/A", "_x000D_", "a & <b>", "1e5", "x" * 300, "Đà Nẵng"]
    written = [(f"c{number}", text, number) for number, text in enumerate(texts)]
    data = serialize_workbook([Sheet(name="Điểm cầu", headings=["mã", "tên", "seats"], rows=written)])
    assert [row[1:] for row in rows(data)] == [(code, text, str(number)) for code, text, number in written]


BOMB = b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;'>]>" + sheet_xml(
    b"<row><c><v>&b;</v></c></row>"
)
PLAIN = workbook(lambda _book, sheet: sheet.write_row(1, 0, ["a", "Một", 60]))
HOSTILE = {
    "an XML bomb": (with_sheet(BOMB), "malformed"),
    "not XML": (with_sheet(b"{}"), "malformed"),
    "an encoding that nobody knows": (with_sheet(b"<?xml version='1.0' encoding='x-none'?><a/>"), "malformed"),
    "a row that is no number": (with_sheet(sheet_xml(b'<row r="2x"/>')), "malformed"),
    "a row beyond the last": (with_sheet(sheet_xml(b'<row r="9999999"/>')), "too_large"),
    "a cell without column": (with_sheet(sheet_xml(b'<row r="2"><c r="22"/></row>')), "malformed"),
    "infinity": (with_sheet(sheet_xml(b'<row r="2"><c r="A2"><v>1e999</v></c></row>')), "malformed"),
    "no number": (with_sheet(sheet_xml(b'<row r="2"><c r="A2"><v>x</v></c></row>')), "malformed"),
    "no such shared string": (with_sheet(sheet_xml(b'<row r="2"><c r="A2" t="s"><v>77</v></c></row>')), "malformed"),
    "a million columns": (
        with_sheet(sheet_xml(b'<row r="2">' + b"<c><v>1</v></c>" * 1_000_000 + b"</row>")),
        "too_large",
    ),
    "the last column": (with_sheet(sheet_xml(b'<row r="2"><c r="XFD2"><v>1</v></c></row>')), "too_large"),
    "a long cell": (with_sheet(sheet_xml(b'<row><c t="str"><v>' + b"x" * 5_000 + b"</v></c></row>")), "too_large"),
    "a token without end": (with_sheet(sheet_xml(b"<row " + b"a" * 4_000_000)), "too_large"),
    "cut off": (PLAIN[:-200], "malformed"),
    "cut in the middle": (PLAIN[: len(PLAIN) // 2], "malformed"),
    "no archive": (b"PK\x03\x04" + b"\0" * 100, "malformed"),
    "an empty archive": (b"PK\x05\x06" + b"\0" * 18, "malformed"),
    "not a workbook": (repacked(PLAIN, lambda name, part: b"" if name != CONTENT_TYPES else part), "malformed"),
    "an old workbook, or a password": (bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 512, "old_format"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_workbook_is_refused(name: str) -> None:
    """Whatever is wrong with a workbook ends in `ImportFailedError` with a code that says what."""
    data, code = HOSTILE[name]
    assert failure(data).code == code


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    """Neither the size that is declared nor the one that is hidden behind a false one is unpacked beyond the bound."""
    declared = repacked(PLAIN, lambda name, part: b" " * (300 * 1024 * 1024) if name == SHEET else part)
    assert len(declared) < 1024 * 1024
    assert failure(declared).code == "too_large"
    size = struct.pack("<L", 300 * 1024 * 1024)
    assert size in declared
    lying = declared.replace(size, struct.pack("<L", 1_000))
    assert failure(lying).code in {"too_large", "malformed"}


def test_an_archive_of_very_many_parts_is_refused() -> None:
    """The directory of an archive is counted before it is read."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(1_100):
            archive.writestr(f"{number}", b"")
    assert failure(out.getvalue()).code == "too_large"


@pytest.mark.parametrize("at", range(0, len(PLAIN), 97))
def test_a_byte_that_is_wrong_is_no_crash(at: int) -> None:
    """A workbook with one byte changed reads, or is refused as typed."""
    broken = bytearray(PLAIN)
    broken[at] ^= 0x5A
    with suppress(ImportFailedError):
        rows(bytes(broken))


def test_another_reader_sees_the_same_cells() -> None:
    """What python-calamine reads from a workbook of ours is what we read."""
    written = [("01", "Hà Nội", 7), ("02", "=1+1", 0), ("03", "_x0041_ & <b>", 12)]
    data = serialize_workbook([Sheet(name="a", headings=["mã", "tên", "seats"], rows=written)])
    others = load_workbook(io.BytesIO(data)).get_sheet_by_index(0).to_python(skip_empty_area=True)[1:]
    assert [(row[0], row[1], str(int(float(str(row[2]))))) for row in others] == [row[1:] for row in rows(data)]
