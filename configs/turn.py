"""TURN servers (RFC 8656) for halls whose network lets no UDP out, and the short-lived credentials that open them.

The server and we share a secret. A user name is the time at which it expires, with the name of who it was given to, and
its password the HMAC of it: what coturn calls `use-auth-secret`. No account exists anywhere.
"""

from __future__ import annotations

import base64
import hmac
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import quote

from pydantic import Field

from configs.loading import Section, read_secret

MAX_URLS = 4  # of these a peer that needs them allocates an address at each
_URL = r"^turns?:([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?(\?transport=(udp|tcp))?$"  # RFC 7065

TurnUrl = Annotated[str, Field(pattern=_URL)]


class TurnServers(Section):
    """The TURN servers that halls and publishers are told of.

    Attributes:
        urls: best first, `turn:turn.example.vn:3478?transport=tcp` or `turns:turn.example.vn:443?transport=tcp`.
        secret_file: file of the shared secret, coturn's `static-auth-secret`.
        lifetime_s: a credential is good for so long. Allocations are refreshed with the credential that made them:
            longer than a conference and its breaks.
    """

    urls: Annotated[tuple[TurnUrl, ...], Field(min_length=1, max_length=MAX_URLS)]
    secret_file: Path
    lifetime_s: int = Field(default=86_400, ge=600, le=604_800)


class TurnGrant(NamedTuple):
    """What opens the servers for one peer; `credential` is a secret of that peer."""

    urls: tuple[str, ...]
    username: str
    credential: str


class TurnCredentials:
    """Issues grants; holds the shared secret."""

    def __init__(self, servers: TurnServers, secret: str) -> None:
        self._servers = servers
        self._secret = secret.encode()

    @classmethod
    def load(cls, servers: TurnServers | None) -> TurnCredentials | None:
        """Those of the configured servers, None where none are.

        Raises:
            ConfigError: the secret's file cannot be read.
        """
        return None if servers is None else cls(servers, read_secret(servers.secret_file))

    def issue(self, subject: str, now_s: float) -> TurnGrant:
        """A grant for `subject`, good from `now_s` (seconds since the epoch) for the configured time."""
        # Quoted, because whatever stands in a token must fit into a header field and a STUN attribute.
        username = f"{int(now_s) + self._servers.lifetime_s}:{quote(subject, safe='')[:64]}"
        digest = hmac.digest(self._secret, username.encode(), "sha1")
        return TurnGrant(self._servers.urls, username, base64.b64encode(digest).decode())
