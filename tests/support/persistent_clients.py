"""Halls and relays that do one thing after the other, each numbered and repeated until it is answered.

What they were told, `support.witness` holds against the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
from support.coordinator_fleet import Fleet
from support.coordinator_harness import CONFERENCE, connect_relay, register_message
from support.redis_coordinators import CoordinatorProgram
from support.witness import SESSION_EVERY_MS, SESSION_MS, Witness

from bridges.messages import Assignment
from relay.messages import PresenceAck, PresenceBatch, Registered, SessionClosed, SessionOpened

HALLS = 24
ANSWER_S = 8.0
PAUSE_S = 0.02


class Clients:
    """All of them.

    Args:
        coordinators: whom they ask.
        witness: hears what they were told.
        everybody: they ask any coordinator that runs, and not the leader alone.
    """

    def __init__(self, coordinators: Fleet, witness: Witness, *, everybody: bool) -> None:
        self._fleet = coordinators
        self._witness = witness
        self._chance = coordinators.chance
        self._everybody = everybody

    async def report(self, hall_id: str) -> None:
        """A technician who corrects the headcount again and again."""

        async def ask(program: CoordinatorProgram, number: int) -> None:
            body = {"summoned": 50, "present": number % 50, "note": str(number)}
            await _expect(program, 204, "POST", "/api/v1/halls/headcount", hall_id, json=body)

        await self._repeat(("headcount", hall_id), ask)

    async def join_and_leave(self, hall_id: str) -> None:
        """A hall that joins and leaves by turns."""

        async def ask(program: CoordinatorProgram, number: int) -> None:
            if number % 2 == 0:
                await _expect(program, 204, "POST", "/api/v1/halls/leave", hall_id)
                return
            body = await _expect(program, 200, "POST", "/api/v1/halls/join", hall_id, json={})
            self._witness.handle_assignment(msgspec.convert(body, Assignment))

        await self._repeat(("seat", hall_id), ask)

    async def observe(self, relay_id: str, hall_id: str) -> None:
        """A relay that saw a hall for a second, again and again; it sends what was not acknowledged once more."""
        number = 1
        while True:
            program = await self._choose()
            with contextlib.suppress(TimeoutError, RuntimeError, AssertionError, aiohttp.ClientError, ConnectionError):
                async with connect_relay(program.api, register_message(relay_id)) as client:
                    await client.wait_for(Registered)
                    while client.close_code is None:
                        self._witness.under_way["presence", relay_id] = number
                        await client.send(PresenceBatch(sequence=number, deltas=_session(relay_id, hall_id, number)))
                        await client.wait_for(PresenceAck)
                        self._witness.handle_answer(("presence", relay_id), number)
                        client.received.clear()
                        number += 1
                        await asyncio.sleep(PAUSE_S)
            self._fleet.doubt(program)
            await asyncio.sleep(PAUSE_S)

    async def _choose(self) -> CoordinatorProgram:
        if self._everybody and self._fleet.programs:
            return self._chance.choice(list(self._fleet.programs.values()))
        return await self._fleet.leader()

    async def _repeat(self, actor: tuple[str, str], ask: Callable[[CoordinatorProgram, int], Awaitable[None]]) -> None:
        number = 1
        while True:
            program = await self._choose()
            self._witness.under_way[actor] = number
            try:
                async with asyncio.timeout(ANSWER_S):
                    await ask(program, number)
            except (TimeoutError, RuntimeError, aiohttp.ClientError, ConnectionError):
                self._fleet.doubt(program)
                await asyncio.sleep(PAUSE_S)
                continue
            self._witness.handle_answer(actor, number)
            number += 1
            del self._witness.under_way[actor]
            await asyncio.sleep(PAUSE_S * 2 * self._chance.random())


class UnansweredError(RuntimeError):
    """The command was not done: to be repeated."""


async def _expect(
    program: CoordinatorProgram, status: int, method: str, path: str, hall_id: str, **keywords: Any
) -> Any:
    found, body = await program.api.call(method, path, hall=hall_id, **keywords)
    if found == 503:
        raise UnansweredError(body)
    assert found == status, body
    return body


def _session(relay_id: str, hall_id: str, number: int) -> list[SessionOpened | SessionClosed]:
    began_ms = number * SESSION_EVERY_MS
    opened = SessionOpened(
        session_id=f"{relay_id}:{number}", subject=hall_id, conference=CONFERENCE, feed="program", at_ms=began_ms
    )
    closed = SessionClosed(
        session_id=opened.session_id,
        subject=hall_id,
        conference=CONFERENCE,
        feed="program",
        at_ms=began_ms + SESSION_MS,
        reason="left",
    )
    return [opened, closed]


@contextlib.asynccontextmanager
async def clients(coordinators: Fleet, witness: Witness, *, everybody: bool = False) -> AsyncIterator[None]:
    """Halls and relays at work; `everybody` as in `Clients`."""
    halls = await (await coordinators.leader()).api.prepare(HALLS, provinces_only=True)
    at_work = Clients(coordinators, witness, everybody=everybody)
    tasks = [asyncio.create_task(at_work.observe(f"edge-{number}", halls[number])) for number in (1, 2)]
    tasks += [asyncio.create_task(at_work.report(hall_id)) for hall_id in halls[: HALLS // 2]]
    tasks += [asyncio.create_task(at_work.join_and_leave(hall_id)) for hall_id in halls[HALLS // 2 :]]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
