"""The figures of a report as columns: one order for all of its tables, and their sums over levels and units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from bridges.attendance import (
    ConnectionTotals,
    Figures,
    HallStatus,
    Headcount,
    HeadcountTotals,
    IndividualTotals,
)
from conference.reports.model import HallRow, ReportHall, Source

MEASURES: tuple[tuple[Source, str], ...] = (
    ("registration", "halls"),
    ("registration", "seats"),
    ("connection", "present_now"),
    ("connection", "present_ever"),
    ("connection", "lost"),
    ("connection", "waiting"),
    ("connection", "left"),
    ("headcount", "halls_reported"),
    ("headcount", "summoned"),
    ("headcount", "present"),
    ("headcount", "excused"),
    ("headcount", "unexcused"),
    ("headcount", "exempt"),
    ("individual", "halls_enrolled"),
    ("individual", "registered"),
    ("individual", "present"),
    ("individual", "excused"),
    ("individual", "unexcused"),
    ("individual", "exempt"),
    ("individual", "by_qr"),
    ("individual", "by_proxy"),
    ("individual", "by_self"),
    ("individual", "conflicts"),
)
"""Source and name of each figure, in the order in which every table has them."""

Sums = npt.NDArray[np.int64]
"""Rows of figures, one column for each of `MEASURES`."""


def measures(figures: Figures) -> tuple[int, ...]:
    """The figures in the order of `MEASURES`."""
    seen, counted, checked = figures.connection, figures.headcount, figures.individual
    return (
        figures.halls,
        figures.seats,
        seen.present_now,
        seen.present_ever,
        seen.lost,
        seen.waiting,
        seen.left,
        *_counted(counted),
        *_checked(checked),
    )


def figures_of(values: Sequence[int]) -> Figures:
    """The inverse of `measures`."""
    halls, seats, *rest = (int(value) for value in values)
    return Figures(
        halls=halls,
        seats=seats,
        connection=ConnectionTotals(**_named("connection", rest[:5])),
        headcount=HeadcountTotals(**_named("headcount", rest[5:11])),
        individual=IndividualTotals(**_named("individual", rest[11:])),
    )


def measures_of_hall(hall: ReportHall | HallRow) -> tuple[int, ...]:
    """The figures of one hall in the order of `MEASURES`."""
    seats = hall.seats if isinstance(hall, HallRow) else hall.hall.seats
    status: HallStatus = hall.status
    ever = hall.seen or status in {"present", "lost"}
    return (
        1,
        seats,
        int(status == "present"),
        int(ever),
        int(status == "lost"),
        int(status == "waiting"),
        int(status == "left"),
        *((0,) * 6 if hall.headcount is None else (1, *_reported(hall.headcount))),
        *((0,) * 10 if hall.individual is None else _checked(hall.individual)),
    )


def table_of(halls: Iterable[ReportHall]) -> Sums:
    """A row for each hall, in their order."""
    rows = [measures_of_hall(hall) for hall in halls]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(MEASURES))


def summed(table: Sums, groups: Sequence[int], count: int) -> Sums:
    """The rows of a table summed by group: row i goes to `groups[i]`, below `count`."""
    sums = np.zeros((count, len(MEASURES)), dtype=np.int64)
    np.add.at(sums, np.asarray(groups, dtype=np.intp), table)
    return sums


def _named(source: Source, values: Sequence[int]) -> dict[str, int]:
    names = [name for of, name in MEASURES if of == source]
    return dict(zip(names, values, strict=True))


def _reported(counted: Headcount) -> tuple[int, ...]:
    return (counted.summoned, counted.present, counted.excused, counted.unexcused, counted.exempt)


def _counted(counted: HeadcountTotals) -> tuple[int, ...]:
    return (
        counted.halls_reported,
        counted.summoned,
        counted.present,
        counted.excused,
        counted.unexcused,
        counted.exempt,
    )


def _checked(checked: IndividualTotals) -> tuple[int, ...]:
    return (
        checked.halls_enrolled,
        checked.registered,
        checked.present,
        checked.excused,
        checked.unexcused,
        checked.exempt,
        checked.by_qr,
        checked.by_proxy,
        checked.by_self,
        checked.conflicts,
    )
