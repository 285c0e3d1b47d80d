"""What stands above and below the tables of every form: title, conference, times; places for signatures; the seal."""

from __future__ import annotations

from conference.reports.model import Report
from conference.reports.sealing import Seal
from conference.reports.words import (
    PHASES,
    REHEARSAL,
    SUBTITLE,
    TITLES,
    TREES,
    Language,
    Words,
    moment,
    said,
)


def title_of(report: Report, language: Language) -> str:
    """The document's title, with the conference's."""
    return f"{said(TITLES[report.heading.kind], language)} – {report.heading.title}"


def heading_lines(report: Report, language: Language) -> list[tuple[str, int]]:
    """The lines at the head of the document, each with its weight: 2 the title, 1 bold, 0 plain."""
    heading = report.heading

    def labelled(vi: str, en: str, text: str) -> str:
        return f"{said((vi, en), language)}: {text}"

    phase = said(PHASES.get(heading.phase, (heading.phase, heading.phase)), language)
    lines = [
        (said(TITLES[heading.kind], language), 2),
        (said(SUBTITLE, language), 1),
        (f"{heading.title} [{heading.conference_id}]", 1),
    ]
    if heading.conference_kind == "rehearsal":
        lines.append((said(REHEARSAL, language), 1))
    if heading.unit:
        lines.append((labelled("Đơn vị", "Unit", f"{heading.unit_name} ({heading.unit})"), 0))
    started, ended = moment(heading.started_at_ms, language), moment(heading.ended_at_ms, language)
    begun, over = labelled("Bắt đầu", "Started", started), labelled("kết thúc", "ended", ended)
    made = labelled("Lập lúc", "Made at", moment(heading.at_ms, language))
    units = f"{said(('đơn vị', 'units'), language)} {said(TREES[heading.tree], language)}"
    lines += [(f"{labelled('Giai đoạn', 'Phase', phase)} · {begun} · {over}", 0), (f"{made} · {units}", 0)]
    if heading.closed_at_ms is not None:
        at = moment(heading.closed_at_ms, language)
        by = f" ({heading.closed_by})" if heading.closed_by else ""
        closed: Words = (
            f"Số liệu chốt lúc {at}{by}; thay đổi sau đó ở phần Điều chỉnh",
            f"Figures as closed at {at}{by}; later changes stand under Corrections",
        )
        lines.append((said(closed, language), 1))
    return lines


def signature_lines(language: Language) -> list[tuple[str, str]]:
    """The two columns in which the document is signed by hand, line by line."""
    place: Words = ("…………, ngày …… tháng …… năm ……", "…………, date ……………………")
    maker: Words = ("NGƯỜI LẬP", "PREPARED BY")
    head: Words = ("THỦ TRƯỞNG ĐƠN VỊ", "HEAD OF UNIT")
    hint: Words = ("(ký, ghi rõ họ tên)", "(signature, full name)")
    sealed: Words = ("(ký, ghi rõ họ tên, đóng dấu)", "(signature, full name, seal)")
    return [
        ("", said(place, language)),
        (said(maker, language), said(head, language)),
        (said(hint, language), said(sealed, language)),
    ]


def seal_lines(seal: Seal, language: Language) -> list[str]:
    """The seal, as every form shows it."""
    signed: Words = ("Chữ ký số của máy chủ điều phối (Ed25519)", "Coordinator's signature (Ed25519)")
    return [f"SHA-256: {seal.sha256}", f"{said(signed, language)}: {seal.signature}"]
