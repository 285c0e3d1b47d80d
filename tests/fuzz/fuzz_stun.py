"""Fuzz STUN: any bytes give a message or `WireError`, and nothing else.

Run `PYTHONPATH=. python tests/fuzz/fuzz_stun.py tests/fuzz/corpus/stun -atheris_runs=20000`; new inputs land in the
corpus folder. `test_fuzz_wire.py` runs the committed corpus.
"""

from __future__ import annotations

from instrumenting import fuzz, instrumented

with instrumented(__name__, "relay"):
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
    fuzz(fuzz_one)
