import unicodedata

import pytest

from bridges.errors import ImportFailedError
from bridges.halls import Hall
from bridges.importing import HallUnits, parse_halls, serialize_halls_csv
from bridges.unit_tables import parse_units, serialize_units_csv
from bridges.units import Unit

KNOWN = {
    "01": Unit(code="01", name="Thành phố Hà Nội", kind="thành phố trực thuộc trung ương"),
    "00004": Unit(code="00004", name="Phường Ba Đình", kind="phường", parent="01"),
}
UNITS = HallUnits(KNOWN)
GOOD = "mã,tên,đơn vị,cấp,số đại biểu\nHN-1,Điểm cầu Ba Đình,00004,xã,72\n"
HALL = Hall(hall_id="HN-1", name="Điểm cầu Ba Đình", unit="00004", level="commune", seats=72)


def failure(data: bytes | str) -> ImportFailedError:
    """The error of an import of halls that must fail."""
    with pytest.raises(ImportFailedError) as caught:
        parse_halls(data, UNITS)
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        GOOD.encode(),
        GOOD.encode("utf-8-sig"),
        GOOD.replace(",", ";"),
        GOOD.replace("\n", "\r\n"),
        GOOD + "\n,,,,\n",
        unicodedata.normalize("NFD", GOOD),
        GOOD.upper().replace("HN-1,ĐIỂM CẦU BA ĐÌNH", "HN-1,Điểm cầu Ba Đình"),
        "hall_id,name,unit,level,seats\nHN-1,Điểm cầu  Ba Đình ,00004,commune,72",
        "Seats;Level;Unit;Name;Code\n72;cấp xã;00004;Điểm cầu Ba Đình;HN-1",
        "ma,ten,don_vi,cap,so dai bieu,,\nHN-1,Điểm cầu Ba Đình,00004,phuong,072,,",
        'mã,tên,đơn vị,cấp,số đại biểu\nHN-1,"Điểm cầu\nBa Đình",00004,xã,72',
    ],
)
def test_the_same_hall_in_every_dress(data: bytes | str) -> None:
    """Encodings, delimiters, languages and orders of columns make no difference."""
    assert parse_halls(data, UNITS) == [HALL]


def test_all_fields_are_read() -> None:
    """Optional columns, in both languages, reach the hall."""
    text = (
        "mã,tên,đơn vị,cấp,số đại biểu,địa chỉ,người phụ trách,điện thoại,ảo\n"
        "A,Tên,01,tỉnh,60,Số 1,Nguyễn Văn A,+84 900 000 123,có"
    )
    assert parse_halls(text, UNITS) == [
        Hall(
            hall_id="A",
            name="Tên",
            unit="01",
            level="province",
            seats=60,
            address="Số 1",
            contact_name="Nguyễn Văn A",
            contact_phone="+84 900 000 123",
            virtual=True,
        )
    ]


def test_every_bad_row_is_reported_and_nothing_is_imported() -> None:
    """Each fault has its row, the heading of the file, the value, and a reason in both languages."""
    error = failure(
        "mã,tên,đơn vị,cấp,số đại biểu\n"
        "ok,Tên,01,tỉnh,60\n"
        "điểm,Tên,01,tỉnh,60\n"
        "b,,99,châu,sáu mươi\n"
        "c,Tên,01\n"
        ",Tên,,tỉnh,-1\n"
    )
    assert error.code == "rows"
    assert [(fault.row, fault.column, fault.value) for fault in error.errors] == [
        (3, "mã", "điểm"),
        (4, "tên", ""),
        (4, "đơn vị", "99"),
        (4, "cấp", "châu"),
        (4, "số đại biểu", "sáu mươi"),
        (5, "", "c,Tên,01"),
        (6, "mã", ""),
        (6, "đơn vị", ""),
        (6, "số đại biểu", "-1"),
    ]
    assert all(fault.reason_vi and fault.reason_en for fault in error.errors)


