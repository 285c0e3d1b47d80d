"""Backends that the journal contract is held against; a new backend joins by one more entry."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from support.redis_servers import RedisServer

from conference.config import JournalConfig
from conference.journal.contract import Journal
from conference.journal.opening import open_redis
from conference.journal.sqlite import SqliteJournal

OpenJournal = Callable[[], Journal]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A durable redis-server for all tests that do it no harm."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


StoreKind = Literal["sqlite", "redis"]
KINDS = ["sqlite", pytest.param("redis", marks=pytest.mark.integration)]


@pytest.fixture
async def new_store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Callable[[StoreKind], OpenJournal]]:
    """A function that makes an empty store; returns one that opens a journal on it, as another process would."""
    opened: list[Journal] = []

    def new(kind: StoreKind) -> OpenJournal:
        name = uuid.uuid4().hex
        if kind == "redis":
            url = request.getfixturevalue("redis_server").url

        def open_one() -> Journal:
            if kind == "sqlite":
                opened.append(SqliteJournal(tmp_path / f"{name}.db"))
            else:
                opened.append(open_redis(JournalConfig(url=url, name=name, keep_records=10)))
            return opened[-1]

        return open_one

    yield new
    for journal in opened:
        await journal.close()


@pytest.fixture(params=KINDS)
def open_journal(request: pytest.FixtureRequest, new_store: Callable[[StoreKind], OpenJournal]) -> OpenJournal:
    """A function that opens one more journal on the same store."""
    return new_store(request.param)


@pytest.fixture
def journal(open_journal: OpenJournal) -> Journal:
    """One journal, empty."""
    return open_journal()
