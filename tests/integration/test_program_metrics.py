"""A hall, a publisher and virtual halls as processes that tell how they are."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.aiortc_relay import TestCoordinator, TestRelay, link_of, running_relays
from support.program_process import metered_program
from support.whole_conference import CONFERENCE, FEED, empty_conference

from bridges.importing import serialize_halls_csv
from bridges.synthetic import synthetic_halls
from bridges.unit_tables import serialize_units_csv
from bridges.vietnam import load_vietnam_units
from conference.layout import write_document
from conference.starting import wait_ready, write_token

pytestmark = pytest.mark.integration


@pytest.fixture
async def relays() -> AsyncIterator[list[TestRelay]]:
    """Two relays with one programme each."""
    async with running_relays(2) as relays:
        yield relays


def token_file(folder: Path, lifetime_s: float = 600) -> Path:
    """A publisher's token in a file; the test relay verifies none."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + lifetime_s}).encode()).decode().rstrip("=")
    file = folder / "publisher.token"
    file.write_text(f"e30.{claims}.c2ln")
    file.chmod(0o600)
    return file


async def test_a_hall_tells_how_it_is(relays: list[TestRelay], tmp_path: Path) -> None:
    """Ready once it has a picture; its packets, pictures and its move are counted, and so is an absent coordinator."""
    coordinator = TestCoordinator(relays[0].access("a"), relays[1].access("b"))
    await coordinator.start()
    link_file = tmp_path / "link"
    link_file.write_text(link_of(coordinator.base_url))
    try:
        async with metered_program("hall", "--link-file", str(link_file)) as hall:
            assert (await hall.get("/healthz"))[0] == 200
            await hall.until(lambda now: now['diemcau_hall_halls{state="present"}'] == 1)
            assert (await hall.get("/readyz"))[0] == 200
            now = await hall.until(lambda now: now["diemcau_hall_packets_received_total"] > 100)
            assert now['diemcau_hall_joins_total{result="ok"}'] == 1
            assert now["diemcau_hall_frames_decoded_total"] > 0
            assert now["diemcau_hall_interruption_seconds_count"] == 0
            await relays[0].kill()
            now = await hall.until(lambda now: now.get('diemcau_hall_moves_total{reason="silence"}', 0) == 1)
            assert now["diemcau_hall_interruption_seconds_count"] == 1
            await coordinator.close()
            await relays[1].kill()
            await hall.until(lambda now: now['diemcau_hall_halls{state="lost"}'] == 1)
            status, body = await hall.get("/readyz")
            assert (status, json.loads(body)["missing"]) == (503, {"picture": "lost"})
            await hall.until(lambda now: now.get('diemcau_hall_joins_total{result="unreachable"}', 0) >= 2)
            hall.process.terminate()
            code, printed = await hall.end()
    finally:
        await coordinator.close()
    assert code == 0
    errors = json.loads(printed)["errors"]
    assert errors["unreachable"] >= 2
    assert errors["relay_unreachable"] >= 1
    assert all(word.isidentifier() for word in errors)


async def test_a_publisher_tells_how_it_is_and_ends_with_the_conference(
    relays: list[TestRelay], tmp_path: Path
) -> None:
    """Ready while connected, its counters grow over reconnections, and 410 `conference_ended` is a good end."""
    relay, port = relays[0], int(relays[0].base_url.rpartition(":")[2])
    address = ["--whip", f"{relay.base_url}/c/program/whip", "--token-file", str(token_file(tmp_path))]
    async with metered_program("publish", "test", *address, "--json") as publisher:
        now = await publisher.until(lambda now: now["diemcau_publisher_packets_sent_total"] > 50)
        assert now["diemcau_publisher_connected"] == 1
        assert now["diemcau_publisher_bytes_sent_total"] > 0
        assert now['diemcau_publisher_frames_encoded_total{kind="video"}'] > 0
        assert now['diemcau_publisher_frames_encoded_total{kind="audio"}'] > 0
        assert (await publisher.get("/readyz"))[0] == 200
        before = now["diemcau_publisher_packets_sent_total"]
        await relay.kill()
        await publisher.until(lambda now: now["diemcau_publisher_connected"] == 0)
        assert (await publisher.get("/readyz"))[0] == 503
        await relay.start(port)
        now = await publisher.until(lambda now: now["diemcau_publisher_reconnections_total"] == 1)
        assert now["diemcau_publisher_packets_sent_total"] >= before
        await relay.kill()
        relay.refuse_with, relay.refuse_code = 410, "conference_ended"
        await relay.start(port)
        code, printed = await publisher.end()
    assert code == 0, publisher.said
    assert "Hội nghị đã kết thúc (the conference has ended)." in publisher.said
    assert json.loads(printed)["conference_ended"] is True


async def test_a_publisher_says_that_its_token_expired(relays: list[TestRelay], tmp_path: Path) -> None:
    """401 with a token whose time is over ends at once, with a sentence that says what to do."""
    relays[0].refuse_with = 401
    address = ["--whip", f"{relays[0].base_url}/c/program/whip", "--token-file", str(token_file(tmp_path, -60))]
    async with metered_program("publish", "test", *address) as publisher:
        code, _ = await asyncio.wait_for(publisher.end(), 20)
    assert code == 1
    assert "the publisher's token expired at" in publisher.said
    assert "diemcau conference publish" in publisher.said


async def test_virtual_halls_tell_how_they_are(tmp_path: Path) -> None:
    """Relays, joins and headcounts are counted as virtual, and nothing is said about media."""
    units = load_vietnam_units()
    halls = synthetic_halls(units, 30, seed=1, virtual=True)
    async with empty_conference(tmp_path) as whole:
        await wait_ready(whole.stage.coordinator_url, "coordinator")
        await whole.api.import_units(serialize_units_csv(units))
        await whole.api.import_halls(serialize_halls_csv(halls))
        await whole.api.create_conference(CONFERENCE, "Hội nghị", [FEED])
        await whole.api.change_phase(CONFERENCE, "open")
        links = tmp_path / "links.json"
        links.write_text(json.dumps(await whole.api.hall_links([hall.hall_id for hall in halls], CONFERENCE)))
        entries = []
        for name, role in (("ao-goc", "origin"), ("ao-1", "edge")):
            file = tmp_path / f"{name}.token"
            write_token(whole.keys(), file, "relay", name, 600)
            entries.append({"relay_id": name, "token_file": str(file), "role": role})
        config = tmp_path / "virtual.yaml"
        document: dict[str, object] = {
            "program": "virtual",
            "coordinator_url": whole.stage.coordinator_url,
            "relays": entries,
            "links_file": str(links),
            "arrival_s": 0,
        }
        write_document(config, document)
        async with metered_program("virtual", "--config", str(config)) as virtual:
            now = await virtual.until(lambda now: now['diemcau_virtual_halls{state="present"}'] == 30)
            assert (await virtual.get("/readyz"))[0] == 200
            assert now['diemcau_virtual_relays{status="live"}'] == 2
            assert now["diemcau_virtual_joins_total"] == 30
            assert not [name for name in now if "packets" in name or "frames" in name or "interruption" in name]
            await virtual.until(lambda now: now["diemcau_virtual_headcounts_total"] > 0)
            virtual.process.terminate()
            code, printed = await virtual.end()
    assert code == 0, virtual.said
    assert json.loads(printed)["joined"] == 30
