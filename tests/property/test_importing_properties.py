from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from bridges.errors import ImportFailedError
from bridges.halls import Hall
from bridges.importing import HallUnits, parse_halls, serialize_halls_csv
from bridges.tables import escape_formula, unescape_formula
from bridges.unit_tables import parse_units
from bridges.units import Unit

KNOWN_UNITS = HallUnits({code: Unit(code=code, name=code, kind="xã") for code in ("01", "00004")})
words = st.sampled_from(
    ["mã", "tên", "đơn vị", "cấp", "số đại biểu", ",", ";", "\n", "\r", '"', "\ufeff", "01", "xã", "5", "A", "=", "'"]
)
tables = st.lists(words, max_size=60).map("".join)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20).map(
    lambda text: " ".join(text.split())
)
halls = st.builds(
    Hall,
    hall_id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    name=texts,
    unit=st.sampled_from(["01", "00004"]),
    level=st.sampled_from(["central", "province", "commune", "base"]),
    seats=st.integers(0, 100_000),
    address=st.just("") | texts,
    contact_name=st.just("") | texts,
    contact_phone=st.just("") | texts,
    virtual=st.booleans(),
    line=st.just("") | texts,
    carrier=st.just("") | texts,
    bandwidth_mbps=st.integers(0, 10_000),
    devices=st.just("") | texts,
)


@given(st.binary(max_size=300) | tables.map(str.encode) | tables)
def test_any_bytes_import_or_fail_as_typed(data: bytes | str) -> None:
    """No input raises anything but `ImportFailedError`, which names at least one fault or cannot be made."""
    for parse in (parse_units, lambda found: parse_halls(found, KNOWN_UNITS)):
        with suppress(ImportFailedError):
            parse(data)


@given(st.lists(halls, max_size=10, unique_by=lambda hall: hall.hall_id))
def test_exported_halls_come_back(found: list[Hall]) -> None:
    """Once imported, halls survive any number of exports and imports unchanged."""
    imported = parse_halls(serialize_halls_csv(found), KNOWN_UNITS)
    assert [hall.hall_id for hall in imported] == [hall.hall_id for hall in found]
    assert parse_halls(serialize_halls_csv(imported), KNOWN_UNITS) == imported


@given(st.text(st.sampled_from("'=+-@\t\r\nx"), max_size=6))
def test_the_guard_against_formulas_loses_nothing(value: str) -> None:
    """A guarded cell begins no formula, and its value comes back."""
    guarded = escape_formula(value)
    assert guarded[:1] not in tuple("=+-@\t\r\n")
    assert unescape_formula(guarded) == value
