"""A coordinator in this process, on a free port, with a journal in a temporary folder."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.coordinator_harness import Api

from conference.app import RunningCoordinator, serve_coordinator
from conference.config import CoordinatorConfig


@pytest.fixture
def config(tmp_path: Path) -> CoordinatorConfig:
    """A free port, and leases short enough to wait for their end."""
    return CoordinatorConfig(port=0, state_dir=tmp_path / "state", lease_s=0.6, heartbeat_s=0.05)


@pytest.fixture
async def running(config: CoordinatorConfig) -> AsyncIterator[RunningCoordinator]:
    """A coordinator that serves."""
    async with serve_coordinator(config) as running:
        yield running


@pytest.fixture
async def api(running: RunningCoordinator) -> AsyncIterator[Api]:
    """Its API."""
    async with contextlib.aclosing(Api(running.url, running.services.keys)) as api:
        yield api
