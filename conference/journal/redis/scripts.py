"""The atomic steps of a Redis journal, as Lua scripts, and the keys that they work on. Pure.

Redis runs a script without anything between its steps: that the writer's epoch is still the newest and that the
records are written is one step. Scripts are sent whole (`EVAL`): a server that has just taken over knows none.

Every step may be sent twice, because an answer can be lost: each tells a repetition from a new request and answers it
like the first. A repetition writes as well (`pulse`), so that a `WAIT` behind it waits for something.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

SCHEMA_VERSION = 1

Argument = str | int | bytes
Command = tuple[Argument, ...]


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of one journal, or of a partition; the hash tag `{name}` keeps all of them on one node of a Cluster.

    A partition has keys of its own in the same form, and uses neither `snapshot` nor `cuts`: its number of a record is
    the record's position, so that it may be cut off anywhere.

    Attributes:
        stream: of the partition; "" for the journal itself.
        journal: hash: schema, epoch, holder, address, pulse, sequence, append, base, `position:<stream>`.
        records: stream: one entry a record, with the id `<sequence>-0`.
        snapshot: hash: positions, state.
        cuts: list of `<sequence> <positions>`: where the stream may be cut off, oldest first.
        partitions: hash: by partition, the position of its last record; one for the journal and all its partitions.
    """

    stream: str
    journal: str
    records: str
    snapshot: str
    cuts: str
    partitions: str


def keys_of(name: str, stream: str = "") -> Keys:
    """The keys of the journal of that name, or of one of its partitions."""
    tag = f"{{{name}}}"
    place = f"{tag}:{stream}" if stream else tag
    return Keys(
        stream=stream,
        journal=f"{place}:journal",
        records=f"{place}:records",
        snapshot=f"{place}:snapshot",
        cuts=f"{place}:snapshot-cuts",
        partitions=f"{tag}:partitions",
    )


# ARGV: the epoch before, the holder. Asked twice it grants the same epoch twice: an answer that was lost, or a request
# that arrives after its sender gave up, must not look like another writer.
_OPEN = """
local journal = KEYS[1]
local schema = redis.call('HGET', journal, 'schema')
if schema and schema ~= '1' then return {'schema', schema} end
if redis.call('HGET', journal, 'filling') then return {'filling', ''} end
local epoch = tonumber(redis.call('HGET', journal, 'epoch') or '0')
local holder = redis.call('HGET', journal, 'holder')
local after = tonumber(ARGV[1])
if epoch == after then
  epoch = after + 1
  if holder ~= ARGV[2] then redis.call('HDEL', journal, 'address') end
  redis.call('HSET', journal, 'schema', '1', 'epoch', epoch, 'holder', ARGV[2])
elseif epoch ~= after + 1 or holder ~= ARGV[2] then
  return {'stale', epoch}
end
redis.call('HINCRBY', journal, 'pulse', 1)
return {'open', epoch, redis.call('HGET', journal, 'sequence') or '0'}
"""

# ARGV: epoch, id of this append, sequence before it, then stream, at_ms, actor and event of each record.
# `sequence` counts the records of all streams. That it is what the writer thinks shows that the store has lost nothing
# since (a failover may lose what no replica had).
_APPEND = """
local journal, records = KEYS[1], KEYS[2]
local known = redis.call('HMGET', journal, 'epoch', 'append', 'sequence')
local epoch, sequence = known[1] or '0', known[3] or '0'
if epoch ~= ARGV[1] then return {'stale', epoch} end
redis.call('HINCRBY', journal, 'pulse', 1)
if known[2] == ARGV[2] then return {'written', sequence} end
if sequence ~= ARGV[3] then return {'rewound', sequence} end
local number, positions = tonumber(sequence), {}
for i = 4, #ARGV, 4 do
  local stream = ARGV[i]
  local position = (positions[stream] or tonumber(redis.call('HGET', journal, 'position:' .. stream) or '0')) + 1
  positions[stream] = position
  number = number + 1
  redis.call('XADD', records, number .. '-0', 's', stream, 'p', position, 'e', epoch, 't', ARGV[i + 1],
    'a', ARGV[i + 2], 'v', ARGV[i + 3])
end
for stream, position in pairs(positions) do
  redis.call('HSET', journal, 'position:' .. stream, position)
  if KEYS[3] then redis.call('HSET', KEYS[3], stream, position) end
end
redis.call('HSET', journal, 'sequence', number, 'append', ARGV[2])
return {'written', number}
"""

# ARGV: epoch.
_RENEW = """
local epoch = redis.call('HGET', KEYS[1], 'epoch') or '0'
if epoch ~= ARGV[1] then return {'stale', epoch} end
redis.call('HINCRBY', KEYS[1], 'pulse', 1)
return {'renewed', epoch}
"""

# ARGV: epoch, address.
_ANNOUNCE = """
local epoch = redis.call('HGET', KEYS[1], 'epoch') or '0'
if epoch ~= ARGV[1] then return {'stale', epoch} end
redis.call('HSET', KEYS[1], 'address', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'pulse', 1)
return {'announced', epoch}
"""

