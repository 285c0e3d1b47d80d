import asyncio
from pathlib import Path

import pytest
from support.namespaces import needs_namespaces
from support.relay_country import relay_country

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180), needs_namespaces]

INTERRUPTION_MS = 1_000.0  # the promise with a standby: last packet of the dead relay to the backup's first keyframe


async def test_relays_fail_one_after_another_and_only_their_own_halls_notice(tmp_path: Path) -> None:
    """Killed, stopped, unplugged: the relay's halls play again within a second, and no hall of another relay moves."""
    edges = {"tram-1": 0, "tram-2": 1, "tram-3": 2, "tram-4": 3}
    fates = {"tram-1": "killed", "tram-2": "stopped", "tram-3": "unplugged"}
    async with relay_country(tmp_path, edges, halls=20) as country:
        swarm = await country.join()
        served: dict[str, set[str]] = {}
        for relay_id, fault in fates.items():
            served[relay_id] = await country.halls_on(relay_id)
            country.strike(relay_id, fault)
            await country.until_left(relay_id)
        summary = await country.leave(swarm)
    assert all(served.values())
    assert (summary.playing, summary.halls) == (20, 20)
    for relay_id, fault in fates.items():
        moves = {
            result.hall_id: move
            for result in summary.results
            for move in result.moves
            if (move.from_relay, move.reason) == (relay_id, "silence")
        }
        assert moves.keys() == served[relay_id], fault
        assert max(move.interruption_ms for move in moves.values()) < INTERRUPTION_MS, fault
    assert sum(len(result.moves) for result in summary.results) == sum(len(halls) for halls in served.values())


async def test_halls_whose_relays_are_all_cut_off_go_to_the_next_region(tmp_path: Path) -> None:
    """A province's line is gone with both relays of its halls: they ask, and play from another province's relay."""
    async with relay_country(tmp_path, {"tram-1": 0, "tram-2": 0, "tram-3": 1, "tram-4": 1}, halls=8) as country:
        swarm = await country.join()
        placements = await country.whole.placements()
        cut = {"tram-1", "tram-2"}
        lost = {hall for hall, seats in placements.items() if set(seats) == cut}
        for relay_id in sorted(cut):
            country.strike(relay_id, "unplugged")
        await asyncio.gather(*(country.until_left(relay_id) for relay_id in cut))
        summary = await country.leave(swarm)
    assert lost
    assert summary.playing == 8
    by_hall = {result.hall_id: result for result in summary.results}
    for hall_id in lost:
        (move,) = by_hall[hall_id].moves
        assert move.to_relay in {"tram-3", "tram-4"}
        assert move.interruption_ms < 5_000
    untouched = {hall for hall, seats in placements.items() if seats[0] not in cut}
    assert [by_hall[hall_id].moves for hall_id in untouched] == [[]] * len(untouched)


async def test_a_mute_relay_is_found_by_its_halls(tmp_path: Path) -> None:
    """It heartbeats and delivers nothing: its halls play elsewhere, newcomers are not sent there until it is mended."""
    async with relay_country(tmp_path, {"tram-1": 0, "tram-2": 1, "tram-3": 2}, halls=24) as country:
        early, late, last = country.hall_ids[:15], country.hall_ids[15:21], country.hall_ids[21:]
        swarm = await country.join(hall_ids=early)
        served = await country.halls_on("tram-1")
        country.mute("tram-1")
        suspected_s = await country.until_suspected("tram-1", seconds=3.0)
        await country.whole.until_relay("tram-1", status="live", connected=True, is_empty=True)
        newcomers = await country.join(hall_ids=late, name="newcomers")
        seats = await country.whole.placements()
        country.unmute("tram-1")
        reason = {"reason": "đã sửa tường lửa"}
        await country.whole.api.request("POST", "/api/v1/relays/tram-1/uncordon", body=reason)
        await country.join(hall_ids=last, name="last")
        summaries = [await country.leave(swarm), await country.leave(newcomers)]
        at_last = await country.halls_on("tram-1")
    assert served
    assert suspected_s < 3.0
    assert not [hall for hall in early + late if "tram-1" in seats[hall]]
    assert at_last & set(last)
    assert [summary.playing for summary in summaries] == [len(early), len(late)]
    for result in summaries[0].results:
        silences = [move for move in result.moves if move.reason == "silence"]
        assert len(silences) == (result.hall_id in served), result
        assert all(move.interruption_ms < INTERRUPTION_MS for move in silences)
