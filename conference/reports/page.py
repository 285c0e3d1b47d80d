"""The flash report as one HTML page to print: no script, nothing loaded, every value escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

from conference.reports.flash import FlashReport, GroupRow
from conference.reports.words import (
    ABBREVIATIONS,
    COLUMNS,
    PHASES,
    SOURCES,
    TITLE,
    VIRTUAL,
    duration,
    durations_sentence,
    lines_of,
    moment,
    number,
)

_STYLE = """
:root { color-scheme: light; }
body { font: 11pt/1.4 "Times New Roman", "Liberation Serif", serif; color: #111; margin: 2rem auto; max-width: 70rem; }
h1 { font-size: 16pt; text-align: center; margin: 0 0 .2rem; }
h2 { font-size: 12pt; margin: 1.4rem 0 .4rem; }
.en { color: #555; font-weight: normal; font-style: italic; }
.head { text-align: center; margin: 0; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #999; padding: .15rem .4rem; text-align: left; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.virtual td { color: #666; font-style: italic; }
tr.sum td { font-weight: bold; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
@page { size: A4 landscape; margin: 12mm; }
@media print { body { margin: 0; max-width: none; font-size: 9pt; } }
"""


def content_security_policy() -> str:
    """The strictest policy under which the page shows as meant: its own style by hash, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def render_html(report: FlashReport) -> str:
    """A whole page, Vietnamese first, English second; virtual halls stand in lines of their own, labelled so."""
    title = f"{TITLE[0]} – {report.title}"
    parts = [
        '<!doctype html>\n<html lang="vi">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        *_head(report),
        *_totals(report),
        *_figures("Theo cấp", "By level", report, report.by_level),
        *_figures("Theo tỉnh", "By province", report, report.by_province),
        f"<p>{escape(ABBREVIATIONS)}</p>",
        *_lost(report),
        *_interruptions(report),
        *_discrepancies(report),
        "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _both(vi: str, en: str) -> str:
    return f'{escape(vi)} <span class="en">({escape(en)})</span>'


def _head(report: FlashReport) -> list[str]:
    phase = escape(PHASES.get(report.phase, report.phase))
    made, started, ended = (escape(moment(at)) for at in (report.at_ms, report.started_at_ms, report.ended_at_ms))
    begun, over = _both("bắt đầu", "started"), _both("kết thúc", "ended")
    return [
        f'<h1>{escape(TITLE[0])} <span class="en">{escape(TITLE[1])}</span></h1>',
        f'<p class="head"><strong>{escape(report.title)}</strong> [{escape(report.conference_id)}]</p>',
        f'<p class="head">{phase} · {_both("lập lúc", "made at")}: {made}</p>',
        f'<p class="head">{begun}: {started} · {over}: {ended}</p>',
    ]


def _totals(report: FlashReport) -> list[str]:
    with_virtual = report.total.virtual.halls > 0
    headings = [_both("Chỉ tiêu", "Figure"), _both("Nguồn", "Source"), _both("Thật", "Real")]
    rows: list[str] = []
    for total in report.totals:
        cells = [f"<td>{_both(total.label_vi, total.label_en)}</td>"]
        cells.append(f"<td>{escape(SOURCES[total.source][0])} ({total.source})</td>")
        cells.append(f'<td class="n">{number(total.real)}</td>')
        if with_virtual:
            cells.append(f'<td class="n">{number(total.virtual)}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    if with_virtual:
        headings.append(escape(VIRTUAL))
    return [f"<h2>{_both('Tổng hợp', 'Totals')}</h2>", *_table(headings, rows)]


def _figures(vi: str, en: str, report: FlashReport, groups: Iterable[GroupRow]) -> list[str]:
    by_source = "".join(
        f'<th colspan="{len(list(columns))}">{_both(SOURCES[source][0], source)}</th>'
        for source, columns in groupby(COLUMNS, key=lambda column: column[0])
    )
    labels = "".join(f"<th>{_both(label_vi, label_en)}</th>" for _, label_vi, label_en in COLUMNS)
    head = f'<thead><tr><th rowspan="2"></th>{by_source}</tr><tr>{labels}</tr></thead>'
    lines = lines_of(report, groups)
    sums = 2 if report.total.virtual.halls else 1
    rows: list[str] = []
    for place, (name, is_virtual, figures) in enumerate(lines):
        classes = [word for word, on in (("virtual", is_virtual), ("sum", place >= len(lines) - sums)) if on]
        shown = f"{name} – {VIRTUAL}" if is_virtual else name
        cells = "".join(f'<td class="n">{number(value)}</td>' for value in figures)
        rows.append(f'<tr class="{" ".join(classes)}"><td>{escape(shown)}</td>{cells}</tr>')
    return [f"<h2>{_both(vi, en)}</h2>", "<table>", head, "<tbody>", *rows, "</tbody></table>"]


def _lost(report: FlashReport) -> list[str]:
    title = f"<h2>{_both('Điểm cầu mất kết nối', 'Halls lost')} [connection]: {number(len(report.lost))}</h2>"
    if not report.lost:
        return [title]
    headings = [
        _both("Điểm cầu", "Hall"),
        _both("Đơn vị", "Unit"),
        _both("Từ lúc", "Since"),
        _both("Thời gian", "For"),
        _both("Người phụ trách", "Contact"),
    ]
    rows = [
        f'<tr class="{"virtual" if hall.virtual else ""}">'
        f"<td>{escape(hall.name)} ({escape(hall.hall_id)}){' – ' + VIRTUAL if hall.virtual else ''}</td>"
        f"<td>{escape(hall.unit_name)}, {escape(hall.province_name)}</td>"
        f'<td>{escape(moment(hall.since_ms))}</td><td class="n">{duration(hall.lost_ms)}</td>'
        f"<td>{escape(hall.contact_name)} {escape(hall.contact_phone)}</td></tr>"
        for hall in report.lost
    ]
    return [title, *_table(headings, rows)]


def _interruptions(report: FlashReport) -> list[str]:
    lines = [f"<h2>{_both('Gián đoạn', 'Interruptions')}</h2>", "<ul>"]
    for vi, en, found in (
        ("khi chuyển trạm", "at moves between relays", report.interruptions),
        ("vắng giữa hai lần kết nối", "gaps in presence", report.absences),
    ):
        label = f"{_both(vi, en)} [{escape(SOURCES[found.source][0])} / {found.source}]"
        lines.append(f"<li>{label}: {escape(durations_sentence(found.real))}</li>")
        if found.virtual.count:
            lines.append(f"<li>{label} – {escape(VIRTUAL)}: {escape(durations_sentence(found.virtual))}</li>")
    return [*lines, "</ul>"]


def _discrepancies(report: FlashReport) -> list[str]:
    count = number(len(report.discrepancies))
    title = f"<h2>{_both('Chênh lệch giữa các nguồn', 'Discrepancies between sources')}: {count}</h2>"
    if not report.discrepancies:
        return [title]
    rows = [
        f'<tr class="{"virtual" if entry.virtual else ""}">'
        f"<td>{escape(entry.name)} ({escape(entry.hall_id)}){' – ' + VIRTUAL if entry.virtual else ''}</td>"
        f"<td>{_both(entry.reason_vi, entry.reason_en)}</td></tr>"
        for entry in report.discrepancies
    ]
    return [title, *_table([_both("Điểm cầu", "Hall"), _both("Nội dung", "Finding")], rows)]


def _table(headings: Sequence[str], rows: Iterable[str]) -> list[str]:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    return ["<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>", *rows, "</tbody></table>"]
