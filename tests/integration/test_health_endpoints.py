"""Health and metrics over a real HTTP server."""

import aiohttp
import pytest

from monitoring.health import Health, serve
from monitoring.metrics import Registry, RelayMetrics

pytestmark = pytest.mark.integration


async def test_the_three_routes_answer() -> None:
    """A program is alive at once, ready when its conditions are met, and tells its metrics."""
    health = Health("relay", ["control"])
    registry = Registry("relay")
    RelayMetrics(registry).feed(packets_sent_total=lambda: 5)
    async with (
        serve("127.0.0.1", 0, health=health, registry=registry) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        async with client.get("/healthz") as answer:
            assert answer.status == 200
        async with client.get("/readyz") as answer:
            assert answer.status == 503
            assert (await answer.json())["missing"] == {"control": "not yet"}
        health.met("control")
        async with client.get("/readyz") as answer:
            assert answer.status == 200
        async with client.get("/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            assert "diemcau_relay_packets_sent_total 5.0" in await answer.text()


async def test_a_taken_port_is_an_os_error() -> None:
    """The program can say which address it could not have."""
    health, registry = Health("x"), Registry("x")
    async with serve("127.0.0.1", 0, health=health, registry=registry) as port:
        with pytest.raises(OSError, match="address already in use"):
            async with serve("127.0.0.1", port, health=health, registry=registry):
                pass
