"""The modelled store keeps the promises of a journal."""

from __future__ import annotations

import asyncio
import random

import pytest

from conference.errors import JournalError, StaleEpochError
from conference.events import ConferenceCreated
from conference.journal.contract import Entry, Record
from conference.simulation.store import ModelStore
from conference.simulation.virtual_time import run_virtually


def entry(number: int) -> Entry:
    """One event."""
    event = ConferenceCreated(conference_id=f"c{number}", title="Hội nghị", feeds=["program"])
    return Entry(at_ms=number, actor="user:lan", event=event)


async def read(store: ModelStore, after: int = 0) -> list[Record]:
    """All records behind a position."""
    return [record async for record in store.read({"control": after})]


def test_an_append_takes_its_time_and_is_read_back() -> None:
    """Positions grow from 1; a reader may begin behind any."""

    async def trial() -> None:
        store = ModelStore(0.25, random.Random(1))
        epoch = await store.open_writer()
        await store.append(epoch, [entry(1), entry(2)])
        assert asyncio.get_running_loop().time() == pytest.approx(0.25)
        assert [record.position for record in await read(store)] == [1, 2]
        assert [record.at_ms for record in await read(store, after=1)] == [2]

    run_virtually(trial())


def test_an_older_writer_is_refused() -> None:
    """Whoever takes over fences everybody before, also what was under way."""

    async def trial() -> None:
        store = ModelStore(1.0, random.Random(1))
        epoch = await store.open_writer()
        under_way = asyncio.create_task(store.append(epoch, [entry(1)]))
        await asyncio.sleep(0.5)
        assert await store.open_writer(after=epoch) > epoch
        with pytest.raises(StaleEpochError):
            await under_way
        with pytest.raises(StaleEpochError):
            await store.renew(epoch)
        with pytest.raises(StaleEpochError):
            await store.open_writer(after=epoch)
        assert await read(store) == []

    run_virtually(trial())


def test_what_an_outage_interrupts_is_written_whole_or_not_at_all() -> None:
    """Nobody is told that it was; while the store is away it answers nothing."""

    async def trial(seed: int) -> int:
        store = ModelStore(1.0, random.Random(seed))
        epoch = await store.open_writer()
        under_way = asyncio.create_task(store.append(epoch, [entry(1), entry(2)]))
        await asyncio.sleep(0.5)
        store.go_down()
        with pytest.raises(JournalError):
            await store.writer()
        with pytest.raises(JournalError):
            await under_way
        store.come_back()
        return len(await read(store))

    assert {run_virtually(trial(seed)) for seed in range(8)} == {0, 2}
