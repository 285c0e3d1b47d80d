"""Fuzz the payload descriptors: no payload raises, and no sort of buffer changes the answer.

Run `PYTHONPATH=. python tests/fuzz/fuzz_codecs.py tests/fuzz/corpus/codecs -atheris_runs=20000`; new inputs land in the
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
    from relay.wire.codecs import is_keyframe_start


def fuzz_one(data: bytes) -> None:
    """Look for a key frame of every codec in one payload."""
    for codec in ("VP8", "VP9", "H264", "AV1"):
        assert is_keyframe_start(codec, data) is is_keyframe_start(codec, memoryview(data))


if __name__ == "__main__":
    import atheris

    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()
