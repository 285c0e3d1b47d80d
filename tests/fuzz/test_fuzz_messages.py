from collections.abc import Callable
from pathlib import Path

import fuzz_checkin
import fuzz_dtls
import fuzz_json
import fuzz_jwt
import fuzz_yaml
import pytest

CORPUS = Path(__file__).parent / "corpus"
TARGETS: dict[str, Callable[[bytes], None]] = {
    "checkin": fuzz_checkin.fuzz_one,
    "dtls": fuzz_dtls.fuzz_one,
    "json": fuzz_json.fuzz_one,
    "jwt": fuzz_jwt.fuzz_one,
    "yaml": fuzz_yaml.fuzz_one,
}
INPUTS = [(name, path) for name in sorted(TARGETS) for path in sorted((CORPUS / name).iterdir())]


@pytest.mark.parametrize(("name", "path"), INPUTS, ids=[f"{name}-{path.name}" for name, path in INPUTS])
def test_the_corpus_of_a_reader_passes(name: str, path: Path) -> None:
    """Every kept input is taken or refused as typed."""
    TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_each_reader_has_a_corpus(name: str) -> None:
    """A fuzz target begins from something that is taken."""
    assert any((CORPUS / name).iterdir())
