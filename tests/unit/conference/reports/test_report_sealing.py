"""A report is what was signed, to the byte, or it is refused."""

import json

import msgspec
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from support.report_inputs import known_keys, report_hall, report_of, seal_of, small_country

from conference.access import KeyRing
from conference.reports.building import build_report
from conference.reports.model import Report
from conference.reports.rendering import render
from conference.reports.sealing import (
    ReportSealError,
    canonical_json,
    seal_file,
    sealed_json,
    verify_file,
    verify_report,
)

KEYS = known_keys()
REPORT = build_report(small_country())
CANONICAL, SEAL = seal_of(REPORT)
JSON_FORM = sealed_json(CANONICAL, SEAL)


def test_the_json_form_carries_report_and_seal() -> None:
    """Whoever has the key gets the same report back."""
    report, seal = verify_report(JSON_FORM, KEYS.public_keys)
    assert report == REPORT
    assert seal == SEAL


def test_canonical_is_what_another_library_writes() -> None:
    """Sorted keys, no spaces, UTF-8 unescaped: RFC 8785 where there are no fractions."""
    document = json.loads(CANONICAL)
    assert json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode() == CANONICAL
    assert canonical_json(msgspec.convert(document, Report)) == CANONICAL
    assert not any(isinstance(value, float) for value in _values(document))


def _values(found: object) -> list[object]:
    if isinstance(found, dict):
        return [value for each in found.values() for value in _values(each)]
    return [value for each in found for value in _values(each)] if isinstance(found, list) else [found]


@drawn(st.integers(0, len(JSON_FORM) - 2), st.integers(1, 255))
def test_any_changed_byte_of_the_json_form_is_found(place: int, change: int) -> None:
    """Wherever it is, and whatever it becomes."""
    changed = bytearray(JSON_FORM)
    changed[place] ^= change
    with pytest.raises(ReportSealError):
        verify_report(bytes(changed), KEYS.public_keys)


@pytest.mark.parametrize("report_format", ["csv", "html", "text", "xlsx"])
def test_any_changed_byte_of_another_form_is_found(report_format: str) -> None:
    """The seal beside the file is of its bytes, and names the report."""
    payload = render(REPORT, CANONICAL, report_format, "vi", SEAL)  # type: ignore[arg-type]  # the parameters are these
    seal = seal_file(payload, SEAL.sha256, KEYS.sign, KEYS.public_keys[0])
    written = msgspec.json.encode(seal)
    assert verify_file(payload, written, KEYS.public_keys) == seal
    for place in range(0, len(payload), max(1, len(payload) // 97)):
        changed = bytearray(payload)
        changed[place] ^= 1
        with pytest.raises(ReportSealError):
            verify_file(bytes(changed), written, KEYS.public_keys)
    for place in range(len(written)):
        twisted = bytearray(written)
        twisted[place] ^= 1
        with pytest.raises(ReportSealError):
            verify_file(payload, bytes(twisted), KEYS.public_keys)
    other = msgspec.json.encode(msgspec.structs.replace(seal, report_sha256="00" * 32))
    with pytest.raises(ReportSealError):
        verify_file(payload, other, KEYS.public_keys)


def test_another_coordinators_report_is_foreign() -> None:
    """A seal that is right in itself says nothing of who made it; the key inside is not trusted."""
    canonical, seal = seal_of(REPORT, KeyRing.generate())
    with pytest.raises(ReportSealError) as caught:
        verify_report(sealed_json(canonical, seal), KEYS.public_keys)
    assert caught.value.code == "report_foreign"


def test_a_doubled_member_is_no_way_to_show_something_else() -> None:
    """A reader that takes the first of two members would see what nobody signed."""
    doubled = JSON_FORM.replace(b'{"absences"', b'{"schema":3,"absences"', 1)
    with pytest.raises(ReportSealError):
        verify_report(doubled, KEYS.public_keys)


def test_a_signature_of_a_report_is_none_of_a_file() -> None:
    """Each use has a domain of its own."""
    payload = b"x"
    seal = seal_file(payload, SEAL.sha256, KEYS.sign, "")
    other = msgspec.structs.replace(seal, signature=SEAL.signature)
    with pytest.raises(ReportSealError):
        verify_file(payload, msgspec.json.encode(other), KEYS.public_keys)


@drawn(st.binary(max_size=300))
def test_anything_else_is_refused_and_nothing_more(data: bytes) -> None:
    """Files from outside raise the one typed error."""
    with pytest.raises(ReportSealError):
        verify_report(data, KEYS.public_keys)
    with pytest.raises(ReportSealError):
        verify_file(data, data, KEYS.public_keys)


def test_a_key_that_is_none_is_refused() -> None:
    """A wrong file given as key is a clear error."""
    with pytest.raises(ReportSealError, match="key"):
        verify_report(JSON_FORM, ["no key"])


def test_the_order_of_halls_does_not_change_the_seal() -> None:
    """The same conference has the same hash, however it was read."""
    halls = [report_hall(f"H{number}") for number in range(5)]
    assert seal_of(report_of(halls)) == seal_of(report_of(halls[::-1]))
