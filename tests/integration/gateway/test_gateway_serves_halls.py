"""One coordinator and two gateways on one Redis: halls ask any of them and are told the same."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.certificates import write_certificate
from support.coordinator_harness import CONFERENCE, Api, connect_relay, eventually, register_message
from support.redis_servers import RedisServer

from bridges.messages import Assignment
from conference.app import serve_coordinator
from conference.config import CoordinatorConfig, JournalConfig
from conference.front.app import serve_gateway
from conference.front.config import GatewayConfig
from configs.tls import TlsFiles

pytestmark = pytest.mark.integration

HALLS = 60


class Site(msgspec.Struct, frozen=True):
    """What a test talks to."""

    leader: Api
    one: Api
    two: Api
    halls: list[str]


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A durable redis-server of the test's own."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


@pytest.fixture
async def site(tmp_path: Path, redis_server: RedisServer) -> AsyncIterator[Site]:
    """A leader with two relays and an open conference, and two gateways, all in this process."""
    config = CoordinatorConfig(port=0, state_dir=tmp_path, journal=JournalConfig(url=redis_server.url))
    async with contextlib.AsyncExitStack() as stack:
        leader = await stack.enter_async_context(serve_coordinator(config))
        keys = leader.services.keys
        gateways = []
        for number in (1, 2):
            gateway = GatewayConfig(
                gateway_id=f"gateway-{number}", port=0, key_file=config.key_path, journal=config.journal
            )
            gateways.append(await stack.enter_async_context(serve_gateway(gateway)))
        urls = [leader.url, *(gateway.url for gateway in gateways)]
        apis = [await stack.enter_async_context(contextlib.aclosing(Api(url, keys))) for url in urls]
        halls = await apis[0].prepare(HALLS)
        for relay_id in ("edge-1", "edge-2"):
            await stack.enter_async_context(connect_relay(apis[0], register_message(relay_id)))
        for api in apis:
            await eventually(functools.partial(ready, api), "it takes requests")
        yield Site(apis[0], apis[1], apis[2], halls)


async def ready(api: Api) -> bool:
    """Whether it says that it may be given work."""
    return (await api.call("GET", "/readyz", None))[0] == 200


def moved(assignment: Assignment) -> dict[str, object]:
    """What a hall reports that went to its backup."""
    assert assignment.backup is not None
    return {
        "epoch": assignment.epoch,
        "from_relay": assignment.primary.relay_id,
        "to_relay": assignment.backup.relay_id,
        "reason": "assignment",  # silence would bring the relay under suspicion
        "interruption_ms": 420.0,
    }


async def totals(api: Api) -> dict[str, Any]:
    """The headcounts of all real halls, as staff see them."""
    answer = await api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}/attendance")
    found: dict[str, Any] = answer["total"]["real"]["headcount"]
    return found


async def test_a_hall_joins_anywhere_and_is_told_the_same_everywhere(site: Site) -> None:
    """Whatever one door answered is not older at any other, at once: joins, moves and leaves, in turn by each."""
    apis = [site.one, site.two, site.leader]
    for number, hall in enumerate(site.halls[:30]):
        first, second, third = (apis[(number + step) % 3] for step in range(3))
        joined = await first.join(hall)
        for other in (second, third, first):
            told = await other.assignment(hall)
            assert (told.epoch, told.primary.relay_id) == (joined.epoch, joined.primary.relay_id)
        status, body = await second.call("POST", "/api/v1/halls/moved", hall=hall, json=moved(joined))
        assert status == 200, body
        after = msgspec.convert(body, Assignment)
        assert after.epoch > joined.epoch
        assert joined.backup is not None
        assert after.primary.relay_id == joined.backup.relay_id
        assert (await third.assignment(hall)).epoch == after.epoch
        assert (await first.assignment(hall)).epoch == after.epoch
        assert (await third.call("POST", "/api/v1/halls/leave", hall=hall))[0] == 204
        assert (await first.call("GET", "/api/v1/halls/assignment", hall=hall))[0] == 409


async def test_halls_are_checked_wherever_they_ask(site: Site) -> None:
    """A gateway plans a check without a seat, stores it in its own partition, and says at once what it means."""
    first, second = site.halls[:2]
    for api, hall in ((site.one, first), (site.two, first), (site.leader, second)):
        status, plan = await api.call("POST", "/api/v1/halls/precheck/plan", hall=hall)
        assert status == 200
        assert {plan["primary"]["relay_id"], plan["backup"]["relay_id"]} == {"edge-1", "edge-2"}
        relay = {"relay_id": plan["primary"]["relay_id"], "place": "primary", "transport": "none"}
        body = {"precheck": {"source": "agent", "relays": [relay]}}
        status, verdict = await api.call("POST", "/api/v1/halls/precheck", hall=hall, json=body)
        assert (status, verdict["readiness"]["state"]) == (200, "failed")
    status, signed = await site.two.call("POST", "/api/v1/halls/signoff", hall=first, json={"note": "đã sửa"})
    assert (status, signed["state"]) == (200, "signed_off")

    async def known() -> bool:
        view = await site.leader.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}/readiness")
        return bool((view["total"]["signed_off"], view["total"]["failed"]) == (1, 1))

    await eventually(known, "the leader to know what gateways stored")


async def test_figures_are_counted_wherever_they_are_reported(site: Site) -> None:
    """Each gateway writes its own partition; the leader's totals contain all, and a correction counts anywhere."""
    apis = [site.one, site.two, site.leader]
    for number, hall in enumerate(site.halls):
        report = {"summoned": 90, "present": 50}
        assert (await apis[number % 3].call("POST", "/api/v1/halls/headcount", hall=hall, json=report))[0] == 204
    for number, hall in enumerate(site.halls):
        report = {"summoned": 90, "present": 70}
        assert (await apis[(number + 1) % 3].call("POST", "/api/v1/halls/headcount", hall=hall, json=report))[0] == 204

    async def all_corrected() -> bool:
        found = await totals(site.leader)
        return bool((found["halls_reported"], found["present"]) == (HALLS, 70 * HALLS))

    await eventually(all_corrected, "the leader has folded both partitions")


