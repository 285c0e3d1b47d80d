from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from bridges.errors import ImportFailedError
from bridges.halls import Hall
from bridges.importing import parse_halls_csv, parse_units_csv, serialize_halls_csv
from bridges.tables import escape_formula, unescape_formula

KNOWN_UNITS = frozenset({"01", "00004"})
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
    unit=st.sampled_from(sorted(KNOWN_UNITS)),
    level=st.sampled_from(["central", "province", "commune", "base"]),
    seats=st.integers(0, 100_000),
    address=st.just("") | texts,
    contact_name=st.just("") | texts,
    contact_phone=st.just("") | texts,
    virtual=st.booleans(),
)


@given(st.binary(max_size=300) | tables.map(str.encode) | tables)
def test_any_bytes_import_or_fail_as_typed(data: bytes | str) -> None:
    """No input raises anything but `ImportFailedError`, which names at least one fault or cannot be made."""
    for parse in (parse_units_csv, lambda found: parse_halls_csv(found, KNOWN_UNITS)):
        with suppress(ImportFailedError):
            parse(data)


@given(st.lists(halls, max_size=10, unique_by=lambda hall: hall.hall_id))
def test_exported_halls_come_back(found: list[Hall]) -> None:
    """Once imported, halls survive any number of exports and imports unchanged."""
    imported = parse_halls_csv(serialize_halls_csv(found), KNOWN_UNITS)
    assert [hall.hall_id for hall in imported] == [hall.hall_id for hall in found]
    assert parse_halls_csv(serialize_halls_csv(imported), KNOWN_UNITS) == imported


@given(st.text(st.sampled_from("'=+-@\t\r\nx"), max_size=6))
def test_the_guard_against_formulas_loses_nothing(value: str) -> None:
    """A guarded cell begins no formula, and its value comes back."""
    guarded = escape_formula(value)
    assert guarded[:1] not in tuple("=+-@\t\r\n")
    assert unescape_formula(guarded) == value
