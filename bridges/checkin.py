"""The code of a delegate: what their QR says, as bytes and as the decimal number in which it is written. Pure.

74 bytes: version (1), the first 4 bytes of SHA-256 of the conference's id, the delegate's number (4 bytes, big endian),
the issue of the code (1 byte), and an Ed25519 signature (RFC 8032, 64 bytes) over `content`. They are written as one
decimal number, big endian: a QR code has a mode for digits, in which this fits a code of 37 by 37 modules, and digits
pass unharmed through hand scanners that type into a PC with a Vietnamese input method, which letters do not. The
signature is made and checked elsewhere: by who has the key (`conference.access`), or by a device with the public key.
"""

from __future__ import annotations

import functools
import hashlib
import struct

import msgspec

from bridges.errors import CheckinCodeError

VERSION = 1
SIGNATURE_BYTES = 64  # RFC 8032 section 5.1.6
MAX_DIGITS = 180  # of any 74 bytes there are at most 179
MAX_NUMBER = 2**32 - 1
MAX_ISSUE = 255
TAG_BYTES = 4

_HEAD = struct.Struct(">B4sIB")
CODE_BYTES = _HEAD.size + SIGNATURE_BYTES
_PURPOSE = b"diemcau checkin 1\0"


class CheckinCode(msgspec.Struct, frozen=True, gc=False):
    """What a code says; nothing of it is verified.

    Attributes:
        conference_tag: which conference, see `conference_tag`; 4 bytes.
        number: the delegate's in that conference.
        issue: which of the delegate's codes this is, from 0.
        signature: 64 bytes.
    """

    conference_tag: bytes
    number: int
    issue: int
    signature: bytes


@functools.lru_cache(maxsize=64)  # asked for with each code, and there are few conferences at a time
def conference_tag(conference_id: str) -> bytes:
    """The 4 bytes by which a code names a conference: enough to tell a mistake, and the signature covers the id."""
    return hashlib.sha256(conference_id.encode()).digest()[:TAG_BYTES]


def content(conference_id: str, number: int, issue: int) -> bytes:
    """What the signature of a code covers.

    Args:
        conference_id: of the conference, not its tag: no two conferences have the same codes.
        number: 1 to 2^32 - 1.
        issue: 0 to 255.
    """
    head = _HEAD.pack(VERSION, conference_tag(conference_id), number, issue)
    return b"".join((_PURPOSE, conference_id.encode(), b"\0", head))


def serialize_code(code: CheckinCode) -> str:
    """The code as decimal digits; `parse_code` is its inverse."""
    head = _HEAD.pack(VERSION, code.conference_tag, code.number, code.issue)
    return str(int.from_bytes(head + code.signature, "big"))


def parse_code(text: str) -> CheckinCode:
    """Read a code from decimal digits.

    Raises:
        CheckinCodeError: they are no code of this version.
    """
    if not 0 < len(text) <= MAX_DIGITS:
        raise CheckinCodeError(f"a code has at most {MAX_DIGITS} digits")
    if not (text.isascii() and text.isdigit()) or text[0] == "0":
        raise CheckinCodeError("a code is a decimal number")
    try:
        data = int(text).to_bytes(CODE_BYTES, "big")
    except OverflowError as error:
        raise CheckinCodeError("the number is too great for a code") from error
    version, tag, number, issue = _HEAD.unpack_from(data)
    if version != VERSION:
        raise CheckinCodeError(f"codes of version {version} are not known here")
    return CheckinCode(tag, number, issue, data[_HEAD.size :])
