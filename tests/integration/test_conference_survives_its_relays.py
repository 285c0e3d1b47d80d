import asyncio
import signal
from pathlib import Path

import pytest
from support.whole_conference import CONFERENCE, WholeConference, fold, whole_conference

from bridges.hall_counts import HallMove
from conference.events import RelayLost
from conference.reports.sealing import unseal

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

INTERRUPTION_MS = 2_000.0  # the promise: last packet of the dead relay to first picture of the backup


def first_moves(whole: WholeConference, hall_ids: set[str]) -> list[HallMove]:
    """The first move of each of these halls."""
    return [whole.halls[hall_id].summary.moves[0] for hall_id in sorted(hall_ids)]


async def split(whole: WholeConference, relay_id: str) -> tuple[set[str], set[str]]:
    """Halls on a relay, and the others; there are some of both."""
    on = {hall.hall_id for hall in await whole.served_by(relay_id)}
    off = set(whole.halls) - on
    assert on
    assert off
    return on, off


async def moved(whole: WholeConference, hall_ids: set[str]) -> None:
    """Wait until each of these halls has moved and has told the coordinator, and all play where they are placed."""

    async def told() -> bool:
        return all(whole.halls[hall_id].summary.moves for hall_id in hall_ids)

    await whole.until(told, "the halls to move")


async def lost_reasons(whole: WholeConference, relay_id: str) -> list[str]:
    """Why the journal says that a relay was lost, each time."""
    events = [record.event for record in await whole.records()]
    return [event.reason for event in events if isinstance(event, RelayLost) and event.relay_id == relay_id]


async def test_a_killed_relay_interrupts_its_own_halls_only_and_briefly(tmp_path: Path) -> None:
    """Its halls play from the backup within two seconds, the others notice nothing, and a new relay makes backups."""
    async with whole_conference(tmp_path, halls=3) as whole:
        served, others = await split(whole, "tram-1")
        await whole.end(whole.stage.relays["tram-1"], signal.SIGKILL)
        await moved(whole, served)
        for move in first_moves(whole, served):
            assert (move.from_relay, move.to_relay, move.reason) == ("tram-1", "tram-2", "silence")
            assert 0 < move.interruption_ms < INTERRUPTION_MS
        await whole.until_relay("tram-1", status="lost", halls=0)
        await whole.until_settled(with_backup=False)
        assert set((await whole.placements()).values()) == {("tram-2", "")}

        async def reported() -> bool:
            report, _ = unseal(await whole.api.report(CONFERENCE, "json"))
            real = report.interruptions.real
            return real.halls == len(served) and real.max_ms is not None and 0 < real.max_ms < INTERRUPTION_MS

        await whole.until(reported, "the report to name the interruptions")
        assert await lost_reasons(whole, "tram-1") == ["lease_expired"]

        await whole.add_edge("tram-3")
        await whole.until_settled()
        assert set((await whole.placements()).values()) == {("tram-2", "tram-3")}
        await whole.until_sessions("tram-3")
        assert [whole.halls[hall_id].summary.moves for hall_id in others] == [[]] * len(others)
        assert [len(whole.halls[hall_id].summary.moves) for hall_id in served] == [1] * len(served)


async def test_halls_leave_a_dead_relay_without_a_coordinator(tmp_path: Path) -> None:
    """With the coordinator gone a killed relay's halls move just as fast; it learns of that when it is back."""
    async with whole_conference(tmp_path, halls=2) as whole:
        served, others = await split(whole, "tram-1")
        await whole.end(whole.stage.coordinator, signal.SIGKILL)
        await whole.end(whole.stage.relays["tram-1"], signal.SIGKILL)
        await moved(whole, served)
        for move in first_moves(whole, served):
            assert (move.from_relay, move.to_relay, move.reason) == ("tram-1", "tram-2", "silence")
            assert 0 < move.interruption_ms < INTERRUPTION_MS
        await asyncio.gather(*(hall.more_pictures(30) for hall in whole.halls.values()))

        await whole.restart_coordinator()
        await whole.until_relay("tram-1", status="lost", halls=0)
        await whole.until_settled(with_backup=False)
        assert set((await whole.placements()).values()) == {("tram-2", "")}
        assert [whole.halls[hall_id].summary.moves for hall_id in others] == [[]] * len(others)
        assert [len(whole.halls[hall_id].summary.moves) for hall_id in served] == [1] * len(served)
        seats = fold(await whole.records()).conferences[CONFERENCE].seats
        assert {hall_id: seats[hall_id].moves for hall_id in served} == dict.fromkeys(served, 1)


