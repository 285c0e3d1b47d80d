"""A program that fills its people store's disk, makes room again and goes on; prints what happened as one JSON line.

The limit on the size of files stands for the disk: it fails the same system calls, and needs no rights.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys

from bridges.person import Person
from conference.people.contract import PeopleError
from conference.people.sqlite import SqlitePeople

SIZE = 500


def page(after: int) -> list[Person]:
    """The next people."""
    return [Person(number=after + n, hall_id="H", name=f"Người {after + n}", phone="0" * 60) for n in range(1, SIZE)]


async def fill(path: str) -> dict[str, object]:
    """Save people until it fails, then lift the limit and save once more."""
    store = SqlitePeople(path)
    await store.save("c", [page(0)], after=0)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
    last, reason = SIZE - 1, ""
    while not reason:
        try:
            await store.save("c", [page(last)], after=last)
            last += SIZE - 1
        except PeopleError as error:
            reason = str(error)
    known = [person.number for person in await store.read_after("c", 0, 1_000_000)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await store.save("c", [page(last)], after=last)
    after = await store.last_number("c")
    await store.close()
    return {"whole": known == list(range(1, last + 1)), "went_on": after == last + SIZE - 1, "reason": reason}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(fill(sys.argv[1]))))  # noqa: T201 the parent process reads it
