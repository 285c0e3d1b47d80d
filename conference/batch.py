"""Entries that are made durable together (group commit), and the answer for all who wait for them."""

from __future__ import annotations

import asyncio

from conference.errors import JournalError
from conference.journal.contract import Entry


class Batch:
    """Entries in the order of their decisions.

    Attributes:
        entries: so far.
        done: resolved once they are durable, or will never be.
    """

    __slots__ = ("done", "entries")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, error: JournalError) -> None:
        """They will never be durable."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # nobody may be waiting, and asyncio would complain that nobody looked
