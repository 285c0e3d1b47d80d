"""The coordinator serves HTTPS with a certificate of its configuration."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import pytest
from support.certificates import write_certificate

from conference.app import serve_coordinator
from conference.config import CoordinatorConfig
from configs.loading import ConfigError
from configs.tls import TlsFiles

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


def test_files_that_are_no_certificate_are_named(tmp_path: Path) -> None:
    """A missing or wrong file is one clear error that names the files."""
    tls = TlsFiles(certificate_file=tmp_path / "no.pem", key_file=tmp_path / "no.key")
    with pytest.raises(ConfigError, match=r"no\.pem"):
        tls.server_context()
