"""Operators' orders and real media: halls are moved while the programme goes on, and nobody misses a picture."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from support.whole_conference import WholeConference, whole_conference

from conference.events import RelayLost

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

# The old relay delivers until the new one's first picture is decoded: what is measured is a frame or two and a tick of
# the agent (50 ms), on a machine that does other things as well. A failover begins with 300 ms of silence.
PLANNED_MS = 250.0


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
