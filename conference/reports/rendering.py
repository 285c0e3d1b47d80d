"""The flash report as text for the terminal, CSV for spreadsheets, JSON for machines; HTML is in `page`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, assert_never

import msgspec

from bridges.tables import serialize_table
from conference.reports.flash import FlashReport, GroupRow
from conference.reports.page import render_html
from conference.reports.words import (
    ABBREVIATIONS,
    COLUMNS,
    PHASES,
    REAL,
    SOURCES,
    TITLE,
    VIRTUAL,
    duration,
    durations_sentence,
    lines_of,
    measures,
    moment,
    number,
)

ReportFormat = Literal["json", "csv", "html", "text"]

TEXT_LIST_LIMIT = 40  # a terminal is for a glance; CSV, HTML and JSON hold the whole
_NAME_WIDTH = 34


def render(report: FlashReport, report_format: ReportFormat) -> tuple[str, bytes]:
    """Write the report; returns its media type and its bytes."""
    match report_format:
        case "json":
            return "application/json", render_json(report)
        case "csv":
            return "text/csv; charset=utf-8", render_csv(report)
        case "html":
            return "text/html; charset=utf-8", render_html(report).encode()
        case "text":
            return "text/plain; charset=utf-8", render_text(report).encode()
        case _:
            assert_never(report_format)


def render_json(report: FlashReport) -> bytes:
    """The report as one JSON object with the field names of `FlashReport`."""
    return msgspec.json.encode(report)


def render_csv(report: FlashReport) -> bytes:
    """One table: the total, then levels, then provinces; a line for real and one for virtual halls; guarded cells.

    Each figure's heading names its source in brackets.
    """
    headings = ["phần (section)", "mã (code)", "tên (name)", "loại (kind)"]
    headings += [f"{label_vi} / {label_en} [{SOURCES[source][0]} / {source}]" for source, label_vi, label_en in COLUMNS]
    total = GroupRow(code="", name_vi="Tổng", name_en="Total", real=report.total.real, virtual=report.total.virtual)
    sections = (("tổng (total)", [total]), ("cấp (level)", report.by_level), ("tỉnh (province)", report.by_province))
    rows: list[list[str]] = []
    for section, groups in sections:
        for group in groups:
            for kind, figures in ((REAL, group.real), (VIRTUAL, group.virtual)):
                if figures.halls or kind == REAL:
                    cells = [section, group.code, group.name_vi, kind]
                    rows.append(cells + [str(value) for value in measures(figures)])
    return serialize_table(headings, rows)


def render_text(report: FlashReport) -> str:
    """The report for a terminal of 160 columns, Vietnamese first."""
    return "\n".join([*_head(report), *_totals(report), *_tables(report), *_lists(report), ""])


def _head(report: FlashReport) -> list[str]:
    return [
        f"{TITLE[0]} / {TITLE[1]}",
        f"{_one_line(report.title)} [{_one_line(report.conference_id)}] · {PHASES.get(report.phase, report.phase)}",
        f"Lập lúc (made at): {moment(report.at_ms)}",
        f"Bắt đầu (started): {moment(report.started_at_ms)} · Kết thúc (ended): {moment(report.ended_at_ms)}",
        "",
    ]


def _totals(report: FlashReport) -> list[str]:
    width = max(len(f"{total.label_vi} ({total.label_en})") for total in report.totals)
    with_virtual = report.total.virtual.halls > 0
    lines: list[str] = []
    for total in report.totals:
        name = f"{total.label_vi} ({total.label_en})"
        line = f"{name:<{width}} {number(total.real):>12}  [{SOURCES[total.source][0]} / {total.source}]"
        lines.append(f"{line:<{width + 42}} {VIRTUAL}: {number(total.virtual)}" if with_virtual else line)
    return [*lines, ""]


def _tables(report: FlashReport) -> list[str]:
    lines: list[str] = []
    for title, groups in (("Theo cấp (by level)", report.by_level), ("Theo tỉnh (by province)", report.by_province)):
        lines += [title, *_table(report, groups), ""]
    return [*lines, ABBREVIATIONS, ""]


def _table(report: FlashReport, groups: Iterable[GroupRow]) -> list[str]:
    widths = [max(len(label_vi), len(label_en), 8) for _, label_vi, label_en in COLUMNS]
    lines = [*_headings(widths, language=0), *_headings(widths, language=1)]
    for name, is_virtual, figures in lines_of(report, groups):
        label = f" – {VIRTUAL}" if is_virtual else ""  # a long name is cut, the label never
        shown = _one_line(name)[: _NAME_WIDTH - len(label)] + label
        cells = "".join(f" {number(value):>{width}}" for value, width in zip(figures, widths, strict=True))
        lines.append(f"{shown:<{_NAME_WIDTH}}{cells}")
    return lines


def _headings(widths: Sequence[int], *, language: Literal[0, 1]) -> list[str]:
    """A line of sources and a line of columns, Vietnamese (0) or English (1)."""
    sources, labels, last = " " * _NAME_WIDTH, " " * _NAME_WIDTH, ""
    for column, width in zip(COLUMNS, widths, strict=True):
        source = f"[{SOURCES[column[0]][language]}]" if column[0] != last else ""
        last = column[0]
        room = len(labels) + 1
        sources = sources if not source else f"{sources:<{room}}{source}"
        labels += f" {column[1 + language]:>{width}}"
    return [sources, labels]


def _lists(report: FlashReport) -> list[str]:
    lines = [f"Điểm cầu mất kết nối (halls lost) [connection]: {number(len(report.lost))}"]
    for hall in report.lost[:TEXT_LIST_LIMIT]:
        kind = f" – {VIRTUAL}" if hall.virtual else ""
        whom = _one_line(f"{hall.contact_name} {hall.contact_phone}".strip())
        name = _one_line(f"{hall.name} ({hall.hall_id}), {hall.province_name}")
        lines.append(f"  {duration(hall.lost_ms):>9}  {name}{kind} · {whom or '–'}")
    lines += _rest(len(report.lost))
    for title, found in (
        ("Gián đoạn khi chuyển trạm (interruptions at moves)", report.interruptions),
        ("Vắng giữa hai lần kết nối (gaps in presence)", report.absences),
    ):
        lines.append(f"{title} [{found.source}]: {durations_sentence(found.real)}")
        if found.virtual.count:
            lines.append(f"  {VIRTUAL}: {durations_sentence(found.virtual)}")
    lines.append(f"Chênh lệch giữa các nguồn (discrepancies): {number(len(report.discrepancies))}")
    for entry in report.discrepancies[:TEXT_LIST_LIMIT]:
        kind = f" – {VIRTUAL}" if entry.virtual else ""
        lines.append(f"  {_one_line(entry.name)} ({entry.hall_id}){kind}: {entry.reason_vi} ({entry.reason_en})")
    return [*lines, *_rest(len(report.discrepancies))]


def _rest(count: int) -> list[str]:
    left = count - TEXT_LIST_LIMIT
    return [f"  … và {number(left)} mục nữa (and {number(left)} more)"] if left > 0 else []


def _one_line(text: str) -> str:
    """Text without control characters: a hall's name must not steer the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
