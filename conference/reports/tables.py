"""The tables of a report: titles, columns and rows in one language, from which every written form is made.

A cell is a text, a whole number, or None; what a number means (a figure, a time, a length of time) its column says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from bridges.attendance import Figures
from conference.reports.figures import MEASURES, measures, measures_of_hall
from conference.reports.model import HallRow, Report
from conference.reports.words import (
    FIGURES,
    INCIDENTS,
    PHASES,
    REAL,
    SOURCES,
    STATUSES,
    TOTAL,
    UNASSIGNED,
    VIRTUAL,
    Language,
    Words,
    durations_sentence,
    level_name,
    said,
)

Cell = str | int | None
Kind = Literal["text", "number", "time", "duration"]
Section = Literal[
    "totals", "levels", "units", "halls", "outages", "interruptions", "discrepancies", "corrections", "incidents"
]

TITLES: dict[Section, Words] = {
    "totals": ("Tổng hợp", "Totals"),
    "levels": ("Theo cấp", "By level"),
    "units": ("Theo đơn vị", "By unit"),
    "halls": ("Điểm cầu", "Halls"),
    "outages": ("Mất kết nối", "Halls lost"),
    "interruptions": ("Gián đoạn", "Interruptions"),
    "discrepancies": ("Chênh lệch giữa các nguồn", "Discrepancies between sources"),
    "corrections": ("Điều chỉnh sau khi chốt", "Corrections after closing"),
    "incidents": ("Sự cố và lệnh vận hành", "Incidents and orders"),
}


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column; `group` stands above neighbours that have the same, for example the source of figures."""

    heading: str
    kind: Kind = "text"
    group: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A row: its cells, whether it is of virtual halls, whether it is a sum of others, how far it is indented."""

    cells: tuple[Cell, ...]
    virtual: bool = False
    is_sum: bool = False
    depth: int = 0


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table of a report."""

    section: Section
    title: str
    columns: tuple[Column, ...]
    lines: Sequence[Line]


def tables_of(report: Report, language: Language) -> list[Table]:
    """The tables of a report in their order; a summary has all, a flash report those that it fills."""
    tables = [_totals(report, language), _levels(report, language), _units(report, language)]
    if report.heading.kind == "summary":
        tables.append(_halls(report, language))
    tables += [_outages(report, language), _interruptions(report, language), _discrepancies(report, language)]
    if report.heading.closed_at_ms is not None or report.corrections:
        tables.append(_corrections(report, language))
    if report.heading.kind == "summary":
        tables.append(_incidents(report, language))
    return tables


def without_silent_sources(table: Table) -> Table:
    """The table without the figures of a source that said nothing of anybody in it: for forms short of room."""
    groups = {column.group for column in table.columns if column.group}
    spoken = {
        column.group
        for line in table.lines
        for column, cell in zip(table.columns, line.cells, strict=True)
        if column.group and cell
    }
    return narrowed(table, lambda place: table.columns[place].group not in groups - spoken)


def narrowed(table: Table, is_kept: Callable[[int], bool]) -> Table:
    """The table with those columns alone whose place is kept."""
    kept = [place for place in range(len(table.columns)) if is_kept(place)]
    return msgspec.structs.replace(
        table,
        columns=tuple(table.columns[place] for place in kept),
        lines=[msgspec.structs.replace(line, cells=tuple(line.cells[place] for place in kept)) for line in table.lines],
    )


def figure_columns(language: Language) -> tuple[Column, ...]:
    """A column for each of `MEASURES`, under its source."""
    return tuple(
        Column(heading=said(FIGURES[key][0], language), kind="number", group=said(SOURCES[key[0]], language))
        for key in MEASURES
    )


def unit_name(code: str, name: str, language: Language) -> str:
    """A unit's name; halls that the tree has no place for are said to be unassigned."""
    return name if code else said(UNASSIGNED, language)


def _kind(*, virtual: bool, language: Language) -> str:
    return said(VIRTUAL if virtual else REAL, language)


def _column(vi: str, en: str, language: Language, kind: Kind = "text") -> Column:
    return Column(heading=said((vi, en), language), kind=kind)


