"""A delegate's code: the bytes that D3 of the protocol names, as one decimal number."""

from __future__ import annotations

import hashlib

import pytest
import segno
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridges.checkin import CODE_BYTES, MAX_DIGITS, CheckinCode, content, parse_code, serialize_code
from bridges.errors import CheckinCodeError
from conference.access import KeyRing

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = KeyRing(KEY)


def test_a_code_is_what_the_protocol_says() -> None:
    """Byte by byte, and verified with the public key alone, as a device without a line does."""
    digits = KEYS.issue_code("hn-2026", 1_234_567, 3)
    data = int(digits).to_bytes(CODE_BYTES, "big")
    assert data[:10] == b"\1" + hashlib.sha256(b"hn-2026").digest()[:4] + (1_234_567).to_bytes(4, "big") + b"\3"
    KEY.public_key().verify(data[10:], b"diemcau checkin 1\0hn-2026\0" + data[:10])
    assert content("hn-2026", 1_234_567, 3) == b"diemcau checkin 1\0hn-2026\0" + data[:10]


def test_a_code_fits_a_cheap_camera() -> None:
    """37 by 37 modules with a quarter of them to spare for dirt."""
    made = segno.make(KEYS.issue_code("hn-2026", 9_999_999, 255), error="m", micro=False)
    assert (made.mode, made.symbol_size(border=0)) == ("numeric", (37, 37))


def test_only_issued_codes_are_known() -> None:
    """Another number, issue, conference or key makes another signature."""
    code = parse_code(KEYS.issue_code("hn-2026", 7, 0))
    assert KEYS.is_issued("hn-2026", code)
    assert not KEYS.is_issued("hn-2027", code)
    assert not KEYS.is_issued("hn-2026", CheckinCode(code.conference_tag, 8, 0, code.signature))
    assert not KEYS.is_issued("hn-2026", CheckinCode(code.conference_tag, 7, 1, code.signature))
    assert not KeyRing.generate().is_issued("hn-2026", code)


def test_pins_have_six_digits_and_change_with_the_code() -> None:
    """The same for whoever has the key; another one for each number, issue and conference."""
    pins = {KEYS.pin(conference_id, number, issue) for conference_id in "ab" for number in (1, 2) for issue in (0, 1)}
    assert len(pins) == 8
    assert all(len(pin) == 6 and pin.isdigit() for pin in pins)
    assert KEYS.pin("a", 1, 0) == KeyRing(KEY).pin("a", 1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "1",
        "-5",
        " 12",
        "1_0",
        "１２",
        "²",
        "9" * MAX_DIGITS,
        "1" * (MAX_DIGITS + 1),
        "0" + KEYS.issue_code("a", 1, 0),
        str(int(KEYS.issue_code("a", 1, 0)) + (1 << 8 * (CODE_BYTES - 1))),
    ],
)
def test_what_is_no_code_is_refused(text: str) -> None:
    """With the package's error, which does not repeat what was scanned."""
    with pytest.raises(CheckinCodeError) as caught:
        parse_code(text)
    assert not text or len(text) < 3 or text not in str(caught.value)


def test_the_digits_are_the_code() -> None:
    """There and back."""
    digits = KEYS.issue_code("a", 2**32 - 1, 255)
    assert serialize_code(parse_code(digits)) == digits