# ARGV: where to begin, how many. Reads after a write, so that a `WAIT` behind it waits until replicas have what was
# read. The write is no sign of life: somebody whom nobody follows any more may read as well.
_READ = """
redis.call('HINCRBY', KEYS[1], 'reads', 1)
return redis.call('XRANGE', KEYS[2], ARGV[1], '+', 'COUNT', ARGV[2])
"""

# ARGV: epoch.
_RELEASE = """
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then redis.call('HSET', KEYS[1], 'holder', '') end
return {'released', ARGV[1]}
"""

# ARGV: epoch, positions (JSON), the sum of the positions of the journal's own streams, state, how many records of each
# are kept at least, the positions of its own streams (JSON), then name and position of each partition, whose journal
# and records are KEYS from the fifth on.
# Records are cut off at the newest snapshot's place that leaves so many; those of a partition, which has one stream
# alone, as soon as this snapshot contains them.
_SNAPSHOT = """
local journal, records, snapshot, cuts = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local known = redis.call('HMGET', journal, 'epoch', 'sequence')
if known[1] ~= ARGV[1] then return {'stale', known[1] or '0'} end
local at, newest = tonumber(ARGV[3]), tonumber(known[2] or '0')
if at > newest then return {'rewound', newest} end
for i = 5, #KEYS, 2 do
  local have = tonumber(redis.call('HGET', KEYS[i], 'sequence') or '0')
  if tonumber(ARGV[i + 3]) > have then return {'rewound', have} end
end
redis.call('HSET', snapshot, 'positions', ARGV[2], 'state', ARGV[4])
redis.call('RPUSH', cuts, ARGV[3] .. ' ' .. ARGV[6])
local limit, base = math.min(at, newest - tonumber(ARGV[5])), nil
while true do
  local cut = redis.call('LINDEX', cuts, 0)
  if not cut or tonumber(string.match(cut, '^%d+')) > limit then break end
  base = redis.call('LPOP', cuts)
end
if base then
  local sequence, positions = string.match(base, '^(%d+) (.*)$')
  redis.call('HSET', journal, 'base', positions)
  redis.call('XTRIM', records, 'MINID', (tonumber(sequence) + 1) .. '-0')
end
for i = 5, #KEYS, 2 do
  local have = tonumber(redis.call('HGET', KEYS[i], 'sequence') or '0')
  local cut = math.min(tonumber(ARGV[i + 3]), have - tonumber(ARGV[5]))
  local before = redis.call('HGET', KEYS[i], 'base')
  if cut > (before and cjson.decode(before)[ARGV[i + 2]] or 0) then
    redis.call('HSET', KEYS[i], 'base', string.format('{"%s":%d}', ARGV[i + 2], cut))
    redis.call('XTRIM', KEYS[i + 1], 'MINID', (cut + 1) .. '-0')
  end
end
return {'saved', at}
"""

# ARGV: positions before the first record (JSON), their sum.
_BEGIN_FILL = """
local journal, records, snapshot, cuts = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local known = redis.call('HMGET', journal, 'sequence', 'filling')
if known[2] or tonumber(known[1] or '0') > 0 or redis.call('EXISTS', records, snapshot, cuts) > 0 then
  return {'not empty'}
end
redis.call('HSET', journal, 'schema', '1', 'filling', '1', 'sequence', ARGV[2])
if ARGV[2] ~= '0' then
  redis.call('HSET', journal, 'base', ARGV[1])
  for stream, position in pairs(cjson.decode(ARGV[1])) do
    redis.call('HSET', journal, 'position:' .. stream, string.format('%d', position))
    if KEYS[5] then redis.call('HSET', KEYS[5], stream, string.format('%d', position)) end
  end
end
return {'filling'}
"""

# ARGV: sequence before, then stream, position, epoch, at_ms, actor and event of each record.
_FILL = """
local journal, records = KEYS[1], KEYS[2]
local known = redis.call('HMGET', journal, 'filling', 'sequence')
if not known[1] then return {'not begun'} end
local number = tonumber(ARGV[1])
local last = number + (#ARGV - 1) / 6
if tonumber(known[2]) == last then return {'filled', last} end
if tonumber(known[2]) ~= number then return {'rewound', known[2]} end
for i = 2, #ARGV, 6 do
  number = number + 1
  redis.call('XADD', records, number .. '-0', 's', ARGV[i], 'p', ARGV[i + 1], 'e', ARGV[i + 2], 't', ARGV[i + 3],
    'a', ARGV[i + 4], 'v', ARGV[i + 5])
  redis.call('HSET', journal, 'position:' .. ARGV[i], ARGV[i + 1])
  if KEYS[3] then redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
end
redis.call('HSET', journal, 'sequence', number)
return {'filled', number}
"""

