"""Fuzz the payload descriptors: no payload raises, and no sort of buffer changes the answer.

Run `PYTHONPATH=. python tests/fuzz/fuzz_codecs.py tests/fuzz/corpus/codecs -atheris_runs=20000`; new inputs land in the
corpus folder. `test_fuzz_wire.py` runs the committed corpus.
"""

from __future__ import annotations

from instrumenting import fuzz, instrumented

with instrumented(__name__, "relay"):
    from relay.wire.codecs import is_keyframe_start


def fuzz_one(data: bytes) -> None:
    """Look for a key frame of every codec in one payload."""
    for codec in ("VP8", "VP9", "H264", "AV1"):
        assert is_keyframe_start(codec, data) is is_keyframe_start(codec, memoryview(data))


if __name__ == "__main__":
    fuzz(fuzz_one)
