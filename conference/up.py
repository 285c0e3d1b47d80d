"""`diemcau up`: the coordinator and one origin relay on this machine, as child processes.

Owns: the state directory, the generated configuration, an organiser's token for the person who started it. Refuses:
restarting a program that died; it stops the other and says which one and why.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path

import typer

from conference.access import KeyRing
from conference.config import KEY_FILE
from conference.layout import coordinator_document, relay_document, write_document
from conference.starting import wait_ready, write_token
from conference.supervision import ProgramDiedError, ProgramSpec, Supervisor

STOP_GRACE_S = 10.0
# The organiser's token lives as long as people prepare a conference; `up` writes a new one at each start.
ORGANISER_TOKEN_S = 30 * 86_400
RELAY_TOKEN_S = 366 * 86_400
RELAY_ID = "relay-1"


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `diemcau up` was asked for.

    Attributes:
        state_dir: everything that must survive, and the logs.
        host: address to listen on.
        port: TCP port of the coordinator.
        relay_port: TCP and UDP port of the relay.
    """

    state_dir: Path
    host: str
    port: int
    relay_port: int


def run_up(options: UpOptions) -> None:
    """Run until Ctrl-C or SIGTERM.

    Raises:
        ConferenceError: a program could not start, or died.
        OSError: the state directory cannot be written.
    """
    asyncio.run(_run(options))


async def _run(options: UpOptions) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    state_dir = options.state_dir.resolve()
    coordinator_dir, logs = state_dir / "coordinator", state_dir / "log"
    for folder in (state_dir, coordinator_dir, logs):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = KeyRing.load_or_create(coordinator_dir / KEY_FILE)
    write_token(keys, state_dir / "organiser.token", "organiser", "organiser", ORGANISER_TOKEN_S)
    write_token(keys, state_dir / "relay.token", "relay", RELAY_ID, RELAY_TOKEN_S)
    coordinator_url = f"http://{options.host}:{options.port}"
    relay_url = f"http://{options.host}:{options.relay_port}"
    coordinator_file, relay_file = state_dir / "coordinator.yaml", state_dir / "relay.yaml"
    write_document(coordinator_file, coordinator_document(options.host, options.port, coordinator_dir))
    write_document(
        relay_file,
        relay_document(
            RELAY_ID,
            "origin",
            "",
            host=options.host,
            http_port=options.relay_port,
            media_port=options.relay_port,
            coordinator_url=coordinator_url,
            token_file=state_dir / "relay.token",
        ),
    )
    supervisor = Supervisor(logs)

    async def serve() -> None:
        coordinator = await supervisor.start(
            ProgramSpec("coordinator", ["coordinator", "--config", str(coordinator_file)])
        )
        await wait_ready(coordinator_url, "coordinator")
        relay = await supervisor.start(ProgramSpec("relay", ["relay", "--config", str(relay_file)]))
        await wait_ready(relay_url, "relay")
        typer.echo(f"Máy chủ điều phối (coordinator): {coordinator_url}  pid {coordinator.pid}")
        typer.echo(f"Trạm chuyển tiếp (relay):        {relay_url}  pid {relay.pid}")
        typer.echo(f"Mã truy cập ban tổ chức (organiser's token): {state_dir / 'organiser.token'}")
        typer.echo(f"Nhật ký (logs): {logs}")
        where = f"--server {coordinator_url} --token-file {state_dir / 'organiser.token'}"
        typer.echo(f"Trang trực tiếp (live page): diemcau live {where}")
        typer.echo("Ctrl-C để dừng (to stop).")
        await stop.wait()

    stopping = asyncio.create_task(stop.wait())
    serving = asyncio.create_task(supervisor.guard(serve()))
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
    except ProgramDiedError as error:
        typer.echo(error.last_words, err=True)
        raise
    finally:
        stopping.cancel()
        serving.cancel()
        await asyncio.gather(serving, stopping, return_exceptions=True)
        await supervisor.stop_all(grace_s=STOP_GRACE_S)
    typer.echo("Đã dừng (stopped).")
