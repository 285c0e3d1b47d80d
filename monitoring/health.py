"""Liveness and readiness of a program.

`/healthz` says only that the process answers: tied to a store, it would have healthy relays restarted while the store
is away. `/readyz` names each condition that is not met yet, so that an operator need not guess.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable

from aiohttp import web

from monitoring.exporter import metrics_handler
from monitoring.metrics import Registry

Check = Callable[[], str | None]


class Health:
    """Named conditions that must hold before a program may be given work."""

    def __init__(self, program: str, conditions: Iterable[str] = ()) -> None:
        """Start with `conditions` unmet."""
        self.program = program
        self._unmet: dict[str, str] = dict.fromkeys(conditions, "not yet")
        self._checks: dict[str, Check] = {}

    def met(self, condition: str) -> None:
        """A condition holds from now."""
        self._unmet.pop(condition, None)

    def unmet(self, condition: str, reason: str) -> None:
        """A condition does not hold; `reason` is one short clause for people."""
        self._unmet[condition] = reason

    def add_check(self, condition: str, check: Check) -> None:
        """Ask `check` at each request; it returns None when the condition holds, else the reason. It must not wait."""
        self._checks[condition] = check

    def missing(self) -> dict[str, str]:
        """Every condition that does not hold, with its reason."""
        found = dict(self._unmet)
        for condition, check in self._checks.items():
            reason = check()
            if reason is not None:
                found[condition] = reason
        return found


def routes(health: Health, registry: Registry) -> list[web.RouteDef]:
    """`/healthz`, `/readyz` and `/metrics`, to add to any aiohttp application."""
    no_store = {"Cache-Control": "no-store"}

    async def healthz(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok", "program": health.program}, headers=no_store)

    async def readyz(_request: web.Request) -> web.StreamResponse:
        missing = health.missing()
        return web.json_response(
            {"status": "waiting" if missing else "ready", "program": health.program, "missing": missing},
            status=503 if missing else 200,
            headers=no_store,
        )

    return [
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/metrics", metrics_handler(registry)),
    ]


@contextlib.asynccontextmanager
async def serve(host: str, port: int, *, health: Health, registry: Registry) -> AsyncIterator[int]:
    """Serve the three routes for a program without HTTP of its own.

    Args:
        host: address to listen on.
        port: TCP port, or 0 for a free one.
        health: conditions of the program.
        registry: its metrics.

    Yields:
        The port that it listens on.

    Raises:
        OSError: the address cannot be bound.
    """
    app = web.Application(client_max_size=1024)  # nothing here takes a body
    app.add_routes(routes(health, registry))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
