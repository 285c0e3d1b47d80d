"""Operators' orders over HTTP: what they make relays and halls do, who may give them, and what stays on record."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.coordinator_harness import CONFERENCE, Api, connect_relay, eventually, register_message
from typer.testing import CliRunner, Result

from conference.app import serve_coordinator
from conference.cli.main import app
from conference.config import CoordinatorConfig
from relay.messages import Notify, Topology

pytestmark = pytest.mark.integration


async def relay_of(api: Api, relay_id: str) -> dict[str, Any]:
    """What the API says of a relay."""
    return dict(await api.expect(200, "GET", f"/api/v1/relays/{relay_id}"))


async def follow(api: Api, hall_id: str, from_relay: str) -> None:
    """A hall fetches its assignment and says that it went from a relay to its new primary."""
    assignment = await api.assignment(hall_id)
    report = {
        "epoch": assignment.epoch,
        "from_relay": from_relay,
        "to_relay": assignment.primary.relay_id,
        "reason": "assignment",
        "interruption_ms": 0.0,
    }
    status, body = await api.call("POST", "/api/v1/halls/moved", hall=hall_id, json=report)
    assert status == 200, body


async def test_a_drained_relay_loses_its_halls_and_is_empty_when_they_have_all_gone(api: Api) -> None:
    """Its halls are told over it, keep a backup, and count as gone when they say so; others are not touched."""
    halls = await api.prepare(6)
    async with contextlib.AsyncExitStack() as stack:
        clients = {
            relay_id: await stack.enter_async_context(connect_relay(api, register_message(relay_id)))
            for relay_id in ("edge-1", "edge-2", "edge-3")
        }
        before = {hall_id: await api.join(hall_id) for hall_id in halls}
        victim = before[halls[0]].primary.relay_id
        answer = await api.expect(
            200, "POST", f"/api/v1/relays/{victim}/drain", "operator", json={"reason": "thay máy", "within_s": 60}
        )
        assert answer["relay"]["mode"] == "draining"
        assert answer["halls_without_room"] == 0

        async def nobody_waits() -> bool:
            return int((await relay_of(api, victim))["halls_waiting"]) == 0

        await eventually(nobody_waits, "every hall was sent elsewhere")
        playing = [hall_id for hall_id in halls if before[hall_id].primary.relay_id == victim]
        told = await clients[victim].wait_for(Notify)
        assert set(told.subjects) <= set(halls)
        shown = await relay_of(api, victim)
        assert shown["relay"]["halls_leaving"] == len(playing)
        assert not shown["relay"]["is_empty"]
        for hall_id in halls:
            was, after = before[hall_id], await api.assignment(hall_id)
            assert after.backup is not None
            assert was.backup is not None
            assert victim not in {after.primary.relay_id, after.backup.relay_id}
            if victim in {was.primary.relay_id, was.backup.relay_id}:
                assert after.primary.relay_id == next(
                    relay_id for relay_id in (was.primary.relay_id, was.backup.relay_id) if relay_id != victim
                )
            else:
                assert after.epoch == was.epoch
        for hall_id in playing:
            await follow(api, hall_id, victim)
        shown = await relay_of(api, victim)
        assert shown["relay"]["is_empty"]
        assert (shown["relay"]["halls"], shown["relay"]["halls_backup"], shown["relay"]["children"]) == (0, 0, 0)


async def test_a_drained_parent_loses_its_children(api: Api) -> None:
    """Its child is told its new parents at once."""
    await api.prepare(1)
    async with (
        connect_relay(api, register_message("origin-1", role="origin")),
        connect_relay(api, register_message("origin-2", role="origin")),
        connect_relay(api, register_message("edge-1")) as edge,
    ):
        place = await edge.wait_for(Topology, lambda topology: len(topology.parents) == 2)
        first = place.parents[0].relay_id
        await api.expect(200, "POST", f"/api/v1/relays/{first}/evacuate", json={"reason": "cháy nguồn"})
        other = {"origin-1": "origin-2", "origin-2": "origin-1"}[first]
        await edge.wait_for(Topology, lambda topology: [each.relay_id for each in topology.parents] == [other])


async def test_joins_are_paused_for_newcomers(api: Api) -> None:
    """503 with the Retry-After that was ordered; who has a seat joins again; then everybody may."""
    first, second = (await api.prepare(2))[:2]
    async with connect_relay(api, register_message("edge-1")):
        await api.join(first)
        body = {"reason": "quá tải", "conference_id": CONFERENCE, "retry_after_s": 17}
        orders = await api.expect(200, "POST", "/api/v1/joins/pause", "operator", json=body)
        assert orders["pauses"][CONFERENCE]["reason"] == "quá tải"
        await api.join(first)
        headers = api.bearer("hall", hall=second)
        async with api.session.post("/api/v1/halls/join", headers=headers, json={}) as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "17"
            assert (await answer.json())["code"] == "joins_paused"
        await api.expect(
            200, "POST", "/api/v1/joins/resume", "operator", json={"reason": "xong", "conference_id": CONFERENCE}
        )
        await api.join(second)


ORDERS: list[tuple[str, dict[str, object]]] = [
    ("/api/v1/relays/edge-1/cordon", {}),
    ("/api/v1/relays/edge-1/uncordon", {}),
    ("/api/v1/relays/edge-1/drain", {}),
    ("/api/v1/relays/edge-1/evacuate", {}),
    ("/api/v1/relays/edge-1/limits", {"soft_limit": 0.5, "hard_limit": 0.9}),
    ("/api/v1/limits", {"soft_limit": 0.5, "hard_limit": 0.9}),
    ("/api/v1/halls/move", {"unit": "01", "away": "edge-1"}),
    ("/api/v1/halls/exclude", {"subject": "79", "relay_ids": ["edge-1"]}),
    ("/api/v1/joins/pause", {}),
    ("/api/v1/joins/resume", {}),
]


async def test_each_order_is_on_record_with_who_when_and_why(api: Api) -> None:
    """The newest first; one without a reason is refused; a repetition is not noted twice."""
    hall = (await api.prepare(1))[0]
    async with connect_relay(api, register_message("edge-1")):
        for path, body in ORDERS:
            status, refused = await api.call("POST", path, "operator", json=body)
            assert status == 422, (path, refused)
            for _ in range(2):
                await api.expect(200, "POST", path, "operator", json={**body, "reason": "tổng duyệt"})
        pin = {"reason": "cáp riêng", "relay_ids": ["edge-1"]}
        await api.expect(200, "POST", f"/api/v1/halls/{hall}/pin", "operator", json=pin)
        found = await api.expect(200, "GET", "/api/v1/operations", "operator")
        listed = [each["action"] for each in found["operations"]]
        assert listed[0] == "hall_pinned"
        assert listed[-1] == "relay_mode_changed"
        assert len(listed) == len(ORDERS), "no hall was there to be moved, and nothing was noted twice"
        assert {each["actor"] for each in found["operations"]} == {"user:test"}
        orders = await api.expect(200, "GET", "/api/v1/orders", "operator")
        assert orders["relays"]["edge-1"]["mode"] == "evacuating"
        assert orders["pins"] == {hall: ["edge-1"]}
        assert orders["limits"] == {"": {"soft": 0.5, "hard": 0.9}, "edge-1": {"soft": 0.5, "hard": 0.9}}


async def run_command(api: Api, tmp_path: Path, *arguments: str) -> Result:
    """What `diemcau` prints, with an operator's token."""
    token_file = tmp_path / "operator.token"
    token_file.write_text(api.bearer("operator", sub="truc")["Authorization"].removeprefix("Bearer "))
    server = ["--server", str(api.url), "--token-file", str(token_file)]
    return await asyncio.to_thread(CliRunner().invoke, app, [*arguments, *server])


