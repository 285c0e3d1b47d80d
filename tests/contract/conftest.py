"""Backends that the journal contract is held against; a new backend joins by one more entry."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from support.redis_servers import RedisServer

from conference.journal.contract import Journal
from conference.journal.redis.address import parse_redis_url
from conference.journal.sqlite import SqliteJournal

OpenJournal = Callable[[], Journal]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A durable redis-server for all tests that do it no harm."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.integration)])
async def open_journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenJournal]:
    """A function that opens one more journal on the same store, as another process would."""
    opened: list[Journal] = []
    open_store: OpenJournal
    if request.param == "sqlite":

        def open_store() -> Journal:
            return SqliteJournal(tmp_path / "journal.db")

    else:
        pytest.importorskip("redis", reason="the requirements have changed: make .venv again")
        from conference.journal.redis.journal import RedisJournal  # noqa: PLC0415 - see above

        server: RedisServer = request.getfixturevalue("redis_server")
        name = uuid.uuid4().hex

        def open_store() -> Journal:
            return RedisJournal(parse_redis_url(server.url), name=name)

    def open_one() -> Journal:
        opened.append(open_store())
        return opened[-1]

    yield open_one
    for journal in opened:
        await journal.close()


@pytest.fixture
def journal(open_journal: OpenJournal) -> Journal:
    """One journal, empty."""
    return open_journal()
