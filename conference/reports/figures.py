"""The figures of a report as columns, in the order of `conference.attendance.rollup`, and their sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import msgspec
import numpy as np
import numpy.typing as npt

from bridges.attendance import Figures
from conference.attendance.rollup import COLUMNS, figures_from, row_from
from conference.reports.model import HallRow, ReportHall, Source


def _measure(column: str) -> tuple[Source, str]:
    source, _, name = column.rpartition(".")
    return cast("Source", source or "registration"), name


MEASURES: tuple[tuple[Source, str], ...] = tuple(_measure(column) for column in COLUMNS)
"""Source and name of each figure, in the order in which every table has them."""

Sums = npt.NDArray[np.int64]
"""Rows of figures, one column for each of `MEASURES`."""


def measures(figures: Figures) -> tuple[int, ...]:
    """The figures in the order of `MEASURES`."""
    return row_from(figures)


def figures_of(values: Iterable[int]) -> Figures:
    """The inverse of `measures`."""
    return figures_from(int(value) for value in values)


def measures_of_hall(hall: ReportHall | HallRow) -> tuple[int, ...]:
    """The figures of one hall in the order of `MEASURES`."""
    seats = hall.seats if isinstance(hall, HallRow) else hall.hall.seats
    status, counted, checked = hall.status, hall.headcount, hall.individual
    ever = hall.seen or status in {"present", "lost"}
    return (
        1,
        seats,
        int(status == "present"),
        int(ever),
        int(status == "lost"),
        int(status == "waiting"),
        int(status == "left"),
        *(
            (0,) * _COUNTED
            if counted is None
            else (1, seats, counted.summoned, counted.present, counted.excused, counted.unexcused, counted.exempt)
        ),
        *((0,) * _CHECKED if checked is None else msgspec.structs.astuple(checked)),
    )


_COUNTED = sum(source == "headcount" for source, _ in MEASURES)
_CHECKED = sum(source == "individual" for source, _ in MEASURES)


def table_of(halls: Iterable[ReportHall]) -> Sums:
    """A row for each hall, in their order."""
    rows = [measures_of_hall(hall) for hall in halls]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(MEASURES))


def summed(table: Sums, groups: Sequence[int], count: int) -> Sums:
    """The rows of a table summed by group: row i goes to `groups[i]`, below `count`."""
    sums = np.zeros((count, len(MEASURES)), dtype=np.int64)
    np.add.at(sums, np.asarray(groups, dtype=np.intp), table)
    return sums
