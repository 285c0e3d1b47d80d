"""Fuzz SDP: any text gives a session description or `WireError`; what is read survives the wire.

Run `PYTHONPATH=. python tests/fuzz/fuzz_sdp.py tests/fuzz/corpus/sdp -atheris_runs=20000`; new inputs land in the
corpus folder. `test_fuzz_wire.py` runs the committed corpus.
"""

from __future__ import annotations

from instrumenting import fuzz, instrumented

with instrumented(__name__, "relay"):
    from relay.errors import WireError
    from relay.wire.sdp import (
        match_codec,
        parse_session,
        select_play_codecs,
        select_publish_codecs,
        serialize_session,
    )


def fuzz_one(data: bytes) -> None:
    """Read one description, choose codecs, find each of them among all, and write it again."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        description = parse_session(text)
    except WireError:
        return
    for media in description.media:
        carried = select_play_codecs(media)
        assert len(select_publish_codecs(media)) <= 2
        for codec in carried[:16]:
            assert match_codec(codec, carried) is not None
    assert parse_session(serialize_session(description)) == description


if __name__ == "__main__":
    fuzz(fuzz_one)
