"""Backends that the journal contract is held against; a new backend joins by one more entry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from conference.journal.contract import Journal
from conference.journal.sqlite import SqliteJournal

OpenJournal = Callable[[], Journal]


@pytest.fixture(params=["sqlite"])
async def open_journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenJournal]:
    """A function that opens one more journal on the same store, as another process would."""
    opened: list[Journal] = []

    def open_one() -> Journal:
        journal = SqliteJournal(tmp_path / "journal.db")
        opened.append(journal)
        return journal

    yield open_one
    for journal in opened:
        await journal.close()


@pytest.fixture
def journal(open_journal: OpenJournal) -> Journal:
    """One journal, empty."""
    return open_journal()
