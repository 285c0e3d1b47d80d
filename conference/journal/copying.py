"""Copying one journal into another, of whatever kind, and proving that both hold the same.

Everything that the source keeps goes over: records with their positions, epochs and times, and the newest snapshot. The
target is read again afterwards, and is opened to writers only when its digest and the state folded from it are those of
the source. A source that is written meanwhile is refused: nobody could say what had been copied.

A copy may leave old records out and hold a snapshot of the end in their place: a journal itself is never cut, so that
is how contacts of technicians that were replaced long ago go, with the file that they were in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from conference.errors import JournalError
from conference.journal.contract import Journal, Record, Snapshot
from conference.journal_fold import fold_journal
from conference.policy import Policy
from conference.snapshot import encode_state, fingerprint

PAGE_RECORDS = 1_000


class CopyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was copied.

    Attributes:
        records: how many.
        positions: of the last record of each stream.
        records_sha256: hex digest of all records of each stream, in order; equal in source and target.
        state_sha256: hex digest of the state that both fold to (`conference.snapshot.fingerprint`).
    """

    records: int
    positions: dict[str, int]
    records_sha256: str
    state_sha256: str


class JournalDigest:
    """SHA-256 over the records of each stream in their order; equal for equal records, whatever store they came from.

    Stores may mingle streams differently: one of many machines gives partitions one after the other.
    """

    def __init__(self, after: dict[str, int]) -> None:
        self._after = dict(after)
        self._streams: dict[str, hashlib._Hash] = {}
        self._encoder = msgspec.json.Encoder(order="sorted")
        self.count = 0
        self.positions = dict(after)

    def update(self, record: Record) -> None:
        """Take the next record."""
        sha = self._streams.get(record.stream)
        if sha is None:
            sha = self._streams[record.stream] = hashlib.sha256()
        sha.update(self._encoder.encode(record) + b"\n")
        self.count += 1
        self.positions[record.stream] = record.position

    def hexdigest(self) -> str:
        """Digest of all that was taken."""
        streams = {stream: sha.hexdigest() for stream, sha in self._streams.items()}
        return hashlib.sha256(self._encoder.encode([self._after, streams])).hexdigest()


async def copy_journal(
    source: Journal,
    target: Journal,
    progress: Callable[[int], None] = lambda _count: None,
    *,
    without_before_ms: int = 0,
) -> CopyReport:
    """Copy `source` into the empty `target`; nobody may write to either meanwhile.

    Args:
        source: only read.
        target: must be empty; left closed to writers when this raises after it began.
        progress: called with the number of records copied so far.
        without_before_ms: records at the beginning of each stream that are older are left out, milliseconds since the
            epoch; 0 leaves out none.

    Raises:
        NotEmptyJournalError: the target holds something; it was not changed.
        JournalError: one of them failed, the source was written meanwhile, or the target does not hold what the source
            does.
    """
    before = await source.writer()
    base, snapshot = await source.kept_after(), await source.latest_snapshot()
    if without_before_ms:
        fold = await fold_journal(source, Policy())
        snapshot = Snapshot(positions=dict(fold.positions), state=encode_state(fold.state))
        base = await _cut(source, base, without_before_ms)
    await target.begin_fill(base)
    copied = await _copy_records(source, target, base, progress)
    async for _ in source.read(dict(copied.positions)):
        raise JournalError("the source was written during the copy: stop its coordinator, empty the target, copy again")
    if await source.writer() != before:
        raise JournalError("a coordinator took the source over during the copy: stop it, empty the target, copy again")
    found = await _digest(target, base)
    if (found.hexdigest(), found.count) != (copied.hexdigest(), copied.count):
        raise JournalError(f"the target holds {found.count} records that are not the {copied.count} of the source")
    await target.finish_fill(before.epoch, snapshot)
    return CopyReport(
        records=copied.count,
        positions=copied.positions,
        records_sha256=copied.hexdigest(),
        state_sha256=await _check_state(source, target, snapshot),
    )


async def _cut(source: Journal, base: dict[str, int], before_ms: int) -> dict[str, int]:
    """The position of each stream's last record that goes: it and all before it are older."""
    cut, ended = dict(base), set[str]()
    async for record in source.read(dict(base)):
        if record.at_ms >= before_ms:
            ended.add(record.stream)
        elif record.stream not in ended:
            cut[record.stream] = record.position
    return cut


async def _copy_records(
    source: Journal, target: Journal, base: dict[str, int], progress: Callable[[int], None]
) -> JournalDigest:
    digest, page = JournalDigest(base), list[Record]()
    async for record in source.read(dict(base)):
        digest.update(record)
        page.append(record)
        if len(page) == PAGE_RECORDS:
            await target.fill(page)
            page = []
            progress(digest.count)
    if page:
        await target.fill(page)
    progress(digest.count)
    return digest


async def _digest(journal: Journal, base: dict[str, int]) -> JournalDigest:
    digest = JournalDigest(base)
    async for record in journal.read(dict(base)):
        digest.update(record)
    return digest


async def _check_state(source: Journal, target: Journal, snapshot: Snapshot | None) -> str:
    """Fold both from their snapshots; the state's digest."""
    if await target.latest_snapshot() != snapshot:
        raise JournalError("the target's snapshot is not the source's")
    folded = [fingerprint((await fold_journal(journal, Policy())).state) for journal in (source, target)]
    if folded[0] != folded[1]:
        raise JournalError("source and target do not fold to the same state")
    return folded[1]
