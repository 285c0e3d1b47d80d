"""A simulated day as a picture: an SVG of three curves over time, with the happenings. Pure.

Nothing from outside is loaded by it, and names from outside are escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from conference.simulation.report import Point, Report
from conference.simulation.words import sentences

# Pixels.
_WIDTH = 1_200
_LEFT = 90
_RIGHT = 24
_HEADER = 120
_PANEL = 190
_GAP = 46
_MOST_POINTS = 1_200  # one for each pixel: more would only weigh
_STYLE = """
text { font-family: system-ui, 'DejaVu Sans', sans-serif; fill: #17212b; font-size: 12px; }
.title { font-size: 20px; font-weight: 600; } .name { font-weight: 600; } .axis { stroke: #c9d1d9; fill: none; }
.cause { stroke: #8a949e; stroke-dasharray: 3 3; } .curve { fill: none; stroke-width: 1.6; } .small { font-size: 10px; }
"""
_Curve = tuple[str, str, Callable[[Point], float]]
_PANELS: tuple[tuple[str, str, tuple[_Curve, ...]], ...] = (
    (
        "Điểm cầu (halls)",
        "{:,.0f}",
        (
            ("có hình (see the picture)", "#1f5fa8", lambda point: point.seeing),
            ("có mặt theo nhật ký (present)", "#5b8c2a", lambda point: point.present),
            ("chờ (waiting)", "#8a949e", lambda point: point.waiting),
            ("mất kết nối (lost)", "#a8324a", lambda point: point.lost),
        ),
    ),
    (
        "Tải trạm biên, so với giới hạn cứng (load of edges, of their hard limit)",
        "{:.0%}",
        (
            ("đầy nhất (fullest)", "#b4641a", lambda point: point.load_max),
            ("trung bình (mean)", "#0f8b8d", lambda point: point.load_mean),
        ),
    ),
    (
        "Vào hội nghị (joins)",
        "{:,.0f}",
        (("trong mỗi khoảng (in each interval)", "#7b4fa3", lambda point: point.joined),),
    ),
)


def draw_day(report: Report) -> str:
    """The day as an SVG document."""
    height = _HEADER + len(_PANELS) * (_PANEL + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="{_LEFT}" y="34">{escape(report.title or "Mô phỏng (simulation)")}</text>',
        *(
            f'<text x="{_LEFT}" y="{56 + 17 * number}">{escape(line)}</text>'
            for number, line in enumerate(sentences(report)[:3])
        ),
    ]
    for number, (name, form, curves) in enumerate(_PANELS):
        parts += _panel(report, _HEADER + number * (_PANEL + _GAP), name, form, curves)
    parts += _causes(report, height)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(report: Report, top: int, name: str, form: str, curves: Sequence[_Curve]) -> list[str]:
    points = report.points[:: max(1, -(-len(report.points) // _MOST_POINTS))]
    most = max((value(point) for _, _, value in curves for point in points), default=0.0) or 1.0
    bottom = top + _PANEL
    parts = [
        f'<path class="axis" d="M{_LEFT} {top} V{bottom} H{_WIDTH - _RIGHT}"/>',
        f'<text class="name" x="{_LEFT}" y="{top - 8}">{escape(name)}</text>',
        f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{form.format(most)}</text>',
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="{bottom + 15}" text-anchor="end">{report.duration_s:g} s</text>',
    ]
    place = _LEFT + 380
    for words, colour, value in curves:
        way = " ".join(f"{_x(report, point.at_s):.1f},{bottom - _PANEL * value(point) / most:.1f}" for point in points)
        parts += [
            f'<polyline class="curve" stroke="{colour}" points="{way}"/>',
            f'<text x="{place}" y="{top - 8}" style="fill:{colour}">{escape(words)}</text>',
        ]
        place += 8 * len(words)
    return parts


def _causes(report: Report, height: int) -> list[str]:
    parts = []
    for number, cause in enumerate(report.happened):
        moment, _, what = cause.partition(" ")
        x = _x(report, float(moment.removesuffix("s")))
        y = _HEADER + 14 + 12 * (number % 6)
        parts += [
            f'<path class="cause" d="M{x:.1f} {_HEADER} V{height - _GAP}"/>',
            f'<text class="small" x="{x + 3:.1f}" y="{y}">{escape(what)}</text>',
        ]
    return parts


def _x(report: Report, at_s: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * at_s / report.duration_s
