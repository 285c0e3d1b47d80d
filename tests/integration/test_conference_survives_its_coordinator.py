import asyncio
import resource
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from support.picture_gaps import PictureGaps
from support.whole_conference import CONFERENCE, FEED, WholeConference, fold, relay_gauge, whole_conference

from bridges.messages import Assignment
from conference.access import ApiClaims
from conference.api_client import ApiError
from conference.attendance.view import attendance_view, summed_now
from conference.events import HallAssigned, HallMoved, PresenceObserved, RelayLost, RelayRegistered
from conference.live import view_conference, view_relays
from conference.snapshot import encode_state
from conference.starting import wait_ready
from conference.supervision import ProgramSpec
from relay.core.dtls import Certificate
from relay.messages import SessionClosed
from relay.wire.sdp import build_play_offer, serialize_session

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

# Five seconds: by then relays pause longer between two attempts than a lease lasts.
OUTAGE_PICTURES = 150
# Pictures come 30 a second. The wire is judged by the halls themselves, which move after 300 ms of silence; this bound
# on decoded pictures leaves room for a machine that decodes several halls on two cores beside other tests.
LONGEST_PICTURE_GAP_S = 1.5


async def assert_api_tells_the_fold(whole: WholeConference) -> None:
    """Every figure of the API is what a fold of the journal's file gives, made here by nobody but this process."""

    async def told() -> dict[str, Any]:
        attendance = await whole.api.attendance(CONFERENCE)
        return {
            "conference": await whole.api.conference(CONFERENCE),
            "relays": [{**relay, "sessions": 0} for relay in await whole.api.relays()],
            "placements": await whole.placements(),
            "attendance": {**attendance, "at_ms": 0},
        }

    async def folded() -> dict[str, Any]:
        state = await whole.fold()
        conference = state.conferences[CONFERENCE]
        live = {relay_id: 0 for relay_id, relay in state.relays.items() if relay.live}
        view = {
            "conference": view_conference(state, conference),
            "relays": view_relays(state, live),
            "placements": {hall_id: (seat.primary, seat.backup) for hall_id, seat in conference.seats.items()},
            "attendance": attendance_view(conference, summed_now(state, CONFERENCE, 0), "territory"),
        }
        return dict(msgspec.to_builtins(view))

    async def same() -> bool:
        before = await folded()
        answer = msgspec.to_builtins(await told())
        # An event may be written between the two; then the question is put again.
        return before == await folded() and answer == before

    await whole.until(same, "the API to tell what the journal folds to")


async def test_media_and_attendance_survive_a_killed_coordinator(tmp_path: Path) -> None:
    """Killed and started again: pictures go on everywhere, nobody moves, nothing acknowledged is missing."""
    async with whole_conference(tmp_path, halls=3) as whole:
        seats = await whole.placements()
        # Standbys and links come up behind the pictures; what is noted before them would never come back.
        for relay_id in ("tram-goc", "tram-1", "tram-2"):
            await whole.until_sessions(relay_id)
        sessions = {relay["relay_id"]: relay["sessions"] for relay in await whole.api.relays()}
        totals = (await whole.api.conference(CONFERENCE))["totals"]
        assert (totals["present"], totals["headcount_halls"]) == (3, 3)
        recorded = len(await whole.records())

        gaps = PictureGaps(whole)
        await whole.end(whole.stage.coordinator, signal.SIGKILL)
        await asyncio.gather(*(hall.more_pictures(OUTAGE_PICTURES) for hall in whole.halls.values()))
        acknowledged = fold((await whole.records())[:recorded])
        await whole.restart_coordinator()
        await whole.until_connected(3)
        await whole.until_settled()
        await gaps.stop()

        assert max(gaps.longest_s.values()) < LONGEST_PICTURE_GAP_S, gaps.longest_s
        assert [hall.summary.moves for hall in whole.halls.values()] == [[], [], []]
        assert await whole.placements() == seats
        after = (await whole.api.conference(CONFERENCE))["totals"]
        assert after == totals

        async def sessions_are_back() -> bool:
            return sessions == {relay["relay_id"]: relay["sessions"] for relay in await whole.api.relays()}

        await whole.until(sessions_are_back, "the relays to have the sessions that they had")
        await assert_api_tells_the_fold(whole)

        records = await whole.records()
        since = [record.event for record in records[recorded:]]
        assert sorted(event.relay_id for event in since if isinstance(event, RelayRegistered)) == [
            "tram-1",
            "tram-2",
            "tram-goc",
        ]
        assert not [event for event in since if isinstance(event, RelayLost | HallAssigned | HallMoved)]
        closings = [
            delta
            for event in since
            if isinstance(event, PresenceObserved)
            for delta in event.deltas
            if isinstance(delta, SessionClosed)
        ]
        assert closings == []
        state, now_ms = fold(records), int(time.time() * 1000)
        assert state.headcounts == acknowledged.headcounts
        for hall_id, presence in state.presence[CONFERENCE].items():
            assert len(presence.intervals(now_ms)) == 1, hall_id
            assert presence.gaps() == []
            assert presence.first_seen_ms == acknowledged.presence[CONFERENCE][hall_id].first_seen_ms

        # What the running coordinator held in memory is what it leaves as its snapshot when it stops in order.
        assert await whole.end(whole.stage.coordinator, signal.SIGTERM) == 0
        snapshot, records = await whole.snapshot(), await whole.records()
        assert snapshot is not None
        assert sum(snapshot.positions.values()) == len(records)
        assert snapshot.state == encode_state(fold(records))


