from __future__ import annotations

import contextlib
import time

import aiohttp
import msgspec
import pytest
from support.coordinator_harness import CONFERENCE, WAIT_S, Api, connect_relay, eventually, register_message

from conference.app import RunningCoordinator, serve_coordinator
from conference.config import CoordinatorConfig
from conference.snapshot import fingerprint
from relay.access import verify_relay_token
from relay.messages import (
    Capacity,
    CloseConference,
    Goodbye,
    Notify,
    PresenceAck,
    PresenceBatch,
    Refused,
    Register,
    Registered,
    SessionClosed,
    SessionOpened,
    Topology,
)

pytestmark = pytest.mark.integration


def opened(hall_id: str, session_id: str) -> SessionOpened:
    """A hall's media began now."""
    return SessionOpened(
        session_id=session_id, subject=hall_id, conference=CONFERENCE, feed="program", at_ms=int(time.time() * 1000)
    )


async def lost_halls(api: Api) -> list[str]:
    """Ids of the halls that are lost."""
    found = await api.expect(200, "GET", "/api/v1/halls", params={"conference": CONFERENCE, "status": "lost"})
    return [hall["hall_id"] for hall in found["halls"]]


async def test_a_lost_relay_gives_its_halls_to_others_and_tells_them(api: Api) -> None:
    """When a lease ends its halls get live relays with a greater epoch, and the relays that have them are told."""
    halls = await api.prepare(6)
    async with (
        connect_relay(api, register_message("edge-1")) as first,
        connect_relay(api, register_message("edge-2")) as second,
        connect_relay(api, register_message("edge-3")) as third,
    ):
        before = {hall_id: await api.join(hall_id) for hall_id in halls}
        victim = before[halls[0]].primary.relay_id
        clients = {"edge-1": first, "edge-2": second, "edge-3": third}
        await clients.pop(victim).vanish()
        told: set[str] = set()
        for relay_id, client in clients.items():
            for_them = {
                hall_id
                for hall_id, was in before.items()
                if victim in {was.primary.relay_id, was.backup and was.backup.relay_id}
                and relay_id in {was.primary.relay_id, was.backup and was.backup.relay_id}
            }
            if for_them:
                notify = await client.wait_for(Notify)
                assert for_them <= set(notify.subjects)
                told |= set(notify.subjects)
        assert halls[0] in told
        for hall_id in halls:
            after = await api.assignment(hall_id)
            assert after.backup is not None
            assert victim not in {after.primary.relay_id, after.backup.relay_id}
            moved = victim in {before[hall_id].primary.relay_id, (before[hall_id].backup or after.primary).relay_id}
            assert (after.epoch > before[hall_id].epoch) == moved
        shown = await api.expect(200, "GET", "/api/v1/relays")
        assert {relay["relay_id"]: relay["status"] for relay in shown["relays"]}[victim] == "lost"


