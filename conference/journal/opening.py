"""Which journal a configuration means. Opens no file and no connection; a journal does that at its first call."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from conference.config import CoordinatorConfig, JournalConfig
from conference.journal.contract import Journal
from conference.journal.redis.address import parse_redis_url
from conference.journal.sqlite import SqliteJournal
from configs.loading import read_secret


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
    from conference.journal.redis.link import Durability, Trust  # noqa: PLC0415 - the same

    address = parse_redis_url(config.url)
    # Where there is a failover, what is on one machine only may be lost by it.
    replicas = int(address.kind != "single") if config.replicas is None else config.replicas
    return RedisJournal(
        address,
        holder=f"{socket.gethostname()}:{os.getpid()}",
        name=config.name,
        partition=partition,
        trust=Trust(
            password=_secret(config.password_file),
            sentinel_password=_secret(config.sentinel_password_file),
            ca_file=str(config.ca_file or ""),
        ),
        durability=Durability(replicas=replicas, require_aof=config.require_aof),
        keep_records=config.keep_records,
        timeout_s=config.timeout_s,
    )


def _secret(path: Path | None) -> str:
    return "" if path is None else read_secret(path)
