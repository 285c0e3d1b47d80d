"""Fuzz STUN: any bytes give a message or `WireError`, and nothing else.

Run `PYTHONPATH=. python tests/fuzz/fuzz_stun.py tests/fuzz/corpus/stun -atheris_runs=20000`; new inputs land in the
corpus folder. `test_fuzz_wire.py` runs the committed corpus.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext

if __name__ == "__main__":
    import atheris

    instrumented = atheris.instrument_imports(include=["relay"])
else:  # the corpus runs among other tests, which should not be slowed down
    instrumented = nullcontext()

with instrumented:
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

    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()
