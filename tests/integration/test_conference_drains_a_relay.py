"""Operators' orders and real media: halls are moved while the programme goes on, and nobody misses a picture."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest
from support.whole_conference import CONFERENCE, SeatedHall, WholeConference, relay_gauge, whole_conference

from conference.demo.country import RelaySpot
from conference.events import RelayLost

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

# The old relay delivers until the new one's first picture is decoded: what is measured is a frame or two and a tick of
# the agent (50 ms), on a machine that does other things as well. A failover begins with 300 ms of silence.
PLANNED_MS = 250.0
STANDSTILL_MS = 500.0  # of pictures at 30 a second, on that machine; a failover between parents alone takes 300


async def until_empty(whole: WholeConference, relay_id: str) -> None:
    """Wait until a relay has nobody left, by what it was charged with and by what it says itself."""
    await whole.until_relay(
        relay_id, is_empty=True, halls_primary=0, halls_backup=0, halls_leaving=0, children=0, sessions=0
    )


def assert_moved_once(whole: WholeConference, hall_ids: set[str], from_relay: str) -> None:
    """Each of these halls was sent elsewhere once, and saw no gap."""
    for hall_id in sorted(hall_ids):
        (move,) = whole.halls[hall_id].summary.moves
        assert (move.from_relay, move.reason) == (from_relay, "assignment")
        assert move.interruption_ms <= PLANNED_MS


async def test_a_relay_is_drained_stopped_and_used_again(tmp_path: Path) -> None:
    """Its halls go to their standbys without a gap, others stay; it ends empty, and stopping it moves nobody."""
    async with whole_conference(tmp_path, halls=3) as whole:
        await whole.add_edge("tram-3")
        served = {hall.hall_id for hall in await whole.served_by("tram-1")}
        others = set(whole.halls) - served
        assert served
        assert others
        errors = {hall_id: hall.summary.decode_errors for hall_id, hall in whole.halls.items()}
        answer = await whole.api.order("relays/tram-1/drain", reason="thay ổ cứng", within_s=60)
        assert answer["halls_without_room"] == 0
        await until_empty(whole, "tram-1")
        await whole.until_settled()
        assert set((await whole.placements()).values()) == {("tram-2", "tram-3")}
        assert_moved_once(whole, served, "tram-1")

        assert await whole.end(whole.stage.relays["tram-1"], signal.SIGTERM) == 0
        await whole.until_relay("tram-1", status="lost")
        await asyncio.gather(*(hall.more_pictures(30) for hall in whole.halls.values()))
        assert_moved_once(whole, served, "tram-1")
        assert [whole.halls[hall_id].summary.moves for hall_id in others] == [[]] * len(others)
        assert {hall_id: hall.summary.decode_errors for hall_id, hall in whole.halls.items()} == errors

        await whole.add_edge("tram-1")
        await whole.until_relay("tram-1", mode="draining", is_empty=True)
        await whole.api.order("relays/tram-1/uncordon", reason="xong")
        hall_id = min(served)
        await whole.api.order("halls/move", reason="cân tải", hall_ids=[hall_id], to="tram-1")

        async def returned() -> bool:
            return (await whole.placements())[hall_id] == ("tram-1", "tram-3")

        await whole.until(returned, "the hall to be placed on the relay again")
        await whole.until_settled()
        assert [move.to_relay for move in whole.halls[hall_id].summary.moves] == ["tram-2", "tram-1"]
        assert whole.halls[hall_id].summary.moves[-1].interruption_ms <= PLANNED_MS
        lost = [record.event for record in await whole.records() if isinstance(record.event, RelayLost)]
        assert [event.reason for event in lost] == ["goodbye"]


async def longest_standstill_ms(hall: SeatedHall, stop: asyncio.Event) -> float:
    """How long the hall's picture stood at most, until told to stop."""
    count, since, longest = hall.summary.frames_decoded, time.monotonic(), 0.0
    while not stop.is_set():
        await asyncio.sleep(0.01)
        now = time.monotonic()
        if hall.summary.frames_decoded != count:
            count, since = hall.summary.frames_decoded, now
        longest = max(longest, now - since)
    return longest * 1000


async def test_an_origin_is_drained_below_a_programme_that_goes_on(tmp_path: Path) -> None:
    """Its child relays take the feed from the other origin before they leave it: no hall moves, no picture stands."""
    async with whole_conference(tmp_path, halls=2) as whole:
        await whole.stage.start_relays([RelaySpot("tram-goc-2", "origin", "")])
        await whole.until_relay("tram-goc-2", connected=True, children=1)
        await whole.end(whole.publisher, signal.SIGTERM)
        authorised = await whole.api.authorise_publisher(CONFERENCE, "program")
        await whole.stage.start_publisher(authorised["whip_urls"], authorised["token"])
        await asyncio.gather(*(hall.more_pictures(60) for hall in whole.halls.values()))
        edges = [str((await whole.relay(relay_id))["base_url"]) for relay_id in ("tram-1", "tram-2")]
        failovers = [await relay_gauge(url, "upstream_failovers_total") for url in edges]
        old_origin = str((await whole.relay("tram-goc"))["base_url"])

        stop = asyncio.Event()
        watched = [asyncio.create_task(longest_standstill_ms(hall, stop)) for hall in whole.halls.values()]
        await whole.api.order("relays/tram-goc/drain", reason="thay máy")
        await whole.until_relay("tram-goc", is_empty=True, children=0)

        async def nobody_subscribes() -> bool:
            return await relay_gauge(old_origin, "subscribers") == 0

        await whole.until(nobody_subscribes, "the children to leave the old origin")
        await asyncio.gather(*(hall.more_pictures(60) for hall in whole.halls.values()))
        stop.set()
        assert max(await asyncio.gather(*watched)) < STANDSTILL_MS
        assert all("tram-goc" not in relay["parents"] for relay in await whole.api.relays())
        assert [await relay_gauge(url, "upstream_failovers_total") for url in edges] == failovers
        assert [hall.summary.moves for hall in whole.halls.values()] == [[], []]
