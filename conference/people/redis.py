"""The people store where the journal is on Redis: hashes beside the journal's keys, on the same node of a Cluster.

What was answered is as durable as the journal: in the append-only file, and on as many replicas as configured (`WAIT`).
An import is staged under a key of its own and put in place by one script, all or none; what a process that died left
staged is gone after an hour. An erasure deletes the keys and asks for the append-only file to be written anew, because
the old one still holds the commands that wrote them.

Keys, with the hash tag `{name}` of the journal: `people` (hash: by conference, the last number), and of each conference
`people:<id>` (hash: by number, 16 bytes of identity and the person as JSON) and `people-numbers:<id>` (hash: by
identity, the number).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

import msgspec

from bridges.person import Person
from conference.errors import JournalError
from conference.journal.redis.address import RedisAddress
from conference.journal.redis.link import Durability, Link, Trust
from conference.journal.redis.scripts import Argument, Command, keys_of
from conference.people.contract import PAGE, ConferencePeople, CorruptPeopleError, PeopleConflictError, PeopleError

STAGED_S = 3_600
_IDENTITY_BYTES = 16
# An import of 200,000 people is put in place by one script: some hundred milliseconds here, and slower elsewhere.
DEFAULT_TIMEOUT_S = 30.0
# A rewrite of a file of some gigabytes takes about as long as all these together.
_REWRITE_ATTEMPTS = 60
_REWRITE_PAUSE_S = 1.0

# KEYS: staged people. ARGV: how long they stay, then number and person in turn.
_STAGE = """
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 'staged'
"""

# KEYS: last numbers, people, numbers, staged people. ARGV: conference, last number before, last number after, id.
# Asked twice (an answer was lost) it finds its own id and answers as before.
_SAVE = """
local last = redis.call('HGET', KEYS[1], ARGV[1]) or '0'
if redis.call('GET', KEYS[5]) == ARGV[4] then return {'saved', last} end
if last ~= ARGV[2] then return {'conflict', last} end
local cursor = '0'
repeat
  local found = redis.call('HSCAN', KEYS[4], cursor, 'COUNT', 500)
  cursor = found[1]
  for i = 1, #found[2], 2 do
    local number, person = found[2][i], found[2][i + 1]
    local before = redis.call('HGET', KEYS[2], number)
    if before then redis.call('HDEL', KEYS[3], string.sub(before, 1, 16)) end
    redis.call('HSET', KEYS[2], number, person)
    redis.call('HSET', KEYS[3], string.sub(person, 1, 16), number)
  end
until cursor == '0'
redis.call('DEL', KEYS[4])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('SET', KEYS[5], ARGV[4], 'EX', 3600)
return {'saved', ARGV[3]}
"""

# KEYS: people, numbers. ARGV: numbers.
_ERASE = """
local erased = 0
for i = 1, #ARGV do
  local person = redis.call('HGET', KEYS[1], ARGV[i])
  if person then
    redis.call('HDEL', KEYS[2], string.sub(person, 1, 16))
    erased = erased + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return erased
