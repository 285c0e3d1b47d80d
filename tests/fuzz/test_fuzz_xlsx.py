from pathlib import Path

import pytest
from fuzz_xlsx import fuzz_one

CORPUS = sorted((Path(__file__).parent / "corpus" / "xlsx").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus_reads_or_fails_as_typed(path: Path) -> None:
    """Every file of the corpus gives rows or `ImportFailedError`, as a workbook and as a sheet in one."""
    fuzz_one(path.read_bytes())
