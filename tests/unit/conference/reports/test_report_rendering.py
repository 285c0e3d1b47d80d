import csv
import io
from html.parser import HTMLParser

import msgspec
import pytest

from bridges.attendance import HallStatus, Headcount
from bridges.halls import Hall
from bridges.presence import Interval
from conference.reports.flash import FlashHall, FlashInput, FlashReport, build_flash_report
from conference.reports.page import content_security_policy, render_html
from conference.reports.rendering import TEXT_LIST_LIMIT, ReportFormat, render, render_csv, render_json, render_text

EVIL = "<script>alert(1)</script>"


def entry(number: int, status: HallStatus = "present", *, name: str = "", virtual: bool = False) -> FlashHall:
    """A hall in Hà Nội."""
    return FlashHall(
        hall=Hall(
            hall_id=f"H{number}",
            name=name or f"Điểm cầu {number}",
            unit="00004",
            level="commune",
            seats=1_250,
            contact_name="Trực ban",
            contact_phone="0900 000 001",
            virtual=virtual,
        ),
        unit_name="Phường Ba Đình",
        province="01",
        province_name="Thành phố Hà Nội",
        level="commune",
        status=status,
        intervals=[Interval(0, 1_000)],
        headcount=Headcount(summoned=1_250, present=1_250),
    )


def report_of(halls: list[FlashHall], title: str = "Hội nghị") -> FlashReport:
    """A report at 10 February 2026, 08:00 in Việt Nam."""
    return build_flash_report(
        FlashInput(
            conference_id="hn",
            title=title,
            phase="live",
            at_ms=1_770_685_200_000,
            started_at_ms=None,
            ended_at_ms=None,
            halls=halls,
        )
    )


@pytest.mark.parametrize("report_format", ["json", "csv", "html", "text"])
@pytest.mark.parametrize("count", [0, 1, 100])
def test_every_form_is_written_for_every_size(report_format: ReportFormat, count: int) -> None:
    """Each form has its media type and holds the id of the conference or its figures."""
    media_type, body = render(report_of([entry(number, "lost") for number in range(count)]), report_format)
    assert media_type.startswith(
        {"json": "application/json", "csv": "text/csv", "html": "text/html"}.get(report_format, "text/plain")
    )
    assert body.decode()


def test_json_decodes_to_the_same_report() -> None:
    """JSON loses nothing."""
    report = report_of([entry(1), entry(2, "lost", virtual=True)])
    assert msgspec.json.decode(render_json(report), type=FlashReport) == report


def test_text_speaks_vietnamese_first_and_labels_sources_and_virtual_halls() -> None:
    """Totals carry their source, virtual halls their label, numbers the separator of Việt Nam, times its clock."""
    text = render_text(report_of([entry(1), entry(2, "lost", virtual=True)]))
    assert text.startswith("BÁO CÁO NHANH / FLASH REPORT")
    assert "10/02/2026 08:00:00 (UTC+7)" in text
    line = next(line for line in text.splitlines() if line.startswith("đại biểu có mặt (delegates present)"))
    assert "1.250" in line
    assert "headcount" in line
    assert "ảo (virtual): 1.250" in line
    assert "Thành phố Hà Nội – ảo (virtual)" in text


def test_text_cuts_a_long_name_and_never_the_label_of_virtual_halls() -> None:
    """Whatever the length of a province's name, a virtual line says that it is one."""
    hall = msgspec.structs.replace(entry(1, virtual=True), province_name="Tỉnh " + "rất dài " * 10)
    assert any("Tỉnh rất" in line and "– ảo (virtual)" in line for line in render_text(report_of([hall])).splitlines())


def test_text_cannot_steer_the_terminal_and_cuts_long_lists() -> None:
    """Control characters of a name are blanked; a long list says how much was left off."""
    halls = [entry(number, "lost", name="X\x1b[2J\nY") for number in range(TEXT_LIST_LIMIT + 5)]
    text = render_text(report_of(halls, title="A\x1b]0;B"))
    assert "\x1b" not in text
    assert "X [2J Y" in text
    assert "và 5 mục nữa (and 5 more)" in text


def test_csv_is_one_table_that_no_spreadsheet_runs() -> None:
    """Real and virtual lines, sources in the headings, formulas guarded."""
    hall = msgspec.structs.replace(entry(2, virtual=True), province="02", province_name="=1+1")
    data = render_csv(report_of([entry(1), hall])).decode("utf-8-sig")
    headings, *rows = list(csv.reader(io.StringIO(data)))
    assert any("headcount" in heading for heading in headings)
    assert all(len(row) == len(headings) for row in rows)
    assert [(row[0], row[3], row[4]) for row in rows[:2]] == [
        ("tổng (total)", "thật (real)", "1"),
        ("tổng (total)", "ảo (virtual)", "1"),
    ]
    assert {row[2] for row in rows if row[1] == "02"} == {"'=1+1"}


class Tags(HTMLParser):
    """Collects the open tags, to see that each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an opening; no attribute is a handler of events."""
        assert not any(name.startswith("on") for name, _ in attrs)
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """The closing tag belongs to the newest open one."""
        assert self.open.pop() == tag


def test_html_is_well_formed_escaped_and_loads_nothing() -> None:
    """Every tag closes, no name becomes markup, and the page needs no script, link or picture."""
    halls = [entry(1, name=EVIL), entry(2, "lost", name=EVIL), entry(3, "lost", virtual=True)]
    page = render_html(report_of(halls, title=EVIL))
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert not tags.seen & {"script", "link", "img", "iframe"}
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert '<html lang="vi">' in page
    assert "ảo (virtual)" in page
    assert "sha256-" in content_security_policy()
