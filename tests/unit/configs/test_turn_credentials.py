"""Credentials of TURN servers: what coturn's `use-auth-secret` takes, and what a configuration may name."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest
from pydantic import ValidationError

from configs.loading import ConfigError
from configs.turn import MAX_URLS, TurnCredentials, TurnServers

URLS = ("turn:turn.example.vn:3478?transport=tcp", "turns:turn.example.vn:443?transport=tcp")


def servers(secret_file: Path = Path("secret"), **changes: object) -> TurnServers:
    """Two servers with some keys set."""
    return TurnServers.model_validate({"urls": list(URLS), "secret_file": secret_file, **changes})


def test_a_grant_expires_and_is_signed_with_the_shared_secret() -> None:
    """The user name is the end of its time and the holder; the password is its HMAC-SHA1 in base64."""
    grant = TurnCredentials(servers(lifetime_s=3_600), "north").issue("hall-1", 1_000_000.9)
    assert grant.urls == URLS
    assert grant.username == "1003600:hall-1"
    expected = hmac.new(b"north", b"1003600:hall-1", hashlib.sha1).digest()
    assert base64.b64decode(grant.credential) == expected


def test_whatever_a_holder_is_called_fits_a_header_field() -> None:
    """Quotes, line ends and letters beyond ASCII are escaped, and the length is bounded."""
    name = TurnCredentials(servers(), "s").issue('điểm "cầu"\r\n:' + "x" * 500, 0.0).username
    assert name.isascii()
    assert not set(name) & set('"\r\n ,;')
    assert name.count(":") == 1
    assert len(name) < 100


def test_the_secret_is_read_from_its_file(tmp_path: Path) -> None:
    """Without servers there is nothing to issue; without the file the start is refused."""
    assert TurnCredentials.load(None) is None
    file = tmp_path / "secret"
    with pytest.raises(ConfigError):
        TurnCredentials.load(servers(file))
    file.write_text("north\n")
    loaded = TurnCredentials.load(servers(file))
    assert loaded is not None
    assert loaded.issue("h", 0.0) == TurnCredentials(servers(), "north").issue("h", 0.0)
    assert "north" not in repr(vars(servers(file)))


@pytest.mark.parametrize(
    "url",
    ["turn:10.0.0.1", "turn:[2001:db8::1]:3478", "turns:turn.example.vn", "turn:t.example:3478?transport=udp"],
)
def test_urls_of_rfc_7065(url: str) -> None:
    """With or without port and transport, by name or by address."""
    assert servers(urls=[url]).urls == (url,)


@pytest.mark.parametrize(
    "changes",
    [
        {"urls": []},
        {"urls": ["stun:turn.example.vn"]},
        {"urls": ["https://turn.example.vn"]},
        {"urls": ["turn:turn.example.vn?transport=sctp"]},
        {"urls": ['turn:a">; rel="x']},
        {"urls": [f"turn:t{number}.example" for number in range(MAX_URLS + 1)]},
        {"lifetime_s": 10},
        {"secret": "north"},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(changes: dict[str, object]) -> None:
    """Other schemes, too many servers, times too short, and a secret that stands in the file itself."""
    with pytest.raises(ValidationError):
        servers(**changes)  # type: ignore[arg-type] # keys that are wrong on purpose
