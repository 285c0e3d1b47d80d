from collections.abc import Callable
from pathlib import Path

import fuzz_codecs
import fuzz_rtcp
import fuzz_rtp
import fuzz_sdp
import fuzz_stun
import pytest

CORPUS = Path(__file__).parent / "corpus"
TARGETS: dict[str, Callable[[bytes], None]] = {
    "codecs": fuzz_codecs.fuzz_one,
    "rtcp": fuzz_rtcp.fuzz_one,
    "rtp": fuzz_rtp.fuzz_one,
    "sdp": fuzz_sdp.fuzz_one,
    "stun": fuzz_stun.fuzz_one,
}
INPUTS = [(name, path) for name in sorted(TARGETS) for path in sorted((CORPUS / name).iterdir())]


@pytest.mark.parametrize(("name", "path"), INPUTS, ids=[f"{name}-{path.name}" for name, path in INPUTS])
def test_the_corpus_of_a_parser_passes(name: str, path: Path) -> None:
    """Every kept input is read or refused as typed."""
    TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_each_parser_has_a_corpus(name: str) -> None:
    """A fuzz target begins from something that parses."""
    assert any((CORPUS / name).iterdir())
