"""Where a Redis journal is: one server, the master that Sentinels name, or a Cluster. Pure.

Forms, each also with `rediss` for TLS:

    redis://[user@]host[:port][/database]
    redis+sentinel://[user@]host[:port][,host[:port]…]/service[/database]
    redis+cluster://[user@]host[:port][,host[:port]…]

Refused: a password (addresses stand in files and logs; the password is read from a file of its own) and options after
`?`, which are keys of the configuration.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from conference.errors import JournalError

Kind = Literal["single", "sentinel", "cluster"]

SCHEMES: dict[str, Kind] = {"redis": "single", "redis+sentinel": "sentinel", "redis+cluster": "cluster"}
DEFAULT_PORTS: dict[Kind, int] = {"single": 6379, "sentinel": 26379, "cluster": 6379}
MAX_LENGTH = 2_000
_SERVICE = re.compile(r"[A-Za-z0-9._-]+")
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")


class JournalAddressError(JournalError):
    """The address of a journal is none; says what was expected."""

    code = "journal_address"
    status = 500


class RedisAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed address.

    Attributes:
        kind: what answers at `nodes`.
        nodes: host and port of the server, of the Sentinels, or of some nodes of the Cluster.
        service: the master's name for Sentinel; "" otherwise.
        database: number of the database; 0 in a Cluster.
        user: name for Redis's access control; "" for the default user.
        tls: encrypt, and check the server's certificate.
    """

    kind: Kind
    nodes: tuple[tuple[str, int], ...]
    service: str = ""
    database: int = 0
    user: str = ""
    tls: bool = False

    def __str__(self) -> str:
        """The address as a person would write it, fit for a log."""
        scheme = next(name for name, kind in SCHEMES.items() if kind == self.kind)
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.nodes)
        path = "/".join(part for part in (self.service, str(self.database) if self.database else "") if part)
        return f"{scheme.replace('redis', 'rediss' if self.tls else 'redis', 1)}://{hosts}{'/' + path if path else ''}"


def is_redis_url(text: str) -> bool:
    """True where the text means a Redis and not a file."""
    return text.partition("://")[0].replace("rediss", "redis", 1) in SCHEMES and "://" in text


def parse_redis_url(text: str) -> RedisAddress:
    """Parse an address.

    Raises:
        JournalAddressError: it has none of the forms above; the text is not repeated, for it may hold a password.
    """
    if len(text) > MAX_LENGTH or not is_redis_url(text):
        raise JournalAddressError(f"a journal's address begins with one of: {', '.join(SCHEMES)} (or rediss), ://")
    scheme, _, rest = text.partition("://")
    try:
        # Several hosts are no authority that urlsplit would take apart; it only has to find the borders.
        parts = urlsplit(f"//{rest}")
    except ValueError as error:
        raise JournalAddressError("the journal's address is no URL") from error
    if parts.query or parts.fragment:
        raise JournalAddressError("the journal's address takes no options after `?` or `#`; they are keys of `journal`")
    user, _, hosts = parts.netloc.rpartition("@")
    if ":" in user:
        raise JournalAddressError("no password in the journal's address: put it into a file, `password_file`")
    kind = SCHEMES[scheme.replace("rediss", "redis", 1)]
    service, database = _path(kind, parts.path)
    return RedisAddress(
        kind=kind,
        nodes=tuple(_node(host, DEFAULT_PORTS[kind]) for host in hosts.split(",")),
        service=service,
        database=database,
        user=unquote(user),
        tls=scheme.startswith("rediss"),
    )


def _node(text: str, default_port: int) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    port = int(found["port"] or default_port) if found else 0
    if found is None or not 0 < port < 65_536:
        raise JournalAddressError("a host of the journal's address is not host or host:port")
    return found["v6"] or found["name"], port


def _path(kind: Kind, path: str) -> tuple[str, int]:
    """Service and database of the part behind the hosts."""
    steps = [step for step in path.split("/") if step]
    service = steps.pop(0) if kind == "sentinel" and steps else ""
    if kind == "sentinel" and not _SERVICE.fullmatch(service):
        raise JournalAddressError("redis+sentinel needs the service's name: redis+sentinel://host/service")
    if kind == "cluster" and steps:
        raise JournalAddressError("a Cluster has no numbered databases: redis+cluster://host")
    if len(steps) > 1 or not all(step.isascii() and step.isdigit() and len(step) <= 4 for step in steps):
        raise JournalAddressError("behind the host stands the number of the database, or nothing")
    return service, int(steps[0]) if steps else 0