def _table(section: Section, language: Language, columns: Sequence[Column], lines: Iterable[Line]) -> Table:
    return Table(section=section, title=said(TITLES[section], language), columns=tuple(columns), lines=list(lines))


def _totals(report: Report, language: Language) -> Table:
    columns = [
        _column("chỉ tiêu", "figure", language),
        _column("nguồn", "source", language),
        Column(heading=said(REAL, language), kind="number"),
    ]
    if report.has_virtual:
        columns.append(Column(heading=said(VIRTUAL, language), kind="number"))
    lines = []
    for total in report.totals:
        cells: list[Cell] = [
            said(FIGURES[total.source, total.figure][1], language),
            said(SOURCES[total.source], language),
            total.real,
        ]
        lines.append(Line(cells=(*cells, total.virtual) if report.has_virtual else tuple(cells)))
    return _table("totals", language, columns, lines)


def _pair(
    label: tuple[Cell, ...],
    real: Figures,
    virtual: Figures,
    language: Language,
    *,
    is_sum: bool = False,
    depth: int = 0,
) -> list[Line]:
    """The line of real halls, and the one of virtual halls where there are any."""
    lines = []
    for is_virtual, figures in ((False, real), (True, virtual)):
        if figures.halls or (not is_virtual and (is_sum or not virtual.halls)):
            kind = _kind(virtual=is_virtual, language=language)
            cells = (*label, kind, *measures(figures))
            lines.append(Line(cells=cells, virtual=is_virtual, is_sum=is_sum, depth=depth))
    return lines


def _sums(report: Report, label: tuple[Cell, ...], language: Language) -> list[Line]:
    return _pair(label, report.total.real, report.total.virtual, language, is_sum=True)


def _levels(report: Report, language: Language) -> Table:
    columns = [_column("cấp", "level", language), _column("loại", "kind", language), *figure_columns(language)]
    lines = [
        line
        for row in report.by_level
        for line in _pair((level_name(row.level, language),), row.real, row.virtual, language)
    ]
    return _table("levels", language, columns, [*lines, *_sums(report, (said(TOTAL, language),), language)])


def _units(report: Report, language: Language) -> Table:
    columns = [
        _column("mã", "code", language),
        _column("đơn vị", "unit", language),
        _column("loại", "kind", language),
        *figure_columns(language),
    ]
    lines = [
        line
        for row in report.by_unit
        for line in _pair(
            (row.code, unit_name(row.code, row.name, language)), row.real, row.virtual, language, depth=row.depth
        )
    ]
    return _table("units", language, columns, [*lines, *_sums(report, ("", said(TOTAL, language)), language)])


def hall_columns(language: Language) -> tuple[Column, ...]:
    """Columns of the table of halls before the figures, and after them."""
    return (
        _column("mã", "code", language),
        _column("điểm cầu", "hall", language),
        _column("đơn vị", "unit", language),
        _column("tỉnh, thành phố", "province", language),
        _column("cấp", "level", language),
        _column("loại", "kind", language),
    )


def hall_line(row: HallRow, language: Language) -> Line:
    """The row of one hall."""
    return Line(
        cells=(
            row.hall_id,
            row.name,
            row.unit_name,
            row.province_name,
            level_name(row.level, language),
            _kind(virtual=row.virtual, language=language),
            *measures_of_hall(row),
            said(STATUSES[row.status], language),
            row.first_seen_ms,
            row.present_ms,
            row.outages,
            row.outage_ms,
        ),
        virtual=row.virtual,
    )


def _halls(report: Report, language: Language) -> Table:
    columns = [
        *hall_columns(language),
        *figure_columns(language),
        _column("trạng thái", "status", language),
        _column("vào lúc", "first seen", language, "time"),
        _column("thời gian có mặt", "time present", language, "duration"),
        _column("số lần mất", "times lost", language, "number"),
        _column("tổng thời gian mất", "time lost", language, "duration"),
    ]
    return _table("halls", language, columns, (hall_line(row, language) for row in report.halls))


