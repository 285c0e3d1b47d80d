"""Who asks too often is told to wait, and nobody else notices."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.coordinator_harness import Api, connect_relay, register_message

from conference.app import serve_coordinator
from conference.config import CoordinatorConfig, RateLimitsConfig

pytestmark = pytest.mark.integration
BURST = 8


@pytest.fixture
def limits() -> RateLimitsConfig:
    """So slow that nothing comes back during a test."""
    return RateLimitsConfig(holder_per_s=0.1, holder_burst=BURST, address_per_s=0.1, address_burst=BURST)


@pytest.fixture
async def limited(tmp_path: Path, limits: RateLimitsConfig) -> AsyncIterator[Api]:
    """The API of a coordinator with these limits."""
    config = CoordinatorConfig(port=0, state_dir=tmp_path / "state", rate_limits=limits)
    async with (
        serve_coordinator(config) as running,
        contextlib.aclosing(Api(running.url, running.services.keys)) as api,
    ):
        yield api


async def test_a_holder_past_its_burst_waits_and_others_do_not(limited: Api) -> None:
    """The request after the burst is a 429 problem with Retry-After, is counted, and concerns this holder alone."""
    for _ in range(BURST):
        assert (await limited.call("GET", "/api/v1/units"))[0] == 200
    async with limited.session.get("/api/v1/units", headers=limited.bearer("organiser")) as answer:
        problem = await answer.json(content_type="application/problem+json")
        assert (answer.status, problem["code"]) == (429, "rate_limited")
        assert 1 <= int(answer.headers["Retry-After"]) <= 10
    assert (await limited.call("GET", "/api/v1/units", headers=limited.bearer("operator", sub="other"), role=None))[
        0
    ] == 200
    _, text = await limited.call("GET", "/metrics", role=None)
    assert b'diemcau_coordinator_rate_limited_total{by="holder"} 1.0' in text


async def test_refused_tokens_and_pages_count_for_the_address_only(limited: Api) -> None:
    """Callers without a valid token use up their address; holders at that address, and health, are served on."""
    for number in range(BURST):
        path, expected = ("/hall", 200) if number % 2 else ("/api/v1/units", 401)
        assert (await limited.call("GET", path, role=None, headers={"Authorization": "Bearer no.such.token"}))[
            0
        ] == expected
    for path in ("/hall", "/api/v1/units", "/api/v1/nothing", "/static/style.css"):
        assert (await limited.call("GET", path, role=None))[0] == 429
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await limited.call("GET", path, role=None))[0] == 200
    assert (await limited.call("GET", "/api/v1/units"))[0] == 200


async def test_an_address_cannot_be_chosen_by_its_owner(limited: Api) -> None:
    """Without `behind_proxy` X-Forwarded-For is not read."""
    statuses = [
        (await limited.call("GET", "/hall", role=None, headers={"X-Forwarded-For": f"10.0.0.{number}"}))[0]
        for number in range(BURST + 1)
    ]
    assert statuses == [200] * BURST + [429]


async def test_a_storm_of_halls_behind_one_address_joins(limited: Api) -> None:
    """Many more halls than an address may make requests join from it, because each counts for itself."""
    halls = await limited.prepare(5 * BURST)
    async with connect_relay(limited, register_message("edge-1")):
        for hall_id in halls:
            await limited.join(hall_id)


class TestBehindAProxy:
    """`behind_proxy: true`."""

    @pytest.fixture
    def limits(self) -> RateLimitsConfig:
        """As above, behind a proxy."""
        return RateLimitsConfig(address_per_s=0.1, address_burst=2, behind_proxy=True)

    async def test_the_address_is_the_one_that_the_proxy_appended(self, limited: Api) -> None:
        """The last entry counts, whatever the caller wrote before it; an IPv6 network of 64 bits is one caller."""

        async def ask(forwarded: str) -> int:
            return (await limited.call("GET", "/hall", role=None, headers={"X-Forwarded-For": forwarded}))[0]

        assert [await ask(f"198.51.100.{number}, 203.0.113.1") for number in range(3)] == [200, 200, 429]
        assert await ask("203.0.113.1, 203.0.113.2") == 200
        assert [await ask(f"2001:db8:0:1::{number}") for number in range(3)] == [200, 200, 429]
        assert await ask("2001:db8:0:2::1") == 200
        assert [await ask(odd) for odd in ("unknown", "<script>", "1.2.3.4:5")] == [200, 200, 429]