# ARGV: epoch, positions (JSON) of the snapshot or '', the sum of those of the journal's own streams, state, the
# positions of its own streams (JSON).
_FINISH_FILL = """
local journal, snapshot, cuts = KEYS[1], KEYS[2], KEYS[3]
local known = redis.call('HMGET', journal, 'filling', 'epoch')
if not known[1] then return {'not begun'} end
if ARGV[2] ~= '' then
  redis.call('HSET', snapshot, 'positions', ARGV[2], 'state', ARGV[4])
  redis.call('RPUSH', cuts, ARGV[3] .. ' ' .. ARGV[5])
end
redis.call('HSET', journal, 'epoch', math.max(tonumber(ARGV[1]), tonumber(known[2] or '0')), 'holder', '')
redis.call('HDEL', journal, 'filling')
return {'whole'}
"""


def open_command(keys: Keys, *, after: int, holder: str) -> Command:
    """Take over from the epoch `after`: answers `open` with the epoch and the sequence, or `stale`."""
    return ("EVAL", _OPEN, 1, keys.journal, after, holder)


def append_command(keys: Keys, *, epoch: int, append_id: str, sequence: int, fields: list[Argument]) -> Command:
    """Append records to those up to `sequence`: answers `written` with the new sequence, `stale` or `rewound`.

    Args:
        keys: of the journal.
        epoch: the writer's.
        append_id: tells a repetition from another append.
        sequence: number of the last record before these.
        fields: stream, at_ms, actor and event (JSON) of each record, one after the other.
    """
    where = _written_keys(keys)
    return ("EVAL", _APPEND, len(where), *where, epoch, append_id, sequence, *fields)


def renew_command(keys: Keys, *, epoch: int) -> Command:
    """Give a sign of life: answers `renewed` or `stale`."""
    return ("EVAL", _RENEW, 1, keys.journal, epoch)


def announce_command(keys: Keys, *, epoch: int, address: str) -> Command:
    """Say where the writer is reached: answers `announced` or `stale`."""
    return ("EVAL", _ANNOUNCE, 1, keys.journal, epoch, address)


def read_command(keys: Keys, *, after: int, count: int, durable: bool) -> Command:
    """Entries behind the number `after`, as XRANGE answers; with `durable` the answer may be confirmed by `WAIT`."""
    start = f"({after}-0"
    if durable:
        return ("EVAL", _READ, 2, keys.journal, keys.records, start, count)
    return ("XRANGE", keys.records, start, "+", "COUNT", count)


def release_command(keys: Keys, *, epoch: int) -> Command:
    """Let go of the epoch, if it is the newest."""
    return ("EVAL", _RELEASE, 1, keys.journal, epoch)


def snapshot_command(
    keys: Keys,
    *,
    epoch: int,
    positions: bytes,
    own_positions: bytes,
    sequence: int,
    state: bytes,
    keep_records: int,
    partitions: Sequence[tuple[Keys, int]] = (),
) -> Command:
    """Keep a snapshot and cut records off behind it: answers `saved`, `stale` or `rewound`.

    Args:
        keys: of the journal.
        epoch: the writer's.
        positions: of all streams, JSON.
        own_positions: of the journal's own streams, JSON.
        sequence: the sum of those.
        state: the snapshot.
        keep_records: so many of the newest records of the journal, and of each partition, are kept in any case.
        partitions: keys and position of each partition that the snapshot contains.
    """
    where = [keys.journal, keys.records, keys.snapshot, keys.cuts]
    where += [key for each, _ in partitions for key in (each.journal, each.records)]
    contained = [part for each, position in partitions for part in (each.stream, position)]
    return (
        "EVAL",
        _SNAPSHOT,
        len(where),
        *where,
        epoch,
        positions,
        sequence,
        state,
        keep_records,
        own_positions,
        *contained,
    )


def begin_fill_command(keys: Keys, *, positions: bytes, sequence: int) -> Command:
    """Begin a copy into an empty journal: answers `filling` or `not empty`. Not to be sent twice."""
    where: tuple[str, ...] = (keys.journal, keys.records, keys.snapshot, keys.cuts)
    if keys.stream:
        where = (*where, keys.partitions)
    return ("EVAL", _BEGIN_FILL, len(where), *where, positions, sequence)


def fill_command(keys: Keys, *, sequence: int, fields: list[Argument]) -> Command:
    """Write records of a copy behind `sequence`: answers `filled`, `rewound` or `not begun`."""
    where = _written_keys(keys)
    return ("EVAL", _FILL, len(where), *where, sequence, *fields)


def finish_fill_command(
    keys: Keys, *, epoch: int, positions: bytes, own_positions: bytes, sequence: int, state: bytes
) -> Command:
    """End a copy: answers `whole` or `not begun`."""
    where = (keys.journal, keys.snapshot, keys.cuts)
    return ("EVAL", _FINISH_FILL, 3, *where, epoch, positions, sequence, state, own_positions)


def _written_keys(keys: Keys) -> tuple[str, ...]:
    """What an append writes to: a partition's positions are known beside the journal as well."""
    where = (keys.journal, keys.records)
    return (*where, keys.partitions) if keys.stream else where
