import signal
from pathlib import Path

import msgspec
import pytest
from support.namespaces import needs_namespaces
from support.relay_country import RelayCountry, relay_country

from conference.hall_swarm import HallSwarmSummary, SwarmMove
from relay.swarm.summary import spread

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400), needs_namespaces]

HALLS = 200
FPS = 5  # with sound, 60 packets a second to each hall: what is measured is time, and the machine is small
EDGES = {"tram-1": 0, "tram-2": 1, "tram-3": 2, "tram-4": 3}
WITH_STANDBY_MS = 1_000.0
WITHOUT_MS = 5_000.0
REGION_MS = 10_000.0  # a hundred halls ask and open two sessions each at one moment, on one small machine


def told(
    capsys: pytest.CaptureFixture[str], name: str, summary: HallSwarmSummary, served: set[str], struck: set[str]
) -> list[SwarmMove]:
    """Print the figures as one JSON line; gives the moves away from what was struck."""
    moves = [move for result in summary.results for move in result.moves if move.from_relay in struck]
    figures = {
        "fault": name,
        "standby": summary.standby,
        "halls": summary.halls,
        "halls_of_the_relay": len(served),
        "moved": len({result.hall_id for result in summary.results if result.moves}),
        "others_moved": len([r for r in summary.results if r.hall_id not in served and r.moves]),
        "others_silent": len([r for r in summary.results if r.hall_id not in served and r.silences]),
        "playing_at_the_end": summary.playing,
        "interruption_ms": spread(move.interruption_ms for move in moves),
        "swarm_cpu_share": round(summary.cpu_s / summary.held_s, 3),
        "packets": summary.packets,
        "packets_lost": summary.packets_lost,
    }
    with capsys.disabled():
        print(msgspec.json.encode(figures).decode())  # noqa: T201 - figures for people
    return moves


async def strike_and_leave(country: RelayCountry, fault: str, *options: str) -> tuple[HallSwarmSummary, set[str]]:
    """All halls come, one relay is struck, and the halls go when all is settled."""
    swarm = await country.join(*options)
    served = await country.halls_on("tram-1")
    country.strike("tram-1", fault)
    await country.moves(swarm, len(served))
    await country.whole.until_relay("tram-1", status="lost", halls=0)
    return await country.leave(swarm), served


@pytest.mark.parametrize("standby", [True, False], ids=["standby", "no-standby"])
@pytest.mark.parametrize("fault", ["killed", "stopped", "unplugged"])
async def test_two_hundred_halls_lose_a_relay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, *, standby: bool
) -> None:
    """All of its halls play again in time, and no other hall moves."""
    async with relay_country(tmp_path, EDGES, halls=HALLS, fps=FPS) as country:
        summary, served = await strike_and_leave(country, fault, "--standby" if standby else "--no-standby")
    moves = told(capsys, fault, summary, served, {"tram-1"})
    assert {result.hall_id for result in summary.results if result.moves} == served
    assert summary.playing == HALLS
    ordered = sorted(move.interruption_ms for move in moves)
    assert ordered[int(0.99 * len(ordered))] <= (WITH_STANDBY_MS if standby else WITHOUT_MS)


async def test_two_hundred_halls_lose_a_relay_and_the_coordinator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both die at one moment: nobody but the hall is on the path of a failover."""
    async with relay_country(tmp_path, EDGES, halls=HALLS, fps=FPS) as country:
        swarm = await country.join()
        served = await country.halls_on("tram-1")
        country.whole.stage.coordinator.signal(signal.SIGKILL)
        country.strike("tram-1", "killed")
        await country.moves(swarm, len(served))
        await country.whole.restart_coordinator()
        await country.whole.until_relay("tram-1", status="lost", halls=0)
        summary = await country.leave(swarm)
    moves = told(capsys, "killed with the coordinator", summary, served, {"tram-1"})
    assert {result.hall_id for result in summary.results if result.moves} == served
    ordered = sorted(move.interruption_ms for move in moves)
    assert ordered[int(0.99 * len(ordered))] <= WITH_STANDBY_MS


async def test_a_region_is_cut_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both relays of a province are gone: its halls go over to the neighbour's."""
    async with relay_country(
        tmp_path, {"tram-1": 0, "tram-2": 0, "tram-3": 1, "tram-4": 1}, halls=HALLS, fps=FPS
    ) as country:
        swarm = await country.join()
        cut = {"tram-1", "tram-2"}
        served = {hall for hall, seats in (await country.whole.placements()).items() if set(seats) == cut}
        for relay_id in sorted(cut):
            country.strike(relay_id, "unplugged")
        await country.moves(swarm, len(served))
        for relay_id in sorted(cut):
            await country.whole.until_relay(relay_id, status="lost", halls=0)
        summary = await country.leave(swarm)
    moves = told(capsys, "region cut off", summary, served, cut)
    assert served
    assert {result.hall_id for result in summary.results if result.moves} == served
    assert max(move.interruption_ms for move in moves) <= REGION_MS


async def test_a_mute_relay_is_left_and_used_again_when_it_is_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its halls are elsewhere in a second, it is suspected within three, and after its time it takes halls again."""
    async with relay_country(tmp_path, EDGES, halls=HALLS, fps=FPS) as country:
        early, late = country.hall_ids[: -len(EDGES)], country.hall_ids[-len(EDGES) :]
        swarm = await country.join(hall_ids=early)
        served = await country.halls_on("tram-1")
        country.mute("tram-1")
        await country.until_suspected("tram-1", seconds=3.0)
        await country.whole.until_relay("tram-1", status="live", connected=True, is_empty=True)
        country.unmute("tram-1")
        await country.whole.until_relay("tram-1", suspected_until_ms=0)
        newcomers = await country.join(hall_ids=late, name="newcomers")
        again = await country.halls_on("tram-1") & set(late)
        await country.leave(newcomers)
        summary = await country.leave(swarm)
    moves = [move for move in told(capsys, "mute", summary, served, {"tram-1"}) if move.reason == "silence"]
    assert len(moves) == len(served)
    assert again
    ordered = sorted(move.interruption_ms for move in moves)
    assert ordered[int(0.99 * len(ordered))] <= WITH_STANDBY_MS
