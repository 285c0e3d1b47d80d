"""Which people store a configuration means. Opens no file and no connection; a store does that at its first call."""

from __future__ import annotations

from pathlib import Path

from conference.config import JournalConfig
from conference.journal.opening import durability_of, trust_of
from conference.journal.redis.address import parse_redis_url
from conference.people.contract import PeopleStore
from conference.people.sqlite import SqlitePeople

PEOPLE_FILE = "people.sqlite"


def open_people(journal: JournalConfig, state_dir: Path) -> PeopleStore:
    """The people store beside a journal: a file in `state_dir`, or the journal's Redis.

    Raises:
        ConfigError: a password's file cannot be read.
        JournalAddressError: `journal.url` is none.
    """
    if not journal.url:
        return SqlitePeople(state_dir / PEOPLE_FILE)
    # Imported here: a coordinator on one machine should not pay for a library that it does not use.
    from conference.people.redis import RedisPeople  # noqa: PLC0415 - see above

    address = parse_redis_url(journal.url)
    return RedisPeople(address, name=journal.name, trust=trust_of(journal), durability=durability_of(journal, address))
