"""Codes of delegates: whatever they say is read back, and whatever else is scanned is refused as typed."""

from __future__ import annotations

import contextlib

import hypothesis.strategies as st
from hypothesis import given

from bridges.checkin import (
    CODE_BYTES,
    MAX_ISSUE,
    MAX_NUMBER,
    SIGNATURE_BYTES,
    TAG_BYTES,
    CheckinCode,
    parse_code,
    serialize_code,
)
from bridges.errors import CheckinCodeError
from conference.access import KeyRing

KEYS = KeyRing.generate()
codes = st.builds(
    CheckinCode,
    st.binary(min_size=TAG_BYTES, max_size=TAG_BYTES),
    st.integers(0, MAX_NUMBER),
    st.integers(0, MAX_ISSUE),
    st.binary(min_size=SIGNATURE_BYTES, max_size=SIGNATURE_BYTES),
)
near = st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES).map(lambda data: str(int.from_bytes(data, "big")))


@given(codes)
def test_what_is_written_is_read(code: CheckinCode) -> None:
    """Every code there can be."""
    assert parse_code(serialize_code(code)) == code


@given(st.text() | st.text("0123456789", max_size=200) | near)
def test_anything_is_a_code_or_refused(text: str) -> None:
    """And what is taken is written as it was read: no code has two forms."""
    with contextlib.suppress(CheckinCodeError):
        assert serialize_code(parse_code(text)) == text


@given(st.text(max_size=20), st.integers(1, MAX_NUMBER), st.integers(0, MAX_ISSUE), st.integers(0, CODE_BYTES * 8 - 1))
def test_a_spoilt_code_is_no_code(conference_id: str, number: int, issue: int, bit: int) -> None:
    """Whichever bit is another one."""
    digits = KEYS.issue_code(conference_id, number, issue)
    assert KEYS.is_issued(conference_id, parse_code(digits))
    with contextlib.suppress(CheckinCodeError):
        spoilt = parse_code(str(int(digits) ^ (1 << bit)))
        assert not KEYS.is_issued(conference_id, spoilt) or spoilt.conference_tag != parse_code(digits).conference_tag
