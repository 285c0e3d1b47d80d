"""A report as one HTML page to read, to print and to keep as PDF: no script, nothing loaded, every value escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from itertools import groupby

from conference.reports.heading import heading_lines, seal_lines, signature_lines, title_of
from conference.reports.model import Report
from conference.reports.sealing import Seal
from conference.reports.tables import Cell, Column, Table, tables_of, without_silent_sources
from conference.reports.words import ABBREVIATIONS, Language, duration, moment, number, said

MAX_HALLS = 3_000
"""Beyond this a page does not list single halls: it would print to a thousand sheets."""

_STYLE = """
:root { color-scheme: light; }
body { font: 11pt/1.4 "Times New Roman", "Liberation Serif", serif; color: #111; margin: 2rem auto; max-width: 80rem; }
h1 { font-size: 16pt; text-align: center; margin: 0 0 .2rem; }
h2 { font-size: 12pt; margin: 1.4rem 0 .4rem; break-after: avoid; }
.head { text-align: center; margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #999; padding: .1rem .3rem; text-align: left; vertical-align: top; }
th { text-align: center; background: #eee; }
td:first-child { white-space: nowrap; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.d1 { padding-left: 1.2rem; }
td.d2 { padding-left: 2.4rem; }
td.d3 { padding-left: 3.6rem; }
tr.virtual td { color: #555; font-style: italic; }
tr.sum td { font-weight: bold; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
.sign { display: flex; justify-content: space-around; text-align: center; margin: 2rem 0 6rem; break-inside: avoid; }
.sign p { margin: 0; min-height: 1.4em; }
.seal { font: 8pt/1.4 monospace; overflow-wrap: anywhere; break-inside: avoid; }
@page {
  size: A4 landscape;
  margin: 12mm 10mm 14mm;
  @bottom-right { content: counter(page) "/" counter(pages); font: 8pt serif; }
}
@media print {
  body { margin: 0; max-width: none; font-size: 9pt; }
  .figures { font-size: 7pt; }
  .wide { overflow: visible; }
}
"""


def content_security_policy() -> str:
    """The strictest policy under which the page shows as meant: its own style by hash, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def render_html(report: Report, language: Language, seal: Seal) -> str:
    """A whole page in one language; virtual halls stand in lines of their own, labelled so."""
    parts = [
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title_of(report, language))}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
    ]
    for text, weight in heading_lines(report, language):
        shown = escape(text)
        parts.append(
            f"<h1>{shown}</h1>"
            if weight == 2
            else f'<p class="head">{f"<strong>{shown}</strong>" if weight else shown}</p>'
        )
    for table in tables_of(report, language):
        parts += _section(without_silent_sources(table), language)
    parts += [f"<p>{escape(said(ABBREVIATIONS, language))}</p>", *_signatures(language)]
    parts += [f'<p class="seal">{"<br>".join(escape(text) for text in seal_lines(seal, language))}</p>']
    return "\n".join([*parts, "</body>\n</html>\n"])


def _section(table: Table, language: Language) -> list[str]:
    is_list = table.section not in ("totals", "levels", "units", "interruptions")
    count = f": {number(len(table.lines), language)}" if is_list else ""
    title = f"<h2>{escape(table.title)}{count}</h2>"
    if not table.lines:
        return [title]
    if table.section == "halls" and len(table.lines) > MAX_HALLS:
        elsewhere = ("danh sách từng điểm cầu ở bản XLSX, CSV và JSON", "single halls are listed in XLSX, CSV and JSON")
        return [title, f"<p>{escape(said(elsewhere, language))}</p>"]
    kind = ' class="figures"' if any(column.group for column in table.columns) else ""
    return [
        title,
        f'<div class="wide"><table{kind}>',
        *_head(table),
        "<tbody>",
        *_body(table, language),
        "</tbody></table></div>",
    ]


def _head(table: Table) -> Iterator[str]:
    yield "<thead>"
    if any(column.group for column in table.columns):
        cells = []
        for group, columns in groupby(table.columns, key=lambda column: column.group):
            cells.append(f'<th colspan="{len(list(columns))}">{escape(group)}</th>')
        yield f"<tr>{''.join(cells)}</tr>"
    yield f"<tr>{''.join(f'<th>{escape(column.heading)}</th>' for column in table.columns)}</tr></thead>"


def _body(table: Table, language: Language) -> Iterator[str]:
    names = 1 if table.section == "units" else 0
    for line in table.lines:
        classes = " ".join(word for word, on in (("virtual", line.virtual), ("sum", line.is_sum)) if on)
        cells = (
            _cell(column, cell, language, line.depth if place == names else 0)
            for place, (column, cell) in enumerate(zip(table.columns, line.cells, strict=True))
        )
        yield f"<tr{f' class={chr(34)}{classes}{chr(34)}' if classes else ''}>{''.join(cells)}</tr>"


def _cell(column: Column, cell: Cell, language: Language, depth: int) -> str:
    if isinstance(cell, str):
        return f'<td class="d{min(depth, 3)}">{escape(cell)}</td>' if depth else f"<td>{escape(cell)}</td>"
    if cell is None:
        return "<td></td>"
    match column.kind:
        case "time":
            return f"<td>{escape(moment(cell, language))}</td>"
        case "duration":
            return f'<td class="n">{duration(cell)}</td>'
        case _:
            return f'<td class="n">{number(cell, language)}</td>'


def _signatures(language: Language) -> list[str]:
    columns = list(zip(*signature_lines(language), strict=True))
    shown = ["".join(f"<p>{escape(text)}</p>" for text in column) for column in columns]
    return [f'<div class="sign">{"".join(f"<div>{column}</div>" for column in shown)}</div>']
