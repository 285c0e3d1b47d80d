"""A program that appends to an SQLite journal until it is killed, and prints the number of each acknowledged event."""

from __future__ import annotations

import asyncio
import sys

from conference.events import HallLeft, HeadcountReported
from conference.journal.contract import Entry
from conference.journal.sqlite import SqliteJournal


async def write_forever(path: str) -> None:
    """Eight writers at once, so that commits are shared; each prints only what was acknowledged to it."""
    journal = SqliteJournal(path)
    epoch = await journal.open_writer()

    async def write(number: int) -> None:
        while True:
            events = (
                HallLeft(conference_id="c", hall_id=f"h{number}"),
                HeadcountReported(
                    conference_id="c",
                    hall_id=f"h{number}",
                    summoned=1,
                    present=1,
                    excused=0,
                    unexcused=0,
                    exempt=0,
                    note="",
                ),
            )
            await journal.append(epoch, [Entry(at_ms=number, actor="test", event=event) for event in events])
            print(number, flush=True)  # noqa: T201 the parent process reads it
            number += 8

    await asyncio.gather(*(write(number) for number in range(8)))


if __name__ == "__main__":
    asyncio.run(write_forever(sys.argv[1]))
