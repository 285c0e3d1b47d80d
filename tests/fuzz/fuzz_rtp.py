"""Fuzz RTP: any bytes give a header, extensions and a stripped packet, or `WireError`.

Run `PYTHONPATH=. python tests/fuzz/fuzz_rtp.py tests/fuzz/corpus/rtp -atheris_runs=20000`; new inputs land in the
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
    from relay.wire.rtp import extension_value, parse_rtp_header, strip_header


def fuzz_one(data: bytes) -> None:
    """Read one packet; stripped, it has a plain header and the same payload."""
    try:
        header = parse_rtp_header(data)
    except WireError:
        return
    plain = strip_header(data, header, sequence_number=header.sequence_number, timestamp=header.timestamp)
    again = parse_rtp_header(plain)
    assert again.header_length == 12
    assert not again.has_padding
    for identifier in (1, 14, 255):
        try:
            extension_value(data, header, identifier)
        except WireError:
            return


if __name__ == "__main__":
    import atheris

    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()
