"""The swarm as a program against a real relay with a real publisher, and against a full ICE agent."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.aiortc_relay import TestRelay, until
from support.certificates import write_certificate
from support.relays import CONFERENCE, FEED, RelayProcess, Signer, free_port, relay_process

from bridges.programme import Programme
from bridges.publish import PublishState, publish
from configs.tls import TlsFiles
from relay.app import serve
from relay.config import HttpListen, RelayConfig
from relay.swarm.errors import SwarmError
from relay.swarm.swarm import SwarmOptions, run_swarm

pytestmark = pytest.mark.integration

StartSwarm = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
def signer() -> Signer:
    """The key of the tokens."""
    return Signer()


@pytest.fixture
async def relay(tmp_path: Path, signer: Signer) -> AsyncIterator[RelayProcess]:
    """A relay with a publisher."""
    async with relay_process(tmp_path, signer, relay_id="r1", role="origin") as relay:
        stop, states = asyncio.Event(), list[PublishState]()
        token = signer.token("p", "publish")
        publishing = asyncio.create_task(
            publish(Programme(fps=15), [relay.endpoint("whip")], token, stop=stop, on_state=states.append)
        )
        await until(lambda: "live" in states)
        yield relay
        stop.set()
        await publishing


@pytest.fixture
async def swarm_program() -> AsyncIterator[StartSwarm]:
    """Starts `diemcau swarm` as a process, which does not outlive its test."""
    started: list[asyncio.subprocess.Process] = []

    async def start(*arguments: str, token_file: Path, env: dict[str, str] | None = None) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "conference.cli.main", "swarm", *arguments, "--token-file", str(token_file),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, **(env or {})},
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def play_token(directory: Path, signer: Signer) -> Path:
    """A file with a token for WHEP."""
    file = directory / "play.token"
    file.write_text(signer.token("swarm", "play"))
    return file


async def listens(port: int) -> bool:
    """Whether somebody takes connections at this port of loopback."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@contextlib.asynccontextmanager
async def tls_relay(directory: Path, signer: Signer, files: TlsFiles) -> AsyncIterator[str]:
    """A relay that serves HTTPS, without a publisher; gives its WHEP endpoint."""
    public_key_file = directory / "public.pem"
    public_key_file.write_text(signer.public_key)
    port = free_port()
    config = RelayConfig(relay_id="r1", http=HttpListen(port=port, tls=files), public_key_files=(public_key_file,))
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(config, stop))
    try:
        async with asyncio.timeout(60):
            while True:
                if await listens(port):
                    break
                await asyncio.sleep(0.02)
        yield f"https://127.0.0.1:{port}/{CONFERENCE}/{FEED}/whep"
    finally:
        stop.set()
        await serving


async def test_five_receivers_get_everything(
    relay: RelayProcess, tmp_path: Path, signer: Signer, swarm_program: StartSwarm
) -> None:
    """All connect, see a keyframe, lose nothing, and are gone from the relay afterwards; exit code 0, JSON last."""
    process = await swarm_program(
        relay.endpoint("whep"), "-n", "5", "--seconds", "2", token_file=play_token(tmp_path, signer)
    )
    table, said = (stream.decode() for stream in await process.communicate())
    assert process.returncode == 0, said
    summary: dict[str, Any] = json.loads(table.splitlines()[-1])
    assert "Bên nhận" in table
    assert (summary["connected"], summary["failed"], summary["lost"], summary["silent"]) == (5, 0, 0, 0)
    # Two seconds of 50 audio packets and some video; half of it where the machine is busy.
    assert summary["packets"] > 5 * 2 * 25
    assert (summary["packets_lost"], summary["packets_unauthentic"], summary["packets_dropped_here"]) == (0, 0, 0)
    assert 0 < summary["packets_opened"] < summary["packets"] / 2
    assert [step["count"] for step in summary["setup_ms"].values()] == [5] * 5
    p50 = [step["p50"] for step in summary["setup_ms"].values()]
    assert p50 == sorted(p50)
    assert summary["jitter_ms"]["audio"]["count"] == summary["jitter_ms"]["video"]["count"] == 5
    assert summary["us_per_packet"] > 0
    metrics = await relay.metrics()
    assert metrics["diemcau_relay_subscribers"] == 0


async def test_a_relay_that_dies_is_reported(
    relay: RelayProcess, tmp_path: Path, signer: Signer, swarm_program: StartSwarm
) -> None:
    """After kill -9 in the middle every receiver is lost, the swarm ends long before its time, exit code 1."""
    process = await swarm_program(
        relay.endpoint("whep"), "-n", "5", "--seconds", "100", "--json", token_file=play_token(tmp_path, signer)
    )
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while "5/5 đã nối" not in (line := (await process.stderr.readline()).decode()):
            assert line, "the swarm ended"
        relay.kill()
        out, said = await process.communicate()
    assert process.returncode == 1
    summary = json.loads(out)
    assert (summary["connected"], summary["failed"], summary["lost"]) == (5, 0, 5)
    assert summary["reasons"] == {"port_unreachable": 5}
    assert summary["held_s"] < 50
    assert "5 mất kết nối (lost)" in said.decode()


