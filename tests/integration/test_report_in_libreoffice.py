"""A spreadsheet that calculates every formula of the workbook anew comes to our totals."""

import io
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest
from python_calamine import load_workbook
from support.report_inputs import dong_thap_2021, report_hall, seal_of, small_country
from support.workbooks import recalculate, without_values

from bridges.attendance import HallStatus, Headcount, IndividualTotals
from bridges.synthetic import synthetic_halls
from bridges.vietnam import load_vietnam_units
from conference.reports.building import build_report
from conference.reports.figures import MEASURES
from conference.reports.model import ReportInput, ReportKind, ReportUnit
from conference.reports.rendering import render
from conference.reports.tables import Section, tables_of
from conference.reports.words import Language
from conference.reports.workbook import SHEETS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

FIGURES: tuple[Section, ...] = ("totals", "levels", "units", "halls")


def country(halls: int) -> ReportInput:
    """Halls with random figures in Việt Nam's units, one in nine virtual, and some without a unit."""
    drawn = random.Random(7)
    units = load_vietnam_units()
    statuses: list[HallStatus] = ["waiting", "present", "lost", "left"]
    made = [
        report_hall(
            hall.hall_id,
            parent="" if number % 50 == 0 else hall.unit,
            level=hall.level,
            status=drawn.choice(statuses),
            seats=hall.seats,
            headcount=Headcount(summoned=hall.seats, present=drawn.randrange(90), excused=drawn.randrange(9)),
            individual=IndividualTotals(halls_enrolled=1, registered=hall.seats, present=drawn.randrange(60)),
            virtual=number % 9 == 0,
        )
        for number, hall in enumerate(synthetic_halls(units, halls, seed=7))
    ]
    known = [ReportUnit(code=unit.code, name=unit.name, kind=unit.kind, parent=unit.parent) for unit in units]
    return ReportInput(heading=small_country().heading, halls=made, units=known)


CONFERENCES: dict[str, Callable[[], ReportInput]] = {
    "dong-thap-2021": dong_thap_2021,
    "small": small_country,
    "country": partial(country, 900),
}


def rows_of(payload: bytes, sheet: str) -> list[list[object]]:
    """The values of a sheet."""
    return [list(row) for row in load_workbook(io.BytesIO(payload)).get_sheet_by_name(sheet).to_python()]


def figures_below(rows: list[list[object]], labels: int, count: int) -> list[list[int]]:
    """The figures of the last `count` rows that have any, without the keys behind them."""
    found = [row for row in rows if len(row) > labels and isinstance(row[labels], float)]
    return [[int(str(value).split(".")[0]) for value in row[labels : labels + len(MEASURES)]] for row in found[-count:]]


@pytest.mark.parametrize("kind", ["summary", "flash"])
@pytest.mark.parametrize(
    ("conference", "language"),
    [
        ("dong-thap-2021", "vi"),
        ("dong-thap-2021", "en"),
        ("small", "vi"),
        ("small", "en"),
        ("country", "vi"),  # in English it is the same formulas under other names
    ],
)
def test_every_total_is_what_the_spreadsheet_calculates(
    conference: str, kind: ReportKind, language: Language, tmp_path: Path
) -> None:
    """All values of formulas are taken out of the file first: what is shown then was calculated."""
    given = CONFERENCES[conference]()
    given = msgspec.structs.replace(given, heading=msgspec.structs.replace(given.heading, kind=kind))
    report = build_report(given)
    canonical, seal = seal_of(report)
    payload = render(report, canonical, "xlsx", language, seal)
    calculated = recalculate(without_values(payload), tmp_path)
    tables = {table.section: table for table in tables_of(report, language)}
    for section in FIGURES:
        if section not in tables:
            continue
        sheet = SHEETS[section][0 if language == "vi" else 1]
        ours, theirs = rows_of(payload, sheet), rows_of(calculated, sheet)
        table = tables[section]
        labels = next(place for place, column in enumerate(table.columns) if column.kind == "number")
        if section == "totals":
            kinds = len(table.columns) - 2
            shown = [row[2 : 2 + kinds] for row in theirs if len(row) > 2 and isinstance(row[2], float)]
            assert shown == [[float(str(cell)) for cell in line.cells[2:]] for line in table.lines]
            continue
        expected = [list(line.cells[labels : labels + len(MEASURES)]) for line in table.lines]
        assert figures_below(ours, labels, len(expected)) == expected
        assert figures_below(theirs, labels, len(expected)) == expected