async def test_a_closed_socket_is_no_loss_while_the_lease_runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A relay whose socket closed keeps its halls and gets no new ones; it comes back with the same instance."""
    config = CoordinatorConfig(port=0, state_dir=tmp_path_factory.mktemp("state"), lease_s=30, heartbeat_s=0.05)
    async with (
        serve_coordinator(config) as running,
        contextlib.aclosing(Api(running.url, running.services.keys)) as api,
    ):
        halls = await api.prepare(4)
        async with (
            connect_relay(api, register_message("edge-1", seats=4)),
            connect_relay(api, register_message("edge-2")),
        ):
            async with connect_relay(api, register_message("edge-3", seats=1_000)):
                before = await api.join(halls[0])
            desk = running.services.desk
            await eventually(lambda: _true(desk.avoid == {"edge-3"}), "the relay is avoided")
            assert (await api.assignment(halls[0])).epoch == before.epoch
            for hall_id in halls[1:]:
                got = await api.join(hall_id)
                assert "edge-3" not in {got.primary.relay_id, got.backup and got.backup.relay_id}
            async with connect_relay(api, register_message("edge-3")):
                assert desk.avoid == frozenset()
                shown = (await api.expect(200, "GET", "/api/v1/relays"))["relays"]
                assert all(relay["status"] == "live" for relay in shown)


async def _true(value: object) -> object:
    return value


async def test_presence_is_acknowledged_when_durable_and_makes_halls_present(
    api: Api, running: RunningCoordinator
) -> None:
    """A batch is acknowledged, the hall is present; closed, it is lost; a repeated batch changes nothing."""
    (hall_id,) = await api.prepare(1)
    async with connect_relay(api, register_message("edge-1")) as relay:
        batch = PresenceBatch(sequence=1, deltas=[opened(hall_id, "s1")])
        await relay.send(batch)
        await relay.wait_for(PresenceAck, lambda ack: ack.sequence == 1)
        shown = await api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}")
        assert shown["totals"]["present"] == 1
        before = fingerprint(running.services.coordinator.state)
        await relay.send(msgspec.structs.replace(batch, sequence=2))
        await relay.wait_for(PresenceAck, lambda ack: ack.sequence == 2)
        assert fingerprint(running.services.coordinator.state) == before
        closed = SessionClosed(
            session_id="s1",
            subject=hall_id,
            conference=CONFERENCE,
            feed="program",
            at_ms=int(time.time() * 1000) + 5,
            reason="consent",
        )
        await relay.send(PresenceBatch(sequence=3, deltas=[closed]))
        await relay.wait_for(PresenceAck, lambda ack: ack.sequence == 3)
        assert await lost_halls(api) == [hall_id]


async def test_a_relay_that_comes_back_brings_its_sessions(api: Api) -> None:
    """Sessions in the registration make their halls present again after the relay was lost."""
    (hall_id,) = await api.prepare(1)
    session = opened(hall_id, "s1")
    async with connect_relay(api, register_message("edge-1", sessions=[session])):
        shown = await api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}")
        assert shown["totals"]["present"] == 1
    await eventually(lambda: lost_halls(api), "the hall is lost with its relay")
    async with connect_relay(api, register_message("edge-1", sessions=[session])):
        assert await lost_halls(api) == []


async def test_a_goodbye_moves_the_halls_at_once(api: Api) -> None:
    """A relay that says goodbye is lost without waiting for its lease, and its socket is closed."""
    (hall_id,) = await api.prepare(1)
    async with connect_relay(api, register_message("edge-1")) as first, connect_relay(api, register_message("edge-2")):
        before = await api.join(hall_id)
        if before.primary.relay_id == "edge-1":
            await first.send(Goodbye(reason="maintenance"))
            await first.wait_closed()
            after = await api.assignment(hall_id)
            assert (after.primary.relay_id, after.backup) == ("edge-2", None)


async def test_the_tree_is_pushed_and_pushed_again_when_it_changes(api: Api) -> None:
    """An edge gets its parents and the feeds of open conferences with link tokens; an ended conference goes."""
    async with connect_relay(api, register_message("edge-1")) as edge:
        await edge.wait_for(Topology, lambda place: place.parents == [])
        async with connect_relay(api, register_message("origin", role="origin")) as origin:
            await edge.wait_for(Topology, lambda place: [each.relay_id for each in place.parents] == ["origin"])
            await api.prepare(1)
            place = await edge.wait_for(Topology, lambda place: len(place.pulls) == 1)
            assert place.parents[0].base_url == "http://origin.test:8100"
            claims = verify_relay_token(place.pulls[0].token, api.keys.public_keys, time.time())
            assert (claims.sub, claims.link, claims.conference) == ("edge-1", True, CONFERENCE)
            await origin.wait_for(Topology, lambda place: place.parents == [])
            await api.expect(200, "POST", f"/api/v1/conferences/{CONFERENCE}/phase", json={"phase": "ended"})
            await edge.wait_for(CloseConference, lambda message: message.conference == CONFERENCE)
            await edge.wait_for(Topology, lambda later: not later.pulls and bool(later.parents))


@pytest.mark.parametrize(
    ("frame", "close_code"),
    [
        ("", 1007),
        ("{", 1007),
        ("[]", 1007),
        ("[" * 100_000, 1007),
        ('{"type":"nothing"}', 1007),
        ('{"type":"register"}', 1007),
        (b"\xff\xfe\x00", 1007),
        (b'{"type":"goodbye","reason":"\xff"}', 1007),
        ('{"type":"goodbye","reason":"too early"}', 1008),
        ('{"type":"presence","sequence":1,"deltas":[]}', 1008),
    ],
)
async def test_malformed_first_frames_close_the_socket(api: Api, frame: str | bytes, close_code: int) -> None:
    """What does not parse is closed with 1007, what comes out of turn with 1008, and it is counted."""
    async with api.session.ws_connect("/api/v1/relays/control", headers=api.bearer("relay")) as socket:
        if isinstance(frame, str):
            await socket.send_str(frame)
        else:
            await socket.send_bytes(frame)
        message = await socket.receive(timeout=WAIT_S)
        assert message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
        assert socket.close_code == close_code
    async with api.session.get("/metrics") as answer:
        assert 'diemcau_coordinator_malformed_total{source="relay"} 1.0' in await answer.text()


@pytest.mark.parametrize(("frame", "close_code"), [("{", 1007), ("register", 1008)])
async def test_malformed_later_frames_close_the_socket(api: Api, frame: str, close_code: int) -> None:
    """A registered relay that sends rubbish, or registers twice, is closed too."""
    async with connect_relay(api, register_message("edge-1")) as relay:
        if frame == "register":
            await relay.send(register_message("edge-1"))
        else:
            await relay.socket.send_str(frame)
        assert await relay.wait_closed() == close_code


async def test_a_relay_is_what_its_token_says(api: Api) -> None:
    """A registration under another name than the token's, or of another schema, is refused with a reason."""
    headers = api.bearer("relay", sub="edge-1")
    for register, code in (
        (register_message("edge-2"), "wrong_relay"),
        (msgspec.structs.replace(register_message("edge-1"), schema=99), "schema"),
        (msgspec.structs.replace(register_message("edge-1"), capacity=Capacity(bits_per_s=-1, packets_per_s=1)), ""),
    ):
        async with api.session.ws_connect("/api/v1/relays/control", headers=headers) as socket:
            await socket.send_bytes(msgspec.json.encode(register))
            refused = msgspec.json.decode((await socket.receive(timeout=WAIT_S)).data, type=Refused)
            assert not code or refused.code == code
            await socket.receive(timeout=WAIT_S)
            assert socket.close_code == 1008


