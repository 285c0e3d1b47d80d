"""What those who serve halls need of whoever decides: the coordinator itself, or a gateway's way to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from conference.commands import Command
from conference.events import Event
from conference.state import State


class Decider(Protocol):
    """Who decides what halls want and makes it durable: the coordinator, or a gateway, which asks it."""

    @property
    def state(self) -> State:
        """The state; only to be read, and not kept across an await.

        Raises:
            JournalError: there is none at the moment.
        """
        ...

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...

    async def settled(self) -> None:
        """Return once `state` has everything that anybody was told, and nothing that may still be lost.

        Raises:
            JournalError: that cannot be had now.
        """
        ...

    async def execute(self, command: Command, actor: str) -> Sequence[Event]:
        """Return once what a command brings about is durable and in `state`; the events where they were decided here.

        Raises:
            RejectedError: a rule refuses it; nothing was written.
            JournalError: it could not be made durable, or nobody decides now.
        """
        ...
