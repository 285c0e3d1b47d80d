"""Fuzz delegates' codes: any text is a code, or `CheckinCodeError`, and only what was issued is verified.

The first byte chooses what is fuzzed: the text itself, or the bytes that its digits stand for.

Run `PYTHONPATH=. python tests/fuzz/fuzz_checkin.py tests/fuzz/corpus/checkin -atheris_runs=20000`; new inputs land in
the corpus folder. `test_fuzz_messages.py` runs the committed corpus.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from instrumenting import fuzz, instrumented

with instrumented(__name__, "bridges", "conference"):
    from bridges.checkin import conference_tag, parse_code, serialize_code
    from bridges.errors import CheckinCodeError
    from conference.access import KeyRing

CONFERENCE = "hn"
KEYS = KeyRing(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def fuzz_one(data: bytes) -> None:
    """Read one code, as somebody's device sends it."""
    text = str(int.from_bytes(data[1:400], "big")) if data[:1] == b"b" else data[1:].decode("utf-8", "surrogateescape")
    try:
        code = parse_code(text)
    except CheckinCodeError:
        return
    assert serialize_code(code) == text
    if KEYS.is_issued(CONFERENCE, code) and code.conference_tag == conference_tag(CONFERENCE):
        assert KEYS.issue_code(CONFERENCE, code.number, code.issue) == text


if __name__ == "__main__":
    fuzz(fuzz_one)
