"""Fuzz RTCP: any bytes give packets or `WireError`; what is known of them is written and read back.

Run `PYTHONPATH=. python tests/fuzz/fuzz_rtcp.py tests/fuzz/corpus/rtcp -atheris_runs=20000`; new inputs land in the
corpus folder. `test_fuzz_wire.py` runs the committed corpus.
"""

from __future__ import annotations

from instrumenting import fuzz, instrumented

with instrumented(__name__, "relay"):
    from relay.errors import WireError
    from relay.wire.rtcp import Unknown, parse_compound, serialize_compound


def fuzz_one(data: bytes) -> None:
    """Read one compound; packets that are read must be writable."""
    try:
        packets = parse_compound(data)
    except WireError:
        return
    assert packets
    serialize_compound([packet for packet in packets if not isinstance(packet, Unknown)])


if __name__ == "__main__":
    fuzz(fuzz_one)