async def test_a_refused_swarm_fails(
    relay: RelayProcess, tmp_path: Path, signer: Signer, swarm_program: StartSwarm
) -> None:
    """A publisher's token does not play: nobody connects, the reason is told, exit code 1."""
    file = tmp_path / "wrong.token"
    file.write_text(signer.token("p", "publish"))
    process = await swarm_program(relay.endpoint("whep"), "-n", "3", "--json", token_file=file)
    out, said = await process.communicate()
    assert process.returncode == 1
    assert json.loads(out)["reasons"] == {"HTTP 403": 3}
    assert "HTTP 403: mã này không được xem nguồn này" in said.decode()


async def test_ctrl_c_ends_it_in_order(
    relay: RelayProcess, tmp_path: Path, signer: Signer, swarm_program: StartSwarm
) -> None:
    """Also in the middle of joining: those that are there leave, the figures are printed, exit code 0."""
    process = await swarm_program(
        relay.endpoint("whep"), "-n", "1000", "--ramp", "1", "--json", token_file=play_token(tmp_path, signer)
    )
    async with asyncio.timeout(60):
        while True:
            metrics = await relay.metrics()
            if metrics['diemcau_relay_dtls_handshakes_total{result="completed"}'] >= 3:  # a publisher's, and two more
                break
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, said = await process.communicate()
    assert process.returncode == 0, said
    assert (json.loads(out)["connected"] >= 1, json.loads(out)["lost"]) == (True, 0)
    assert (await relay.metrics())["diemcau_relay_subscribers"] == 0


async def test_a_full_ice_agent_will_do() -> None:
    """Any WHEP server serves: one that is not ICE-lite checks the receivers and gets its answers."""
    server = TestRelay()
    await server.start()
    try:
        summary = await run_swarm(
            f"{server.base_url}/c/program/whep", "any", SwarmOptions(receivers=2, ramp_per_s=0), seconds=1.0
        )
    finally:
        await server.close()
    assert (summary.connected, summary.failed, summary.lost, summary.complaint) == (2, 0, 0, "")
    assert summary.packets_lost == 0
    assert summary.setup_ms["first_keyframe"].count == 2
    assert server.deleted == 2


async def test_tls_is_checked(tmp_path: Path, signer: Signer, swarm_program: StartSwarm) -> None:
    """Over HTTPS the certificate must be trusted, by the system's way of naming an authority (SSL_CERT_FILE)."""
    certificate_file, key_file = write_certificate(tmp_path)
    token_file = play_token(tmp_path, signer)
    async with tls_relay(tmp_path, signer, TlsFiles(certificate_file=certificate_file, key_file=key_file)) as endpoint:
        arguments = (endpoint, "-n", "2", "--seconds", "0", "--json")
        process = await swarm_program(*arguments, token_file=token_file)
        out, said = await process.communicate()
        assert process.returncode == 1
        assert json.loads(out)["reasons"] == {"TLS certificate not trusted": 2}
        assert "SSL_CERT_FILE" in said.decode()
        trusting = await swarm_program(*arguments, token_file=token_file, env={"SSL_CERT_FILE": str(certificate_file)})
        out, _ = await trusting.communicate()
        assert (json.loads(out)["connected"], json.loads(out)["reasons"]) == (2, {})


async def test_nobody_there_is_a_reason() -> None:
    """A port where nobody listens: one reason for all, and no waiting."""
    summary = await run_swarm(
        "http://127.0.0.1:9/c/program/whep", "", SwarmOptions(receivers=4, ramp_per_s=0), seconds=60.0
    )
    assert (summary.connected, summary.failed) == (0, 4)
    assert summary.reasons == {"connection refused": 4}
    assert summary.held_s < 30


async def test_a_swarm_can_be_stopped(relay: RelayProcess, signer: Signer) -> None:
    """The stop event ends it in order, before its time, with its figures."""
    stop = asyncio.Event()
    summary = await run_swarm(
        relay.endpoint("whep"),
        signer.token("swarm", "play"),
        SwarmOptions(receivers=2, ramp_per_s=0),
        seconds=100.0,
        stop=stop,
        on_joined=lambda _: stop.set(),
    )
    assert (summary.connected, summary.lost) == (2, 0)


@pytest.mark.parametrize("receivers", [0, 5001])
async def test_sizes_are_bounded(receivers: int) -> None:
    """A swarm is neither empty nor without end."""
    with pytest.raises(SwarmError):
        await run_swarm("http://127.0.0.1:9/", "", SwarmOptions(receivers=receivers), seconds=0.0)