async def test_orders_from_the_command_line(api: Api, tmp_path: Path) -> None:
    """Each command does what it says, in words and as JSON; a refusal is one sentence."""
    hall = (await api.prepare(1))[0]
    why = ["--reason", "tổng duyệt"]
    async with (
        connect_relay(api, register_message("edge-1")),
        connect_relay(api, register_message("edge-2")),
        connect_relay(api, register_message("edge-3")),
    ):
        here = (await api.join(hall)).primary.relay_id
        other = next(relay_id for relay_id in ("edge-1", "edge-2", "edge-3") if relay_id != here)
        for arguments, words in [
            (["relays", "cordon", other, *why], "ngừng nhận mới (cordoned)"),
            (["relays", "uncordon", other, *why], "đang phục vụ (open)"),
            (["relays", "show", other], "không còn ai" if other == "edge-3" else "còn (left): 0 điểm cầu chính"),
            (["relays", "limits", "--relay", other, "--soft", "0.5", "--hard", "0.8", *why], other),
            (["relays", "limits", "--soft", "0.5", "--hard", "0.9", *why], "tất cả (all)"),
            (["halls", "pin", hall, here, *why], hall),
            (["halls", "unpin", hall, *why], "orders that stand"),
            (["halls", "exclude", "79", other, *why], "79"),
            (["halls", "move", hall, "--to", "edge-9", *why], "no relay 'edge-9'"),
            (["halls", "move", hall, *why], "0 điểm cầu (halls)"),
            (["joins", "pause", "--conference", CONFERENCE, *why], CONFERENCE),
            (["joins", "resume", "--conference", CONFERENCE, *why], "orders that stand"),
            (["relays", "list"], "edge-1"),
            (["orders"], "0.9"),
            (["operations"], "user:truc"),
        ]:
            result = await run_command(api, tmp_path, *arguments)
            assert words in result.output, (arguments, result.output)
            assert result.exit_code == ("edge-9" in arguments), arguments

        drained = await run_command(api, tmp_path, "relays", "drain", here, "--within", "1", "--wait", *why)
        assert drained.exit_code == 1, "the hall of this test never says that it left"
        assert "quá hạn" in drained.output
        await follow(api, hall, here)
        drained = await run_command(api, tmp_path, "relays", "drain", here, "--wait", "--json", *why)
        assert json.loads(drained.stdout)["relay"]["is_empty"]
        evacuated = await run_command(api, tmp_path, "relays", "evacuate", here, *why)
        assert "có thể dừng" in evacuated.output


@contextlib.asynccontextmanager
async def coordinator(config: CoordinatorConfig) -> AsyncIterator[Api]:
    """The API of a coordinator on this state."""
    async with (
        serve_coordinator(config) as running,
        contextlib.aclosing(Api(running.url, running.services.keys)) as api,
    ):
        yield api


async def test_a_drain_goes_on_after_the_coordinator_was_replaced(config: CoordinatorConfig) -> None:
    """The successor reads from the journal what is to be done, and does it."""
    async with coordinator(config) as api, connect_relay(api, register_message("edge-1")):
        halls = await api.prepare(4)
        for hall_id in halls:
            await api.join(hall_id)
        await api.expect(200, "POST", "/api/v1/relays/edge-1/drain", json={"reason": "thay máy"})
    async with (
        coordinator(config) as api,
        connect_relay(api, register_message("edge-1")),
        connect_relay(api, register_message("edge-2")),
    ):
        assert (await relay_of(api, "edge-1"))["relay"]["mode"] == "draining"

        async def went() -> bool:
            return {(await api.assignment(hall_id)).primary.relay_id for hall_id in halls} == {"edge-2"}

        await eventually(went, "all halls were sent to the other relay")
