"""What every form of a report holds, and what none of them does."""

import csv
import io
import re
from html.parser import HTMLParser

import msgspec
import pytest
from support.report_inputs import END_MS, START_MS, report_hall, report_of, seal_of, small_country
from support.workbooks import cells_of

from bridges.attendance import HallStatus, Headcount
from bridges.presence import Interval
from conference.reports.building import build_report
from conference.reports.figures import MEASURES
from conference.reports.model import Report, ReportHall
from conference.reports.page import MAX_HALLS, content_security_policy, render_html
from conference.reports.rendering import TEXT_LIST_LIMIT, ReportFormat, render, render_csv, render_text
from conference.reports.words import Language

EVIL = "<script>alert(1)</script>"


def entry(number: int, status: HallStatus = "present", *, name: str = "", virtual: bool = False) -> ReportHall:
    """A hall in Đồng Tháp with 1,250 delegates."""
    return report_hall(
        f"H{number}",
        name=name,
        seats=1_250,
        status=status,
        headcount=Headcount(summoned=1_250, present=1_250),
        intervals=[Interval(START_MS, END_MS if status == "present" else START_MS + 1_000)],
        virtual=virtual,
    )


def titled(report: Report, title: str) -> Report:
    """The same report under another title."""
    return msgspec.structs.replace(report, heading=msgspec.structs.replace(report.heading, title=title))


def text_of(report: Report, language: Language = "vi") -> str:
    """The form for the terminal."""
    return render_text(report, language, seal_of(report)[1])


@pytest.mark.parametrize("report_format", ["json", "csv", "html", "text", "xlsx"])
@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("count", [0, 1, 100])
def test_every_form_is_written_for_every_size_and_shows_its_seal(
    report_format: ReportFormat, language: Language, count: int
) -> None:
    """Flash and summary, both languages, from nothing to many."""
    for kind in ("flash", "summary"):
        report = report_of([entry(number, "lost") for number in range(count)], kind, phase="live")
        canonical, seal = seal_of(report)
        body = render(report, canonical, report_format, language, seal)
        shown = (
            " ".join(cell.value for rows in cells_of(body).values() for row in rows for cell in row)
            if (report_format == "xlsx")
            else body.decode()
        )
        assert seal.sha256 in shown
        assert seal.signature in shown


def test_text_names_sources_and_virtual_halls() -> None:
    """Totals carry their source, virtual halls their label, numbers the separator of Việt Nam, times its clock."""
    text = text_of(report_of([entry(1), entry(2, "lost", virtual=True)], "flash", phase="live"))
    assert text.startswith("BÁO CÁO NHANH\n")
    assert "10/02/2026 09:00:00 (UTC+7)" in text
    line = next(line for line in text.splitlines() if line.startswith("đại biểu có mặt"))
    assert re.split(r"\s{2,}", line) == ["đại biểu có mặt", "số báo cáo", "1.250", "1.250"]
    assert any(re.match(r"82 +82 +ảo ", line) for line in text.splitlines())


def test_a_document_is_in_one_language() -> None:
    """English has no word of Vietnamese but names."""
    report = report_of([entry(1)])
    text = text_of(report, "en")
    assert text.startswith("SUMMARY REPORT\n")
    assert "1,250" in text
    assert "2026-02-10 08:00:00 (UTC+7)" in text
    for word in ("số báo cáo", "Tổng", "thật", "điểm cầu "):
        assert word not in text


def test_text_cannot_steer_the_terminal_and_cuts_long_lists() -> None:
    """Control characters of a name are blanked; a long list says how much was left off."""
    halls = [entry(number, "lost", name="X\x1b[2J\nY") for number in range(TEXT_LIST_LIMIT + 5)]
    text = text_of(titled(report_of(halls, "flash", phase="live"), "A\x1b]0;B"))
    assert "\x1b" not in text
    assert "X [2J Y" in text
    assert "và 5 mục nữa" in text


def test_csv_has_a_table_for_each_section_that_no_spreadsheet_runs() -> None:
    """Sources stand in the headings, figures are bare numbers, formulas are guarded."""
    report = build_report(small_country())
    seal = seal_of(report)[1]
    headings, *rows = csv.reader(io.StringIO(render_csv(report, "vi", seal, "halls").decode("utf-8-sig")))
    assert "có mặt [số báo cáo]" in headings
    assert len(rows) == 7
    assert all(len(row) == len(headings) for row in rows)
    assert "'=CMD|' /C calc'!A0" in {row[1] for row in rows}
    whole = render_csv(report, "vi", seal).decode("utf-8-sig")
    for title in ("Tổng hợp", "Theo cấp", "Theo đơn vị", "Điểm cầu", "Mất kết nối", "Điều chỉnh sau khi chốt"):
        assert f"\r\n\r\n{title}\r\n" in whole
    assert "\ufeff" not in whole


def test_a_workbook_has_its_sheets_and_guards_its_text() -> None:
    """Names of sheets by language; text that looks like a formula is text, with the mark that keeps it one."""
    report = build_report(small_country())
    canonical, seal = seal_of(report)
    written = cells_of(render(report, canonical, "xlsx", "vi", seal))
    assert list(written) == [
        "Tổng hợp",
        "Theo cấp",
        "Theo đơn vị",
        "Điểm cầu",
        "Mất kết nối",
        "Gián đoạn",
        "Chênh lệch",
        "Điều chỉnh",
        "Sự cố",
    ]
    names = [cell for row in written["Điểm cầu"] for cell in row if cell.value.startswith("=")]
    assert [(cell.value, cell.formula) for cell in names] == [("=CMD|' /C calc'!A0", "")]
    formulas = [cell.formula for row in written["Theo đơn vị"] for cell in row if cell.formula]
    assert all("SUMIF(" in formula for formula in formulas)
    assert len(formulas) == len(MEASURES) * (6 + 2)


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
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """The closing tag belongs to the newest open one."""
        assert self.open.pop() == tag


def test_html_is_well_formed_escaped_and_loads_nothing() -> None:
    """Every tag closes, no name becomes markup, and the page needs no script, link or picture."""
    halls = [entry(1, name=EVIL), entry(2, "lost", name=EVIL), entry(3, "lost", virtual=True)]
    report = titled(report_of(halls, phase="live"), EVIL)
    page = render_html(report, "vi", seal_of(report)[1])
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert not tags.seen & {"script", "link", "img", "iframe"}
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert '<html lang="vi">' in page
    assert "NGƯỜI LẬP" in page
    assert "sha256-" in content_security_policy()


def test_a_page_does_not_list_the_halls_of_a_country() -> None:
    """It says where they are."""
    report = report_of([report_hall(f"H{number}") for number in range(MAX_HALLS + 1)])
    page = render_html(report, "vi", seal_of(report)[1])
    assert "XLSX, CSV và JSON" in page
    assert "Điểm cầu H17<" not in page.split("Điểm cầu: ")[1].split("<h2>")[0]
