"""Who of a conference's delegates is present by individual check-in, and how many of each hall's roster.

What is kept of a delegate is the least scan, the latest mark, and in which halls they were scanned: a semilattice, so
that any order, any split over writers and any repetition of the same events gives the same. Whoever was scanned
anywhere is present once, in the figures of the hall whose roster they are on; a scan in another hall is a conflict, for
people to settle. Figures are sums over rows, changed with them by the difference; `recount` makes them anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np

from bridges.attendance import IndividualTotals
from conference.checkin.delegates import CheckinsImage, Conflict, Counted, Delegate, PresentBy
from conference.checkin.events import DelegateBlock, Mark, Scan
from conference.checkin.rows import (
    MARK_CODES,
    MARKS,
    MAX_ISSUE,
    MAX_NUMBER,
    METHOD_CODES,
    METHODS,
    CheckinRows,
    Row,
    RowArray,
)

# How a delegate stands, as places in a hall's counts; the last place counts conflicts.
_OPEN, _BY_QR, _BY_SELF, _BY_PROXY, _EXCUSED, _UNEXCUSED, _EXEMPT, _CONFLICTS = range(8)
_OF_METHOD = (_OPEN, _BY_QR, _BY_QR, _BY_SELF)
_OF_MARK = (_OPEN, _OPEN, _EXEMPT, _EXCUSED, _UNEXCUSED, _OPEN, _BY_PROXY)
_VOID = MARK_CODES["void"]
_ABSENT = (MARK_CODES["exempt"], MARK_CODES["excused"], MARK_CODES["unexcused"])

# Scans of one record from which on arrays are worth their price.
_MANY = 12

_PRESENT_BY: tuple[PresentBy, ...] = ("", "qr", "self", "proxy", "", "", "")


class Checkins:
    """The delegates of one conference; only `conference.state.apply` changes it.

    Whatever changes something returns the halls whose figures may have changed.
    """

    __slots__ = ("_counts", "_halls", "_places", "_ranges", "_rows", "_scanned")

    def __init__(self) -> None:
        self._halls: list[str] = [""]
        self._places: dict[str, int] = {}
        self._counts: list[list[int]] = [_no_counts()]
        self._ranges: list[list[tuple[int, int]]] = [[]]
        self._rows = CheckinRows()
        self._scanned: dict[int, set[int]] = {}

    def enrol(self, blocks: Iterable[DelegateBlock]) -> set[str]:
        """Put delegates on rosters; who was withdrawn is so no longer."""
        touched = set[str]()
        for block in blocks:
            first, end = max(block.first, 1), min(block.first + block.count, MAX_NUMBER + 1)
            place = self._place(block.hall_id)
            touched.add(block.hall_id)
            self._ranges[place].append((first, end - first))
            for number, rows in self._rows.pieces(first, end - first):
                if not rows.tobytes().strip(b"\0"):  # as nearly always: nobody had these numbers
                    rows["hall"] = place
                    self._counts[place][_OPEN] += len(rows)
                else:
                    for each in range(number, number + len(rows)):
                        row = self._rows.get(each)
                        self._put(each, row, row._replace(hall=place, withdrawn=0), touched)
        return touched

    def withdraw(self, numbers: Iterable[int]) -> set[str]:
        """Take delegates off rosters."""
        touched = set[str]()
        for number in _possible(numbers):
            row = self._rows.get(number)
            self._put(number, row, row._replace(withdrawn=1), touched)
        return touched

    def move(self, hall_id: str, numbers: Iterable[int]) -> set[str]:
        """Put delegates on another hall's roster."""
        place, touched = self._place(hall_id), set[str]()
        for number in _possible(numbers):
            self._ranges[place].append((number, 1))
            row = self._rows.get(number)
            self._put(number, row, row._replace(hall=place), touched)
        return touched

    def reissue(self, numbers: Iterable[int]) -> None:
        """Let codes of the next issue be good, and none before; changes no figures."""
        for number in _possible(numbers):
            row = self._rows.get(number)
            self._rows.put(number, row._replace(issue=min(row.issue + 1, MAX_ISSUE)))

    def record(self, hall_id: str, scans: Sequence[Scan]) -> set[str]:
        """Fold scans at a hall: of each delegate the least (time, hall, nonce, method) counts."""
        place, touched = self._place(hall_id), set[str]()
        if len(scans) >= _MANY and (hall := self._record_first(place, scans)):
            return {self._halls[hall]}
        for scan in scans:
            number, method = scan.number, METHOD_CODES[scan.method]
            if not 0 < number <= MAX_NUMBER:
                continue
            row = self._rows.get(number)
            known = row.scan_hall
            if known:
                least = (row.at_ms, self._halls[known], row.nonce, row.method)
                is_least = (scan.at_ms, hall_id, scan.nonce, method) < least
            else:
                is_least = True
            after = row
            if is_least:
                after = Row(
                    row.hall, place, scan.at_ms, scan.nonce, row.mark_at_ms, method, row.mark, row.issue, row.withdrawn
                )
            if known not in (0, place):
                self._count(number, row, -1)
                self._scanned.setdefault(number, {known}).add(place)
                self._count(number, row, 1)
            if is_least or known != place:
                self._put(number, row, after, touched)
        return touched

    def _record_first(self, place: int, scans: Sequence[Scan]) -> int:
        """Fold scans that nothing was known before, of one roster: a hall's batch, a third of the time for each.

        Returns:
            The place of the roster's hall; 0 where they are not of that kind, and nothing was done.
        """
        numbers = np.array([scan.number for scan in scans])
        found = self._rows.some(numbers)
        if found is None or len(set(numbers.tolist())) < len(scans):
            return 0
        rows, places = found
        chosen = rows[places]
        hall = int(chosen["hall"][0])
        known = chosen["scan_hall"].any() or chosen["mark"].any() or chosen["withdrawn"].any()
        if not hall or known or (chosen["hall"] != hall).any():
            return 0
        methods = [METHOD_CODES[scan.method] for scan in scans]
        chosen["scan_hall"] = place
        chosen["at_ms"] = [scan.at_ms for scan in scans]
        chosen["nonce"] = [scan.nonce for scan in scans]
        chosen["method"] = methods
        rows = self._rows.changing(int(numbers[0]))
        rows[places] = chosen
        counts = self._counts[hall]
        counts[_OPEN] -= len(scans)
        for method in set(methods):
            counts[_OF_METHOD[method]] += methods.count(method)
        counts[_CONFLICTS] += len(scans) if hall != place else 0
        return hall

    def mark(self, marks: Iterable[Mark]) -> set[str]:
        """Fold a technician's marks: of each delegate the latest counts."""
        touched = set[str]()
        for mark in marks:
            if not 0 < mark.number <= MAX_NUMBER:
                continue
            row, code = self._rows.get(mark.number), MARK_CODES[mark.mark]
            if (mark.at_ms, code) > (row.mark_at_ms, row.mark):
                self._put(mark.number, row, row._replace(mark_at_ms=mark.at_ms, mark=code), touched)
        return touched

    # -- what is read -------------------------------------------------------------------------------------------------

    def totals(self, hall_id: str) -> IndividualTotals | None:
        """A hall's figures; None where nobody is on its roster."""
        counts = self._counts[self._places.get(hall_id, 0)]
        registered = sum(counts[:_CONFLICTS])
        if not registered:
            return None
        return IndividualTotals(
            halls_enrolled=1,
            registered=registered,
            present=counts[_BY_QR] + counts[_BY_SELF] + counts[_BY_PROXY],
            excused=counts[_EXCUSED],
            unexcused=counts[_UNEXCUSED],
            exempt=counts[_EXEMPT],
            by_qr=counts[_BY_QR],
            by_proxy=counts[_BY_PROXY],
            by_self=counts[_BY_SELF],
            conflicts=counts[_CONFLICTS],
        )

    def delegate(self, number: int) -> Delegate | None:
        """What is known of a number; None for one that was never enrolled."""
        row = self._rows.get(number)
        if not row.hall:
            return None
        return Delegate(
            hall_id=self._halls[row.hall],
            issue=row.issue,
            withdrawn=bool(row.withdrawn),
            scan=self._scan(row),
            mark=MARKS[row.mark - 1] if row.mark else "none",
            mark_at_ms=row.mark_at_ms,
            by="" if row.withdrawn else _PRESENT_BY[_standing(row)],
        )

    def numbers(self, hall_id: str) -> list[int]:
        """The numbers on a hall's roster, ascending; those withdrawn are not on it."""
        place = self._places.get(hall_id, 0)
        found = {number for first, count in self._ranges[place] for number in range(first, first + count)}
        rows = ((number, self._rows.get(number)) for number in sorted(found))
        return [number for number, row in rows if row.hall == place and not row.withdrawn]

    def enrolled(self, first: int, count: int) -> set[str]:
        """The halls whose rosters consecutive numbers are on; "" among them where some are on none."""
        places = set[int]()
        for rows in self._rows.peek(first, count):
            if rows is None:
                places.add(0)
            else:
                places.update(np.unique(np.where(rows["withdrawn"] > 0, 0, rows["hall"])).tolist())
        return {self._halls[place] for place in places}

    def would_change(self, hall_id: str, scan: Scan) -> bool:
        """Whether a scan at a hall says anything new of a delegate who is on a roster."""
        row = self._rows.get(scan.number)
        if not row.hall or row.withdrawn:
            return False
        if not row.scan_hall:
            return True
        known = self._halls[row.scan_hall]
        if known == hall_id and row.nonce == scan.nonce:
            return False  # the very scan that counts, whenever its repetition says that it was
        least = (row.at_ms, known, row.nonce, row.method)
        if (scan.at_ms, hall_id, scan.nonce, METHOD_CODES[scan.method]) < least:
            return True
        return known != hall_id and self._places.get(hall_id, 0) not in self._scanned.get(scan.number, ())

    def would_mark(self, hall_id: str, mark: Mark) -> bool:
        """Whether a mark says anything new of a delegate who is on this hall's roster."""
        row = self._rows.get(mark.number)
        if not row.hall or row.withdrawn or self._halls[row.hall] != hall_id:
            return False
        return (mark.at_ms, MARK_CODES[mark.mark]) > (row.mark_at_ms, row.mark)

    def highest(self) -> int:
        """The greatest number that was ever enrolled; 0 where there is none."""
        enrolled = (
            first + int(np.flatnonzero(rows["hall"])[-1]) for first, rows in self._blocks() if rows["hall"].any()
        )
        return max(enrolled, default=0)

    def conflicts(self) -> Iterator[Conflict]:
        """Delegates who were scanned where they are not on the roster, ascending by number."""
        numbers = set(self._scanned)
        for first, rows in self._blocks():
            strange = (rows["scan_hall"] > 0) & (rows["scan_hall"] != rows["hall"])
            numbers.update(first + int(low) for low in np.flatnonzero(strange))
        for number in sorted(numbers):
            row = self._rows.get(number)
            if row.hall and not row.withdrawn and self._is_conflict(number, row):
                halls = self._scanned.get(number, {row.scan_hall})
                yield Conflict(
                    number=number,
                    hall_id=self._halls[row.hall],
                    halls=tuple(sorted(self._halls[place] for place in halls)),
                )

    def marked_absent(self) -> Iterator[int]:
        """Numbers of delegates who are counted present by a scan and were marked absent or exempt, ascending."""
        for first, rows in self._blocks():
            present = (rows["hall"] > 0) & (rows["withdrawn"] == 0) & (rows["scan_hall"] > 0)
            for low in np.flatnonzero(present & np.isin(rows["mark"], _ABSENT)):
                yield first + int(low)

    def counts(self) -> Mapping[str, tuple[int, ...]]:
        """What `totals` is made of, by hall, without halls where all is zero."""
        return self._named(self._counts)

    def recount(self) -> Mapping[str, tuple[int, ...]]:
        """The same, made anew from the rows."""
        return self._named(self._recounted())

    # -- snapshots ----------------------------------------------------------------------------------------------------

    def image(self) -> CheckinsImage:
        """What a snapshot holds: it stays as it is now, whatever changes here afterwards."""
        return CheckinsImage(
            halls=self._halls[1:],
            blocks=self._rows.take(),
            scanned={number: list(places) for number, places in self._scanned.items()},
        )

    def digest(self) -> str:
        """SHA-256 (hex), equal for equal check-ins whatever the order in which they came about."""
        halls = sorted(self._halls[1:])
        ranks = {hall_id: rank for rank, hall_id in enumerate(halls, 1)}
        ranked = np.array([ranks.get(hall_id, 0) for hall_id in self._halls], dtype=np.int32)
        scanned = {number: sorted(int(ranked[place]) for place in places) for number, places in self._scanned.items()}
        found = hashlib.sha256(msgspec.json.encode([halls, sorted(scanned.items())]))
        for first, rows in self._blocks():
            used = np.flatnonzero(rows != np.zeros(1, rows.dtype))
            chosen = rows[used]
            chosen["hall"], chosen["scan_hall"] = ranked[chosen["hall"]], ranked[chosen["scan_hall"]]
            found.update((used + first).tobytes())
            found.update(chosen.tobytes())
        return found.hexdigest()

    @classmethod
    def of(cls, image: CheckinsImage) -> Checkins:
        """The check-ins of a snapshot, whose blocks become theirs.

        Raises:
            ValueError: they are none.
        """
        checkins = cls()
        for hall_id in image.halls:
            checkins._place(hall_id)
        checkins._rows = CheckinRows.of(image.blocks)
        checkins._scanned = {number: set(places) for number, places in image.scanned.items()}
        named = {place for places in image.scanned.values() for place in places}
        for _, rows in checkins._blocks():
            named.update(
                int(extreme) for name in ("hall", "scan_hall") for extreme in (rows[name].min(), rows[name].max())
            )
            if rows["method"].max() > len(METHODS) or rows["mark"].max() > len(MARKS):
                raise ValueError("a row of check-ins has a method or a mark that nobody knows")
        if any(not 0 <= place < len(checkins._halls) for place in named):
            raise ValueError("a row of check-ins names a hall that the snapshot lacks")
        checkins._counts = checkins._recounted()
        checkins._find_ranges()
        return checkins

    # -- within -------------------------------------------------------------------------------------------------------

    def _blocks(self) -> Iterator[tuple[int, RowArray]]:
        return self._rows.blocks()

    def _place(self, hall_id: str) -> int:
        place = self._places.get(hall_id)
        if place is None:
            place = self._places[hall_id] = len(self._halls)
            self._halls.append(hall_id)
            self._counts.append(_no_counts())
            self._ranges.append([])
        return place

    def _scan(self, row: Row) -> Counted | None:
        if not row.scan_hall:
            return None
        return Counted(
            at_ms=row.at_ms, hall_id=self._halls[row.scan_hall], nonce=row.nonce, method=METHODS[row.method - 1]
        )

    def _put(self, number: int, before: Row, after: Row, touched: set[str]) -> None:
        """Replace a row, and change the figures by the difference."""
        self._count(number, before, -1)
        self._rows.put(number, after)
        self._count(number, after, 1)
        if before.hall:
            touched.add(self._halls[before.hall])
        if after.hall != before.hall:
            touched.add(self._halls[after.hall])

    def _count(self, number: int, row: Row, by: int) -> None:
        hall, scan_hall, _, _, _, method, mark, _, withdrawn = row
        if not hall or withdrawn:
            return
        counts = self._counts[hall]
        if not scan_hall or mark == _VOID:
            counts[_OF_MARK[mark]] += by
            return
        counts[_OF_METHOD[method]] += by
        if scan_hall != hall or number in self._scanned:
            counts[_CONFLICTS] += by

    def _is_conflict(self, number: int, row: Row) -> bool:
        return row.scan_hall != 0 and row.mark != _VOID and (row.scan_hall != row.hall or number in self._scanned)

    def _recounted(self) -> list[list[int]]:
        sums = np.zeros((_CONFLICTS + 1, len(self._halls)), dtype=np.int64)
        of_method, of_mark = np.array(_OF_METHOD), np.array(_OF_MARK)
        for _, rows in self._blocks():
            counted = rows[(rows["hall"] > 0) & (rows["withdrawn"] == 0)]
            scanned = (counted["scan_hall"] > 0) & (counted["mark"] != _VOID)
            standings = np.where(scanned, of_method[counted["method"]], of_mark[counted["mark"]])
            np.add.at(sums, (standings, counted["hall"]), 1)
            strange = counted[scanned & (counted["scan_hall"] != counted["hall"])]
            np.add.at(sums[_CONFLICTS], strange["hall"], 1)
        for number in self._scanned:
            row = self._rows.get(number)
            if row.hall == row.scan_hall and not row.withdrawn and self._is_conflict(number, row):
                sums[_CONFLICTS, row.hall] += 1
        return [[int(count) for count in column] for column in sums.T]

    def _named(self, counts: list[list[int]]) -> dict[str, tuple[int, ...]]:
        return {hall_id: tuple(counts[place]) for hall_id, place in self._places.items() if any(counts[place])}

    def _find_ranges(self) -> None:
        """Find the runs of numbers of each hall; blocks end runs."""
        for first, rows in self._blocks():
            halls = rows["hall"]
            starts = np.flatnonzero(np.diff(halls, prepend=-1))
            ends = np.append(starts[1:], len(halls))
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                if place := int(halls[start]):
                    self._ranges[place].append((first + start, end - start))


def _no_counts() -> list[int]:
    return [0] * (_CONFLICTS + 1)


def _possible(numbers: Iterable[int]) -> Iterator[int]:
    """Numbers that have a row; no others were ever decided."""
    return (number for number in numbers if 0 < number <= MAX_NUMBER)


def _standing(row: Row) -> int:
    if row.scan_hall and row.mark != _VOID:
        return _OF_METHOD[row.method]
    return _OF_MARK[row.mark]