async def test_a_full_disk_stops_no_picture_and_loses_no_presence(tmp_path: Path) -> None:
    """Without room for the journal: refusals with a reason, pictures go on; what relays saw is written afterwards."""
    async with whole_conference(tmp_path, halls=3) as whole:
        leaving, *staying = whole.halls.values()
        seats = await whole.placements()
        pid = whole.stage.coordinator.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        # A limit on the size of files stands for the disk: it fails the same system calls, and needs no rights.
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
        try:
            with pytest.raises(ApiError) as refused:
                await whole.api.create_conference("hn-2027", "Không còn chỗ", [FEED])
            assert (refused.value.status, refused.value.code) == (503, "journal_unavailable")
            left_after_ms = int(time.time() * 1000)
            await leaving.leave()  # its goodbye cannot be written; that its media ended the relay knows by itself
            await asyncio.gather(*(hall.more_pictures(30) for hall in staying))
            assert not await whole.api.is_ready()
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        await wait_ready(whole.stage.coordinator_url, "coordinator")

        async def closed() -> bool:
            return not (await whole.fold()).presence[CONFERENCE][leaving.hall_id].is_open

        await whole.until(closed, "the end of the hall's media to be written")
        await asyncio.gather(*(hall.more_pictures(15) for hall in staying))
        await assert_api_tells_the_fold(whole)
        assert await whole.placements() == seats
        assert [hall.summary.moves for hall in staying] == [[], []]
        records = await whole.records()
        presence = fold(records).presence[CONFERENCE]
        (interval,) = presence[leaving.hall_id].intervals(0)
        assert left_after_ms - 2_000 < interval.end_ms < left_after_ms + 10_000
        assert not [record for record in records if isinstance(record.event, RelayLost)]
        for hall in staying:
            assert presence[hall.hall_id].is_open
            assert presence[hall.hall_id].gaps() == []


def an_offer() -> bytes:
    """An SDP offer that a relay would answer."""
    fingerprint_value = Certificate.generate(time.time()).fingerprint
    offer = build_play_offer(ice_ufrag="abcd", ice_pwd="p" * 24, fingerprint=("sha-256", fingerprint_value))
    return serialize_session(offer).encode()


async def assert_doors_are_shut(
    http: aiohttp.ClientSession, whole: WholeConference, assignment: Assignment, addresses: list[str]
) -> None:
    """Tokens that were good a moment ago play nothing at any relay, and publish nothing at the origin."""
    doors = [(f"{address}/{CONFERENCE}/{FEED}/whep", assignment.primary.token) for address in addresses]
    for door, token in [*doors, (whole.whip_url, whole.publisher_token)]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        async with http.post(door, headers=headers, data=an_offer()) as answer:
            assert answer.status in {403, 410}, (door, answer.status, await answer.text())


async def test_the_end_of_a_conference_ends_everything(tmp_path: Path) -> None:
    """Sessions close, halls and publisher end by themselves, and no token opens anything, also at a relay's restart."""
    async with whole_conference(tmp_path, halls=2) as whole:
        hall = next(iter(whole.halls.values()))
        claims = ApiClaims(
            sub=hall.hall_id, role="hall", hall=hall.hall_id, conference=CONFERENCE, exp=int(time.time()) + 600
        )
        headers = {"Authorization": f"Bearer {whole.keys().issue_api_token(claims)}"}
        url = whole.stage.coordinator_url
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{url}/api/v1/halls/assignment", headers=headers) as answer:
                assignment = msgspec.json.decode(await answer.read(), type=Assignment)
            await whole.api.change_phase(CONFERENCE, "ended")
            summaries = await asyncio.wait_for(asyncio.gather(*(each.task for each in whole.halls.values())), 30)
            assert [summary.ended for summary in summaries] == [True, True]
            addresses = [relay["base_url"] for relay in await whole.api.relays()]
            for name in ("subscribers", "publishers"):
                for address in addresses:

                    async def none_left(address: str = address, name: str = name) -> bool:
                        return await relay_gauge(address, name) == 0

                    await whole.until(none_left, f"no {name} at {address}")
            async with http.post(f"{url}/api/v1/halls/join", headers=headers, json={}) as answer:
                assert answer.status == 409
                assert (await answer.json(content_type=None))["code"] == "wrong_phase"
            await assert_doors_are_shut(http, whole, assignment, addresses)

            # A relay that was not there at the end, or has forgotten it, learns of it when it registers.
            edge = assignment.primary.relay_id
            for relay_id in (edge, "tram-goc"):
                await whole.end(whole.stage.relays[relay_id], signal.SIGKILL)
                arguments = ["relay", "--config", str(whole.stage.folder / f"{relay_id}.yaml")]
                whole.stage.relays[relay_id] = await whole.stage.supervisor.start(ProgramSpec(relay_id, arguments))
            for address in addresses:
                await wait_ready(address, address)
            await assert_doors_are_shut(http, whole, assignment, addresses)