async def test_a_hung_relay_is_left_by_media_silence(tmp_path: Path) -> None:
    """A stopped process keeps its sockets open and says nothing: its halls do not wait for any lease to end."""
    async with whole_conference(tmp_path, halls=2) as whole:
        served, others = await split(whole, "tram-1")
        whole.stage.relays["tram-1"].signal(signal.SIGSTOP)
        await moved(whole, served)
        for move in first_moves(whole, served):
            assert (move.from_relay, move.to_relay, move.reason) == ("tram-1", "tram-2", "silence")
            assert 0 < move.interruption_ms < INTERRUPTION_MS
        await whole.until_relay("tram-1", status="lost")
        await whole.until_settled(with_backup=False)

        # Woken up it finds its lease ended, registers anew and is a backup again; nobody goes back to it.
        whole.stage.relays["tram-1"].signal(signal.SIGCONT)
        await whole.until_relay("tram-1", status="live", connected=True)
        await whole.until_settled()
        assert set((await whole.placements()).values()) == {("tram-2", "tram-1")}
        await whole.until_sessions("tram-1")
        assert [whole.halls[hall_id].summary.moves for hall_id in others] == [[]] * len(others)
        assert [len(whole.halls[hall_id].summary.moves) for hall_id in served] == [1] * len(served)
        state = fold(await whole.records())
        assert all(len(presence.gaps()) <= 1 for presence in state.presence[CONFERENCE].values())


async def test_halls_wait_for_a_publisher_that_died(tmp_path: Path) -> None:
    """While the source is silent nobody moves and everybody stays present; the picture returns by itself."""
    async with whole_conference(tmp_path, halls=2) as whole:
        seats = await whole.placements()
        await whole.end(whole.publisher, signal.SIGKILL)

        async def silent() -> bool:
            before = [hall.summary.frames_decoded for hall in whole.halls.values()]
            await asyncio.sleep(1.0)  # how long nothing comes is what is asked here
            return before == [hall.summary.frames_decoded for hall in whole.halls.values()]

        await whole.until(silent, "the picture to stop")
        present = await whole.api.halls(conference=CONFERENCE, status="present")
        assert len(present) == len(whole.halls)
        await whole.publish()
        await whole.until_settled()
        assert await whole.placements() == seats
        assert [hall.summary.moves for hall in whole.halls.values()] == [[], []]
        state = fold(await whole.records())
        gaps = {hall_id: presence.gaps() for hall_id, presence in state.presence[CONFERENCE].items()}
        assert not {hall_id: found for hall_id, found in gaps.items() if found}


async def test_a_relay_that_is_stopped_in_order_says_goodbye(tmp_path: Path) -> None:
    """SIGTERM: the journal holds the goodbye, the halls go to their backups, the process ends with 0."""
    async with whole_conference(tmp_path, halls=2) as whole:
        served, others = await split(whole, "tram-1")
        assert await whole.end(whole.stage.relays["tram-1"], signal.SIGTERM) == 0
        await moved(whole, served)
        await whole.until_relay("tram-1", status="lost", halls=0)
        await whole.until_settled(with_backup=False)
        assert await lost_reasons(whole, "tram-1") == ["goodbye"]
        assert set((await whole.placements()).values()) == {("tram-2", "")}
        for move in first_moves(whole, served):
            assert (move.from_relay, move.to_relay) == ("tram-1", "tram-2")
            assert move.interruption_ms < INTERRUPTION_MS
        assert [whole.halls[hall_id].summary.moves for hall_id in others] == [[]] * len(others)