"""

# KEYS: last numbers, people, numbers. ARGV: conference.
_ERASE_CONFERENCE = """
local erased = redis.call('HLEN', KEYS[2])
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('HDEL', KEYS[1], ARGV[1])
return erased
"""


class RedisPeople:
    """`conference.people.contract.PeopleStore` on the Redis of the journal.

    Nothing is connected before the first call.

    Args:
        address: where the master is.
        name: of the journal; the hash tag of its keys.
        trust: passwords and certificates.
        durability: what an acknowledgement promises.
        timeout_s: how long a call may take before it fails.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        name: str,
        trust: Trust | None = None,
        durability: Durability | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._address = address
        self._tag = f"{{{name}}}"
        self._link = Link(
            address,
            keys_of(name).journal,
            trust=trust or Trust(),
            durability=durability or Durability(),
            timeout_s=timeout_s,
        )
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Person)
        self._closed = False

    async def conferences(self) -> list[ConferencePeople]:
        """See `PeopleStore.conferences`."""
        flat = await self._ask(("HGETALL", self._last_numbers), durable=False)
        last = {name.decode(): int(number) for name, number in zip(flat[::2], flat[1::2], strict=True)}
        return [
            ConferencePeople(
                conference_id=name,
                people=int(await self._ask(("HLEN", self._people(name)), durable=False)),
                last_number=last[name],
            )
            for name in sorted(last)
        ]

    async def last_number(self, conference_id: str) -> int:
        """See `PeopleStore.last_number`."""
        return int(await self._ask(("HGET", self._last_numbers, conference_id), durable=False) or 0)

    async def find(self, conference_id: str, identities: Sequence[bytes]) -> dict[bytes, int]:
        """See `PeopleStore.find`."""
        found = await self._read_fields(self._numbers(conference_id), identities)
        return {identity: int(number) for identity, number in zip(identities, found, strict=True) if number is not None}

    async def read(self, conference_id: str, numbers: Sequence[int]) -> dict[int, Person]:
        """See `PeopleStore.read`."""
        found = await self._read_fields(self._people(conference_id), numbers)
        return {number: self._decode(value) for number, value in zip(numbers, found, strict=True) if value is not None}

    async def read_after(self, conference_id: str, number: int, limit: int) -> list[Person]:
        """See `PeopleStore.read_after`."""
        last = await self.last_number(conference_id)
        people: list[Person] = []
        while number < last and len(people) < limit:
            numbers = range(number + 1, min(number + PAGE, last) + 1)
            people += (await self.read(conference_id, numbers)).values()
            number = numbers[-1]
        return people[:limit]

    async def save(self, conference_id: str, pages: Iterable[Sequence[Person]], *, after: int) -> None:
        """See `PeopleStore.save`."""
        import_id = uuid4().hex
        staged = f"{self._tag}:people-staged:{import_id}"
        try:
            last = await self._stage(staged, pages, after)
        except BaseException:
            with contextlib.suppress(PeopleError):  # it goes by itself after an hour
                await self._ask(("DEL", staged), durable=False)
            raise
        keys = (self._last_numbers, self._people(conference_id), self._numbers(conference_id), staged)
        saved = f"{self._tag}:people-saved:{conference_id}"
        command: Command = ("EVAL", _SAVE, 5, *keys, saved, conference_id, after, last, import_id)
        answer = await self._ask(command)
        if answer[0] == b"conflict":
            await self._ask(("DEL", staged))
            raise PeopleConflictError(f"number {int(answer[1])} was given out already, after {after}")

    async def _stage(self, staged: str, pages: Iterable[Sequence[Person]], after: int) -> int:
        """Write people under a key of their own; the greatest number."""
        last = after
        for page in pages:
            for start in range(0, len(page), PAGE):
                people = page[start : start + PAGE]
                last = max(last, *(person.number for person in people))
                fields = [field for person in people for field in (person.number, self._encode(person))]
                await self._ask(("EVAL", _STAGE, 1, staged, STAGED_S, *fields))
        return last

    async def erase(self, conference_id: str, numbers: Sequence[int]) -> int:
        """See `PeopleStore.erase`."""
        erased = 0
        keys = (self._people(conference_id), self._numbers(conference_id))
        for start in range(0, len(numbers), PAGE):
            erased += int(await self._ask(("EVAL", _ERASE, 2, *keys, *numbers[start : start + PAGE])))
        await self._rewrite_log()
        return erased

    async def erase_conference(self, conference_id: str) -> int:
        """See `PeopleStore.erase_conference`."""
        keys = (self._last_numbers, self._people(conference_id), self._numbers(conference_id))
        erased = int(await self._ask(("EVAL", _ERASE_CONFERENCE, 3, *keys, conference_id)))
        await self._rewrite_log()
        return erased

    async def close(self) -> None:
        """See `PeopleStore.close`."""
        self._closed = True
        await self._link.close()

    async def _rewrite_log(self) -> None:
        """Have the append-only file written anew.

        Raises:
            PeopleError: the server does not; it still holds what was erased.
        """
        for _ in range(_REWRITE_ATTEMPTS):
            try:
                await self._ask(("BGREWRITEAOF",), durable=False)
            except PeopleError as error:
                if "in progress" not in str(error):
                    raise PeopleError(
                        f"erased, but the append-only file still holds it: {error}; run BGREWRITEAOF on the server"
                    ) from error
            else:
                return
            await asyncio.sleep(_REWRITE_PAUSE_S)  # one that began before the erasure would bring it back
        raise PeopleError("erased, but the append-only file still holds it; run BGREWRITEAOF on the server")

    async def _read_fields(self, key: str, fields: Sequence[Argument]) -> list[bytes | None]:
        found: list[bytes | None] = []
        for start in range(0, len(fields), PAGE):
            found += await self._ask(("HMGET", key, *fields[start : start + PAGE]), durable=False)
        return found

    def _encode(self, person: Person) -> bytes:
        try:
            return person.identity + self._encoder.encode(person)
        except UnicodeError:
            raise PeopleError(f"person {person.number} does not encode") from None

    def _decode(self, value: bytes) -> Person:
        try:
            return self._decoder.decode(value[_IDENTITY_BYTES:])
        except (msgspec.MsgspecError, UnicodeError):
            # Without the cause: it quotes what does not decode, which is about a person.
            raise CorruptPeopleError(f"{self._address}: a person does not decode") from None

    @property
    def _last_numbers(self) -> str:
        return f"{self._tag}:people"

    def _people(self, conference_id: str) -> str:
        return f"{self._tag}:people:{conference_id}"

    def _numbers(self, conference_id: str) -> str:
        return f"{self._tag}:people-numbers:{conference_id}"

    async def _ask(self, command: Command, *, durable: bool = True) -> Any:
        if self._closed:
            raise PeopleError(f"{self._address}: the people store is closed")
        try:
            return await self._link.ask(command, durable=durable)
        except JournalError as error:
            raise PeopleError(str(error)) from error
