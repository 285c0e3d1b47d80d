"""Coordinator and relay serve HTTPS with a certificate of their configuration."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest
from support.certificates import write_certificate
from support.relays import Signer, free_port

from conference.app import serve_coordinator
from conference.config import CoordinatorConfig
from configs.loading import ConfigError
from configs.tls import TlsFiles
from relay.app import serve
from relay.config import HttpListen, RelayConfig

pytestmark = pytest.mark.integration


async def test_https_is_served_with_the_certificate(tmp_path: Path) -> None:
    """A client that trusts the certificate is answered over TLS, and the address says https."""
    certificate_file, key_file = write_certificate(tmp_path)
    tls = TlsFiles(certificate_file=certificate_file, key_file=key_file)
    config = CoordinatorConfig(port=0, state_dir=tmp_path / "state", tls=tls)
    async with serve_coordinator(config) as running:
        assert running.url.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=certificate_file)
        async with aiohttp.ClientSession() as client, client.get(f"{running.url}/healthz", ssl=trust) as response:
            assert response.status == 200


async def test_a_relay_serves_https(tmp_path: Path) -> None:
    """WHIP and WHEP answer over TLS to who trusts the certificate."""
    certificate_file, key_file = write_certificate(tmp_path)
    public_key_file = tmp_path / "public.pem"
    public_key_file.write_text(Signer().public_key)
    tls = TlsFiles(certificate_file=certificate_file, key_file=key_file)
    port = free_port()
    config = RelayConfig(relay_id="r1", http=HttpListen(port=port, tls=tls), public_key_files=(public_key_file,))
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(config, stop))
    try:
        trust = ssl.create_default_context(cafile=certificate_file)
        url = f"https://127.0.0.1:{port}/c/program/whep"
        async with aiohttp.ClientSession() as client:
            status = await first_status(client, url, trust, serving)
        assert status == 401
    finally:
        stop.set()
        await serving


async def first_status(
    client: aiohttp.ClientSession, url: str, trust: ssl.SSLContext, serving: asyncio.Task[None]
) -> int:
    """The status of the first answer, however long the server takes to come up."""
    while not serving.done():
        try:
            async with client.post(url, ssl=trust) as response:
                return response.status
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.02)
    raise AssertionError("the relay ended")


def test_files_that_are_no_certificate_are_named(tmp_path: Path) -> None:
    """A missing or wrong file is one clear error that names the files."""
    tls = TlsFiles(certificate_file=tmp_path / "no.pem", key_file=tmp_path / "no.key")
    with pytest.raises(ConfigError, match=r"no\.pem"):
        tls.server_context()
