"""Which journal a configuration means. Opens no file and no connection; a journal does that at its first call."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from conference.config import CoordinatorConfig, JournalConfig
from conference.journal.contract import Journal
from conference.journal.redis.address import RedisAddress, parse_redis_url
from conference.journal.sqlite import SqliteJournal
from configs.loading import read_secret

if TYPE_CHECKING:
    from conference.journal.redis.link import Durability, Trust


def open_journal(config: CoordinatorConfig) -> Journal:
    """The journal of a coordinator.

    Raises:
        ConfigError: a password's file cannot be read.
    """
    if not config.journal.url:
        return SqliteJournal(config.journal_path)
    return open_redis(config.journal)


def open_redis(config: JournalConfig, partition: str = "") -> Journal:
    """The journal at `config.url`, or the partition of it whose stream is named.

    Raises:
        ConfigError: a password's file cannot be read.
        JournalAddressError: `config.url` is none.
    """
    # Imported here: a coordinator on one machine should not pay for a library that it does not use.
    from conference.journal.redis.journal import RedisJournal  # noqa: PLC0415 - see above

    address = parse_redis_url(config.url)
    return RedisJournal(
        address,
        holder=f"{socket.gethostname()}:{os.getpid()}",
        name=config.name,
        partition=partition,
        trust=trust_of(config),
        durability=durability_of(config, address),
        keep_records=config.keep_records,
        timeout_s=config.timeout_s,
    )


def trust_of(config: JournalConfig) -> Trust:
    """How the servers of a configuration are to be trusted.

    Raises:
        ConfigError: a password's file cannot be read.
    """
    from conference.journal.redis.link import Trust  # noqa: PLC0415 - as in `open_redis`

    return Trust(
        password=_secret(config.password_file),
        sentinel_password=_secret(config.sentinel_password_file),
        ca_file=str(config.ca_file or ""),
    )


def durability_of(config: JournalConfig, address: RedisAddress) -> Durability:
    """What an acknowledgement of a configuration's servers promises."""
    from conference.journal.redis.link import Durability  # noqa: PLC0415 - as in `open_redis`

    # Where there is a failover, what is on one machine only may be lost by it.
    replicas = int(address.kind != "single") if config.replicas is None else config.replicas
    return Durability(replicas=replicas, require_aof=config.require_aof)


def _secret(path: Path | None) -> str:
    return "" if path is None else read_secret(path)
