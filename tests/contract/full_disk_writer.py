"""A program that fills its journal's disk, makes room again and goes on; prints what happened as one JSON line.

The limit on the size of files stands for the disk: it fails the same system calls, and needs no rights.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys

from conference.errors import JournalError
from conference.events import HallLeft
from conference.journal.contract import Entry
from conference.journal.sqlite import SqliteJournal


async def fill(path: str) -> dict[str, object]:
    """Append until it fails, then lift the limit and append once more."""
    journal = SqliteJournal(path)
    epoch = await journal.open_writer()
    acknowledged: list[int] = []
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    number = 0
    reason = ""
    while not reason:
        entries = [Entry(at_ms=number, actor="x" * 500, event=HallLeft(conference_id="c", hall_id=f"h{number}"))] * 20
        try:
            await journal.append(epoch, entries)
            acknowledged.append(number)
        except JournalError as error:
            reason = str(error)
        number += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await journal.append(epoch, [Entry(at_ms=number, actor="x", event=HallLeft(conference_id="c", hall_id="last"))])
    acknowledged.append(number)
    read = [record.at_ms async for record in journal.read({})]
    await journal.close()
    return {"acknowledged": acknowledged, "read": sorted(set(read)), "records": len(read), "reason": reason}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(fill(sys.argv[1]))))  # noqa: T201 the parent process reads it
