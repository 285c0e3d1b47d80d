"""Requests that take turns."""

import asyncio

from relay.net.turnstile import PER_TURN, Turnstile


async def test_a_storm_goes_through_a_few_at_a_time() -> None:
    """In their order, and other callbacks of the loop come in between."""
    turnstile, passed = Turnstile(), list[int]()
    most = 0

    async def request(number: int) -> None:
        await turnstile.take()
        passed.append(number)

    requests = [asyncio.create_task(request(number)) for number in range(5 * PER_TURN + 1)]
    while len(passed) < len(requests):
        before = len(passed)
        await asyncio.sleep(0)
        most = max(most, len(passed) - before)
    assert passed == list(range(len(requests)))
    assert most == PER_TURN


async def test_one_that_went_away_takes_no_turn() -> None:
    """Those behind it pass all the same, and the next one finds the turnstile as it was."""
    turnstile = Turnstile()
    gone = [asyncio.create_task(turnstile.take()) for _ in range(3 * PER_TURN)]
    last = asyncio.create_task(turnstile.take())
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    async with asyncio.timeout(5):
        await last
        await turnstile.take()