def _outages(report: Report, language: Language) -> Table:
    columns = [
        _column("mã", "code", language),
        _column("điểm cầu", "hall", language),
        _column("đơn vị", "unit", language),
        _column("tỉnh, thành phố", "province", language),
        _column("loại", "kind", language),
        _column("từ lúc", "from", language, "time"),
        _column("đến lúc", "until", language, "time"),
        _column("thời gian", "for", language, "duration"),
        _column("người phụ trách", "contact", language),
        _column("điện thoại", "telephone", language),
    ]
    lines = [
        Line(
            cells=(
                outage.hall_id,
                outage.name,
                outage.unit_name,
                outage.province_name,
                _kind(virtual=outage.virtual, language=language),
                outage.start_ms,
                outage.end_ms,
                outage.length_ms,
                outage.contact_name,
                outage.contact_phone,
            ),
            virtual=outage.virtual,
        )
        for outage in report.outages
    ]
    return _table("outages", language, columns, lines)


def _interruptions(report: Report, language: Language) -> Table:
    columns = [
        _column("nội dung", "what", language),
        _column("nguồn", "source", language),
        _column("loại", "kind", language),
        _column("kết quả", "finding", language),
    ]
    lines = []
    for words, found in (
        (("gián đoạn khi chuyển trạm", "interruptions at moves between relays"), report.interruptions),
        (("vắng giữa hai lần kết nối", "gaps between two presences"), report.absences),
    ):
        for virtual, durations in ((False, found.real), (True, found.virtual)):
            if durations.count or not virtual:
                kind = _kind(virtual=virtual, language=language)
                sentence = durations_sentence(durations, language)
                cells = (said(words, language), said(SOURCES[found.source], language), kind, sentence)
                lines.append(Line(cells=cells, virtual=virtual))
    return _table("interruptions", language, columns, lines)


def _discrepancies(report: Report, language: Language) -> Table:
    columns = [
        _column("mã", "code", language),
        _column("điểm cầu", "hall", language),
        _column("loại", "kind", language),
        _column("nội dung", "finding", language),
    ]
    lines = [
        Line(
            cells=(
                found.hall_id,
                found.name,
                _kind(virtual=found.virtual, language=language),
                said((found.reason_vi, found.reason_en), language),
            ),
            virtual=found.virtual,
        )
        for found in report.discrepancies
    ]
    return _table("discrepancies", language, columns, lines)


def _corrections(report: Report, language: Language) -> Table:
    columns = [
        _column("mã", "code", language),
        _column("điểm cầu", "hall", language),
        _column("đơn vị", "unit", language),
        _column("loại", "kind", language),
        _column("nguồn", "source", language),
        _column("chỉ tiêu", "figure", language),
        _column("khi chốt", "at closing", language, "number"),
        _column("hiện nay", "now", language, "number"),
        _column("người sửa", "by", language),
        _column("lúc", "at", language, "time"),
        _column("ghi chú", "note", language),
    ]
    lines = [
        Line(
            cells=(
                found.hall_id,
                found.name,
                found.unit_name,
                _kind(virtual=found.virtual, language=language),
                said(SOURCES[found.source], language),
                said(FIGURES[found.source, found.figure][1], language),
                found.closing,
                found.present,
                found.by,
                found.at_ms or None,
                found.note,
            ),
            virtual=found.virtual,
        )
        for found in report.corrections
    ]
    return _table("corrections", language, columns, lines)


def _incidents(report: Report, language: Language) -> Table:
    columns = [
        _column("lúc", "at", language, "time"),
        _column("sự việc", "what", language),
        _column("loại", "kind", language),
        _column("đối tượng", "subject", language),
        _column("chi tiết", "detail", language),
        _column("lý do", "reason", language),
        _column("người thực hiện", "by", language),
    ]
    lines = [
        Line(
            cells=(
                found.at_ms,
                said(INCIDENTS[found.code], language),
                _kind(virtual=found.virtual, language=language),
                said(PHASES.get(found.subject, (found.subject, found.subject)), language)
                if found.code == "phase"
                else found.subject,
                found.detail,
                found.reason,
                found.actor,
            ),
            virtual=found.virtual,
        )
        for found in report.incidents
    ]
    return _table("incidents", language, columns, lines)
