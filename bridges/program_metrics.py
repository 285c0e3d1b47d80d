"""Metrics and health of the programs that have no HTTP of their own: a hall, a publisher, virtual halls. Shell.

They are served on loopback only, and only when a port is asked for: these programs run on people's machines.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import get_args

from bridges.agent import HallAgent
from bridges.attendance import HallStatus
from bridges.hall_counts import HallMove
from bridges.publish import PublishCounts
from bridges.virtual import VirtualHalls
from monitoring.health import Health, serve
from monitoring.metrics import HallMetrics, PublisherMetrics, Registry, VirtualMetrics

HOST = "127.0.0.1"


@contextlib.asynccontextmanager
async def serve_hall(agent: HallAgent, port: int) -> AsyncIterator[int]:
    """Serve what a hall's agent counts; ready while it has a picture (or the sound of a feed without pictures).

    Args:
        agent: takes over its `on_move`.
        port: TCP port, or 0 for a free one.

    Yields:
        The port.

    Raises:
        OSError: the port cannot be had.
    """
    registry, health, counts = Registry("hall"), Health("hall"), agent.counts
    metrics = HallMetrics(registry)

    def moves() -> dict[str, int]:
        found: dict[str, int] = {}
        for move in agent.moves:
            found[move.reason] = found.get(move.reason, 0) + 1
        return found

    def observe(move: HallMove) -> None:
        metrics.interruption_seconds.observe(move.interruption_ms / 1000)

    metrics.feed(
        halls=lambda: {state: int(state == agent.state) for state in get_args(HallStatus)},
        joins_total=lambda: counts.joins,
        packets_received_total=lambda: counts.packets_received,
        packets_lost_total=lambda: counts.packets_lost,
        frames_decoded_total=lambda: counts.pictures,
        moves_total=moves,
        malformed_total=lambda: counts.malformed,
    )
    agent.on_move = observe
    health.add_check("picture", lambda: None if agent.state == "present" else agent.state)
    async with serve(HOST, port, health=health, registry=registry) as bound:
        yield bound


@contextlib.asynccontextmanager
async def serve_publisher(counts: PublishCounts, port: int) -> AsyncIterator[int]:
    """Serve what a publisher counts; ready while a WHIP session is up. See `serve_hall`."""
    registry, health = Registry("publisher"), Health("publisher")
    PublisherMetrics(registry).feed(
        connected=lambda: counts.sessions_up,
        reconnections_total=lambda: counts.reconnections,
        frames_encoded_total=lambda: {str(kind): number for kind, number in counts.frames.items()},
        packets_sent_total=lambda: counts.packets_sent,
        bytes_sent_total=lambda: counts.bytes_sent,
    )
    health.add_check("connected", lambda: None if counts.sessions_up else "no WHIP session")
    async with serve(HOST, port, health=health, registry=registry) as bound:
        yield bound


@contextlib.asynccontextmanager
async def serve_virtual(halls: VirtualHalls, relays: Callable[[], tuple[int, int]], port: int) -> AsyncIterator[int]:
    """Serve what virtual halls count; ready while all their relays are registered. See `serve_hall`.

    Args:
        halls: of this process.
        relays: says how many virtual relays are registered, and how many there are.
        port: TCP port, or 0 for a free one.

    Yields:
        The port.

    Raises:
        OSError: the port cannot be had.
    """
    registry, health = Registry("virtual"), Health("virtual")

    def by_status() -> dict[str, int]:
        live, all_of_them = relays()
        return {"live": live, "lost": all_of_them - live}

    def by_state() -> dict[str, int]:
        now = halls.summary()
        return {"waiting": now.halls - now.joined, "present": now.present, "away": max(0, now.joined - now.present)}

    def failed() -> dict[str, int]:
        now = halls.summary()
        return {"refused": now.refused, "unreachable": now.unreachable}

    def missing() -> str | None:
        live, all_of_them = relays()
        return None if live == all_of_them else f"{live} of {all_of_them} registered"

    VirtualMetrics(registry).feed(
        relays=by_status,
        halls=by_state,
        joins_total=lambda: halls.summary().joined,
        late_joins_total=lambda: halls.summary().late,
        moves_total=lambda: halls.summary().moved,
        headcounts_total=lambda: halls.summary().headcounts,
        requests_failed_total=failed,
    )
    health.add_check("relays", missing)
    async with serve(HOST, port, health=health, registry=registry) as bound:
        yield bound
