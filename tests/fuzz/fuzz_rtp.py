"""Fuzz RTP: any bytes give a header, extensions and a stripped packet, or `WireError`.

Run `PYTHONPATH=. python tests/fuzz/fuzz_rtp.py tests/fuzz/corpus/rtp -atheris_runs=20000`; new inputs land in the
corpus folder. `test_fuzz_wire.py` runs the committed corpus.
"""

from __future__ import annotations

from instrumenting import fuzz, instrumented

with instrumented(__name__, "relay"):
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
    fuzz(fuzz_one)
