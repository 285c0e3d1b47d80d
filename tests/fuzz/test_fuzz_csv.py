from contextlib import suppress
from pathlib import Path

import pytest

from bridges.errors import ImportFailedError
from bridges.importing import parse_halls_csv, parse_units_csv, serialize_halls_csv

CORPUS = sorted((Path(__file__).parent / "corpus" / "csv").iterdir())
KNOWN_UNITS = frozenset({"01", "00004"})


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus_imports_or_fails_as_typed(path: Path) -> None:
    """Every file of the corpus gives units or halls, or `ImportFailedError`; halls survive an export."""
    data = path.read_bytes()
    with suppress(ImportFailedError):
        parse_units_csv(data)
    with suppress(ImportFailedError):
        halls = parse_halls_csv(data, KNOWN_UNITS)
        exported = serialize_halls_csv(halls)
        try:
            again = parse_halls_csv(exported, KNOWN_UNITS)
        except ImportFailedError as error:
            raise AssertionError("an export does not import") from error
        assert again == halls
