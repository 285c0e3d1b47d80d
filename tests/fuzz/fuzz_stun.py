"""Fuzz STUN: any bytes give a message or `WireError`, and nothing else.

Run `python tests/fuzz/fuzz_stun.py tests/fuzz/corpus/stun -atheris_runs=20000`; `test_fuzz_wire.py` runs the corpus.
"""

from __future__ import annotations

import sys

from relay.errors import WireError
from relay.wire.stun import parse_message, verify_integrity


def fuzz_one(data: bytes) -> None:
    """Read one message and check its integrity."""
    try:
        message = parse_message(data)
    except WireError:
        return
    verify_integrity(message, b"password")


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()
