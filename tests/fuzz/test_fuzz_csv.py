from contextlib import suppress
from pathlib import Path

import pytest

from bridges.errors import ImportFailedError
from bridges.importing import HallUnits, parse_halls, serialize_halls_csv
from bridges.unit_tables import parse_units
from bridges.units import Unit

CORPUS = sorted((Path(__file__).parent / "corpus" / "csv").iterdir())
KNOWN_UNITS = HallUnits({code: Unit(code=code, name=code, kind="xã") for code in ("01", "00004")})


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus_imports_or_fails_as_typed(path: Path) -> None:
    """Every file of the corpus gives units or halls, or `ImportFailedError`; halls survive an export."""
    data = path.read_bytes()
    with suppress(ImportFailedError):
        parse_units(data)
    with suppress(ImportFailedError):
        halls = parse_halls(data, KNOWN_UNITS)
        exported = serialize_halls_csv(halls)
        try:
            again = parse_halls(exported, KNOWN_UNITS)
        except ImportFailedError as error:
            raise AssertionError("an export does not import") from error
        assert again == halls
