"""A plan as a picture: an SVG of the tree, origins above, the edges of each region together, fuller ones darker.

Nothing from outside is loaded by it, and names from outside are escaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from xml.sax.saxutils import escape

from conference.planner.loads import RelayLoad
from conference.planning.figures import Planned
from conference.planning.words import sentences

# Pixels. A region's box holds its edges in rows; boxes stand in rows as wide as the page.
_WIDTH = 1_600
_MARGIN = 24
_DOT = 18
_ROW = 10
_BOX_PADDING = 10
_BOX_TITLE = 20
_ORIGIN = 30
_HEADER = 150
# One for each origin, in turn: told apart also by people who do not see red and green alike.
_COLOURS = ("#1f5fa8", "#b4641a", "#5b8c2a", "#7b4fa3", "#0f8b8d", "#a8324a")
_UNFED = "#8a949e"
_STYLE = """
text { font-family: system-ui, 'DejaVu Sans', sans-serif; fill: #17212b; }
.title { font-size: 20px; font-weight: 600; } .note { font-size: 12px; } .region { font-size: 11px; font-weight: 600; }
.bundle { fill: none; opacity: .4; } .second { stroke-dasharray: 4 3; opacity: .7; } .link { fill: none; opacity: .7; }
.box { fill: #f4f6f8; stroke: #c9d1d9; } .risk { outline: 3px solid #c62828; }
"""


class _Point:
    """Where a relay stands."""

    __slots__ = ("x", "y")

    def __init__(self, x: float, y: float) -> None:
        self.x = x
        self.y = y


def draw_tree(planned: Planned) -> str:
    """The tree as an SVG document.

    Args:
        planned: a plan with its figures; relays whose loss darkens halls are ringed in red.
    """
    origins = [load for load in planned.plan.loads if load.role == "origin"]
    points = {
        load.relay_id: _Point(_WIDTH * (number + 1) / (len(origins) + 1), _HEADER)
        for number, load in enumerate(origins)
    }
    boxes, height = _place_regions(planned, points)
    colours = _colours(planned.plan.loads)
    risky = {loss.relays[0] for loss in planned.proof.singles if not loss.is_survived}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" font-size="12">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height:.0f}" fill="#fff"/>',
        *_texts(planned),
        *_bundles(planned.plan.loads, points, colours),
        *boxes,
        *_links(planned.plan.loads, points, colours),
        *(_relay(load, points[load.relay_id], colours, risky) for load in planned.plan.loads),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _colours(loads: Sequence[RelayLoad]) -> dict[str, str]:
    """Of each relay, the colour of the origin that it plays from."""
    first = {load.relay_id: load.parents[0] for load in loads if load.parents}
    origins = [load.relay_id for load in loads if load.role == "origin"]
    colours = {origin: _COLOURS[number % len(_COLOURS)] for number, origin in enumerate(origins)}
    for load in loads:
        root = load.relay_id
        while root in first:
            root = first[root]
        colours[load.relay_id] = colours.get(root, _UNFED)
    return colours


def _place_regions(planned: Planned, points: dict[str, _Point]) -> tuple[list[str], float]:
    """Give every edge a place; returns the boxes and the height of the page."""
    columns = max(1, _WIDTH // 260)
    box_width = (_WIDTH - _MARGIN * (columns + 1)) / columns
    in_row = int((box_width - 2 * _BOX_PADDING) // (_DOT + _ROW))
    boxes: list[str] = []
    top, tallest = _HEADER + 90.0, 0.0
    regions = [region for region in planned.regions if region.edges]
    for number, region in enumerate(regions):
        column = number % columns
        if column == 0 and number:
            top, tallest = top + tallest + _MARGIN, 0.0
        left = _MARGIN + column * (box_width + _MARGIN)
        edges = [load for load in planned.plan.loads if load.role == "edge" and load.region == region.code]
        rows = -(-len(edges) // in_row)
        box_height = _BOX_TITLE + 2 * _BOX_PADDING + rows * (_DOT + _ROW)
        tallest = max(tallest, box_height)
        away = f", {region.away:,} xem nơi khác (away)" if region.away else ""
        title = f"{region.name}: {region.halls:,} điểm cầu{away}"
        boxes += [
            f'<rect class="box" x="{left:.0f}" y="{top:.0f}" width="{box_width:.0f}" height="{box_height:.0f}"/>',
            f'<text class="region" x="{left + _BOX_PADDING:.0f}" y="{top + 18:.0f}">{escape(title)}</text>',
        ]
        for place, load in enumerate(edges):
            x = left + _BOX_PADDING + (place % in_row) * (_DOT + _ROW) + _DOT / 2
            y = top + _BOX_TITLE + _BOX_PADDING + (place // in_row) * (_DOT + _ROW) + _DOT / 2
            points[load.relay_id] = _Point(x, y)
    return boxes, top + tallest + _MARGIN


def _texts(planned: Planned) -> list[str]:
    """The heading: the first sentences of the plan, and what lines and colours mean."""
    legend = (
        "Màu: trạm gốc đang phát (colour: the origin that it plays from) · đường đứt: nguồn dự phòng (dashed: backup "
        "parent) · đậm hơn là đầy hơn (darker is fuller) · khung đỏ: mất trạm này là mất điểm cầu (red: its loss "
        "darkens halls)"
    )
    lines = ["Cây trạm chuyển tiếp (tree of relays)", *sentences(planned)[:4], legend]
    return [
        f'<text class="{"note" if number else "title"}" x="{_MARGIN}" y="{34 + number * 18}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    ]


def _bundles(loads: Sequence[RelayLoad], points: dict[str, _Point], colours: dict[str, str]) -> list[str]:
    """Links from origins, those to one region together: a line for each relay would hide all others."""
    origins = {load.relay_id for load in loads if load.role == "origin"}
    tops: dict[str, _Point] = {}
    counts: Counter[tuple[str, str, int]] = Counter()
    for load in loads:
        if load.role == "edge":
            tops.setdefault(load.region, points[load.relay_id])  # the first stands in the upper left of its box
            counts.update((parent, load.region, rank) for rank, parent in enumerate(load.parents) if parent in origins)
    found = []
    for (origin, region, rank), count in sorted(counts.items()):
        start, end = points[origin], tops[region]
        x, y, middle = end.x + 30 + 25 * rank, end.y - _BOX_TITLE - _BOX_PADDING, (start.y + end.y) / 2
        kind = "bundle second" if rank else "bundle"
        words = f"{origin} → {region}: {count} {'dự phòng (backup)' if rank else 'chính (first)'}"
        found.append(
            f'<path class="{kind}" stroke="{colours[origin]}" stroke-width="{1 + count**0.5:.1f}" '
            f'd="M{start.x:.0f} {start.y:.0f} C{start.x:.0f} {middle:.0f} {x:.0f} {middle:.0f} {x:.0f} {y:.0f}">'
            f"<title>{escape(words)}</title></path>"
        )
    return found


def _links(loads: Sequence[RelayLoad], points: dict[str, _Point], colours: dict[str, str]) -> list[str]:
    """Links between edges, one by one."""
    edges = {load.relay_id for load in loads if load.role == "edge"}
    found = []
    for load in loads:
        child = points[load.relay_id]
        for rank, parent in enumerate(load.parents):
            if parent in edges:
                above = points[parent]
                bow = (child.x + above.x) / 2, (child.y + above.y) / 2 - _DOT
                found.append(
                    f'<path class="link{" second" if rank else ""}" stroke="{colours[parent]}" '
                    f'd="M{child.x:.0f} {child.y:.0f} Q{bow[0]:.0f} {bow[1]:.0f} {above.x:.0f} {above.y:.0f}"/>'
                )
    return found


def _relay(load: RelayLoad, point: _Point, colours: dict[str, str], risky: set[str]) -> str:
    words = (
        f"{load.relay_id}: {load.primaries} chính (primary), {load.backups} dự phòng (backup), {load.links} trạm con "
        f"(links), {load.utilisation:.0%}"
    )
    attributes = f'class="{"risk" if load.relay_id in risky else ""}" stroke="{colours[load.relay_id]}"'
    title, name = f"<title>{escape(words)}</title>", escape(load.relay_id)
    if load.role == "origin":
        return (
            f'<rect {attributes} x="{point.x - _ORIGIN / 2:.1f}" y="{point.y - _ORIGIN / 2:.1f}" width="{_ORIGIN}" '
            f'height="{_ORIGIN}" rx="4" fill="{colours[load.relay_id]}">{title}</rect>'
            f'<text class="region" x="{point.x + _ORIGIN / 2 + 6:.1f}" y="{point.y + 4:.1f}">{name}</text>'
        )
    return (
        f'<circle {attributes} cx="{point.x:.1f}" cy="{point.y:.1f}" r="{_DOT / 2}" stroke-width="2" '
        f'fill="hsl(210 15% {95 - 50 * min(1.0, load.utilisation):.0f}%)">{title}</circle>'
    )
