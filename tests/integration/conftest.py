"""Groups of Redis servers for those who keep a journal there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.redis_groups import Cluster, SentinelGroup


@pytest.fixture
def group(tmp_path: Path) -> Iterator[SentinelGroup]:
    """A master, its replicas, and three Sentinels."""
    group = SentinelGroup(tmp_path)
    yield group
    group.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three masters."""
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()