async def test_a_refusal_is_the_leaders_own(site: Site) -> None:
    """A hall reads the same status and code at a gateway as at the coordinator."""
    hall = site.halls[0]
    wrong = [
        ("POST", "/api/v1/halls/join", {"virtual": True}, 409, "hall_kind"),
        ("GET", "/api/v1/halls/assignment", None, 409, "not_joined"),
        ("POST", "/api/v1/halls/headcount", {"summoned": 3, "present": 4}, 422, "headcount_inconsistent"),
        ("POST", "/api/v1/halls/headcount", {"summoned": "x"}, 422, "bad_body"),
        ("POST", "/api/v1/halls/moved", moved(await site.one.join(site.halls[1])), 409, "not_joined"),
    ]
    for method, path, body, status, code in wrong:
        for api in (site.leader, site.one):
            found, answer = await api.call(method, path, hall=hall, json=body)
            assert (found, answer["code"]) == (status, code)
    status, answer = await site.one.call("POST", "/api/v1/halls/join", hall="nowhere", json={})
    assert (status, answer["code"]) == (404, "unknown_hall")
    for role in ("organiser", "gateway", None):
        assert (await site.one.call("POST", "/api/v1/halls/join", role, json={}))[0] in {401, 403}


async def test_many_halls_join_at_once_by_both(site: Site) -> None:
    """Joins at the same moment by two gateways: each hall has one seat, and no relay more than were given."""
    answers = await asyncio.gather(
        *(api.join(hall) for hall in site.halls for api in (site.one, site.two)),
    )
    by_hall: dict[str, set[tuple[int, str]]] = {}
    for answer in answers:
        by_hall.setdefault(answer.hall_id, set()).add((answer.epoch, answer.primary.relay_id))
    assert len(by_hall) == HALLS
    assert {len(found) for found in by_hall.values()} == {1}
    relays = (await site.leader.expect(200, "GET", "/api/v1/relays"))["relays"]
    assert sum(relay["halls_primary"] for relay in relays) == HALLS


async def test_the_page_and_the_measures_are_served(site: Site) -> None:
    """A gateway serves the hall's page and its own metrics, and nothing of the staff's."""
    assert (await site.one.call("GET", "/hall", None))[0] == 200
    assert (await site.one.call("GET", "/api/v1/halls"))[0] == 404
    await site.one.join(site.halls[0])
    status, body = await site.one.call("GET", "/metrics", None)
    assert status == 200
    text = body.decode()
    for line in (
        'diemcau_gateway_joins_total{result="ok"} 1.0',
        "diemcau_gateway_leader_connected 1.0",
        "diemcau_gateway_partition_held 1.0",
    ):
        assert line in text
    targets = await site.leader.expect(200, "GET", "/api/v1/discovery/prometheus", "operator")
    named = {group["labels"]["gateway"]: group["targets"] for group in targets if "gateway" in group["labels"]}
    assert named == {
        f"gateway-{number}": [api.url.removeprefix("http://")] for number, api in ((1, site.one), (2, site.two))
    }
    assert "diemcau_coordinator_gateways 2.0" in (await site.leader.call("GET", "/metrics", None))[1].decode()


async def test_a_leader_with_tls_is_trusted_by_its_certificate(tmp_path: Path, redis_server: RedisServer) -> None:
    """With the certificates of `leader_ca_file` a gateway speaks to its leader over TLS; without, it does not."""
    certificate, key = write_certificate(tmp_path)
    tls = TlsFiles(certificate_file=certificate, key_file=key)
    config = CoordinatorConfig(port=0, tls=tls, state_dir=tmp_path, journal=JournalConfig(url=redis_server.url))
    async with serve_coordinator(config) as leader:

        async def connected(name: str, ca_file: Path | None) -> bool:
            settings = GatewayConfig(
                gateway_id=name, port=0, key_file=config.key_path, journal=config.journal, leader_ca_file=ca_file
            )
            async with (
                serve_gateway(settings) as gateway,
                contextlib.aclosing(Api(gateway.url, leader.services.keys)) as api,
            ):
                await eventually(functools.partial(ready, api), "it takes requests")
                headers = api.bearer("hall", hall="nowhere")
                async with api.session.post("/api/v1/halls/join", headers=headers, json={}) as answer:
                    code = (await answer.json())["code"]
            assert code in {"unknown_conference", "leader_unavailable"}
            return bool(code == "unknown_conference")

        assert await connected("trusting", certificate)
        assert not await connected("careful", None)