def test_a_code_twice_names_both_rows() -> None:
    """The reason holds the row of the first and of the second."""
    (fault,) = failure(GOOD + "X,Tên,01,xã,5\nHN-1,Khác,01,xã,5\n").errors
    assert (fault.row, fault.value) == (4, "HN-1")
    assert "dòng 2" in fault.reason_vi
    assert "dòng 4" in fault.reason_vi
    assert "row 2 and row 4" in fault.reason_en


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"\n\n,,\n", "empty"),
        ("mã,tên\nA,B\n", "columns"),
        (GOOD.replace("cấp", "cấp bậc gì"), "columns"),
        (GOOD.replace("tên", "mã"), "columns"),
        (GOOD.encode("utf-16"), "nul_byte"),
        (GOOD.encode() + "Đ".encode("cp1258", "replace") + b"\xff", "encoding"),
        (GOOD + "\ud800", "encoding"),
        (GOOD + "A\0", "nul_byte"),
        (GOOD + 'A,"x"y,01,xã,5\n', "malformed"),
        (GOOD + 'A,"never closed', "malformed"),
        (b"," * 70_000, "too_large"),
        (b"x" * (32 * 1024 * 1024 + 1), "too_large"),
        (GOOD + "A,B,01,xã,١٢\n", "rows"),
        (GOOD + "A,B,01,xã,1.250\n", "rows"),
        (GOOD + "A,B\x07,01,xã,1\n", "rows"),
        (GOOD + f"A,{'B' * 201},01,xã,1\n", "rows"),
    ],
)
def test_what_is_no_table_of_halls_is_refused(data: bytes | str, code: str) -> None:
    """Wrong files of every kind end in the same typed error, with its code and at least one reason."""
    error = failure(data)
    assert error.code == code
    assert error.errors


def test_missing_doubled_and_unknown_columns_are_reported_together() -> None:
    """One reading names everything that is wrong with the headings."""
    error = failure("mã,hall_id,tên,màu sắc\nA,A,B,đỏ\n")
    assert {fault.column for fault in error.errors} == {"hall_id", "màu sắc", "unit", "level", "seats"}


def test_the_list_of_faults_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults beyond the bound are counted."""
    monkeypatch.setattr("bridges.tables.MAX_ERRORS", 10)
    error = failure("mã,tên,đơn vị,cấp,số đại biểu\n" + "A B,Tên,01,xã,5\n" * 25)
    assert len(error.errors) == 10
    assert len(error.errors) + error.more == 25 + 24


def test_the_number_of_rows_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row past the bound ends the reading."""
    monkeypatch.setattr("bridges.tables.MAX_ROWS", 3)
    assert failure(GOOD + "".join(f"A{number},B,01,xã,1\n" for number in range(3))).code == "too_many_rows"


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "'=1", "''=1", "'quoted'", "＝1", "a;b,c"])
@pytest.mark.parametrize("language", ["vi", "en"])
def test_no_exported_cell_is_a_formula_and_all_come_back(name: str, language: str) -> None:
    """Cells that spreadsheets would run get a quote; the import takes it away again."""
    hall = Hall(hall_id="A", name=name, unit="01", level="base", seats=5, contact_phone="+84 900 000 123", virtual=True)
    data = serialize_halls_csv([hall, HALL], language="vi" if language == "vi" else "en")
    assert parse_halls(data, UNITS) == [hall, HALL]
    assert not any(cell.strip('"')[:1] in "=+-@＝" for cell in data.decode("utf-8-sig").split(",") if cell)


def test_units_are_read_in_both_languages_and_come_back() -> None:
    """Units keep their tree; parents may stand below."""
    units = [Unit(code="2", name="Xã B", kind="xã", parent="1"), Unit(code="1", name="Tỉnh A", kind="tỉnh")]
    assert parse_units("code,name,kind,parent\n2,Xã B,xã,1\n1,Tỉnh A,tỉnh,\n") == units
    assert parse_units(serialize_units_csv(units)) == units
    assert parse_units(serialize_units_csv(units, language="en"), {}) == units


def test_units_with_bad_parents_are_refused() -> None:
    """Unknown parents (where the known units are given) and circles are named by row."""
    text = "code,name,kind,parent\n1,A,xã,2\n2,B,xã,1\n3,C,xã,9\n4,D,xã,4\n5,E,xã,3\n"
    with pytest.raises(ImportFailedError) as caught:
        parse_units(text, {})
    assert [(fault.row, fault.value) for fault in caught.value.errors] == [(2, "2"), (4, "9"), (5, "4")]