async def test_a_later_registration_replaces_the_earlier(api: Api) -> None:
    """Two sockets of one relay: the earlier is closed, and the later has the greater epoch."""
    async with connect_relay(api, register_message("edge-1", instance_id="a")) as first:
        epoch = (await first.wait_for(Registered)).epoch
        async with connect_relay(api, register_message("edge-1", instance_id="b")) as second:
            assert (await second.wait_for(Registered)).epoch > epoch
            assert await first.wait_closed() == 1008
            assert second.close_code is None


async def test_a_restart_of_the_coordinator_moves_no_hall(config: CoordinatorConfig) -> None:
    """After a restart the relays have a whole lease to come back; every hall keeps its relays and its epoch."""
    registers: list[Register] = [register_message("edge-1"), register_message("edge-2")]
    async with (
        serve_coordinator(config) as running,
        contextlib.aclosing(Api(running.url, running.services.keys)) as api,
    ):
        halls = await api.prepare(5)
        async with connect_relay(api, registers[0]), connect_relay(api, registers[1]):
            before = {hall_id: await api.join(hall_id) for hall_id in halls}
            # The coordinator goes first, as in a crash: its relays have not said goodbye.
            image = fingerprint(running.services.coordinator.state)
            await running.services.gateway.stop()
    async with (
        serve_coordinator(config) as running,
        contextlib.aclosing(Api(running.url, running.services.keys)) as api,
    ):
        assert fingerprint(running.services.coordinator.state) == image
        async with connect_relay(api, registers[0]), connect_relay(api, registers[1]):
            for hall_id in halls:
                again = await api.join(hall_id)
                was = before[hall_id]
                assert (again.epoch, again.primary.relay_id) == (was.epoch, was.primary.relay_id)
            assert (await api.expect(200, "GET", "/api/v1/relays"))["relays"][0]["status"] == "live"
