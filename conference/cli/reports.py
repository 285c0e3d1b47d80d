"""`diemcau live` and `attendance`: the links of the staff's pages, and who is present."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from conference.cli.connection import DEFAULT_SERVER, DEFAULT_TOKEN_FILE, AsJson, Server, TokenFile, ask, read_token
from conference.cli.output import LABELS, local_time, print_fields, print_json, print_table, without_virtual


class Tree(StrEnum):
    """The trees over the halls: địa bàn, tổ chức."""

    TERRITORY = "territory"
    ORGANISATION = "organisation"


# Each figure under its source; nothing is a mixture of two.
CHILD_COLUMNS = (
    "Mã\ncode",
    "Đơn vị\nunit",
    "Điểm cầu\nhalls",
    "Kết nối: đang / mất\nconnection: now / lost",
    "Báo số: điểm cầu\nheadcount: halls",
    "Báo số: có mặt / triệu tập\nheadcount: present / summoned",
    "Điểm danh: có mặt / danh sách\ncheck-in: present / roster",
)


PAGES = {
    "live": "Trang trực tiếp (live)",
    "halls": "Điểm cầu (halls: find, import, propose)",
    "attendance": "Điểm danh (attendance at each level)",
}


def live(
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the links of the staff's pages (trang trực tiếp, điểm cầu, điểm danh): each holds your token.

    Whoever has a link may do what you may. For a screen on a wall make a token of role operator.

    Example: diemcau live
    """
    token = read_token(token_file)
    links = {page: f"{server.rstrip('/')}/{page}#token={token}" for page in PAGES}
    if as_json:
        print_json({"link": links["live"], "links": links})
    else:
        # What is piped on is the live page's link alone, as ever.
        typer.echo(links.pop("live"))
        for page, link in links.items():
            typer.echo(f"{PAGES[page]}: {link}", err=True)


def attendance(
    conference: Annotated[str, typer.Argument(help="Id of the conference (mã hội nghị).")],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    unit: Annotated[str, typer.Option(help="Code of a unit (đơn vị); the whole country when left out.")] = "",
    tree: Annotated[Tree | None, typer.Option(help="The tree to sum over; the unit's own when left out.")] = None,
    *,
    discrepancies: Annotated[
        bool, typer.Option("--discrepancies", help="List where the sources contradict each other (chênh lệch).")
    ] = False,
    closing: Annotated[
        bool, typer.Option("--closing", help="The figures at the closing (chốt số liệu), which never change.")
    ] = False,
    corrections: Annotated[
        bool, typer.Option("--corrections", help="List what changed since the closing (điều chỉnh).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the attendance (điểm danh) of a unit and of those right below it, each source apart.

    Example: diemcau attendance hn-2026 --unit 01
    """
    chosen = "" if tree is None else tree.value
    if corrections:
        answer = ask(server, token_file, lambda api: api.corrections(conference, unit=unit, tree=chosen))
        _show_corrections(answer, as_json=as_json)
        return
    if discrepancies:
        found = ask(server, token_file, lambda api: api.discrepancies(conference, unit=unit, tree=chosen))
        _show_discrepancies(found, as_json=as_json)
        return
    answer = ask(server, token_file, lambda api: api.attendance(conference, unit=unit, tree=chosen, closing=closing))
    if as_json:
        print_json(answer)
        return
    path, total = answer.get("path"), answer.get("total")
    place = " › ".join(str(each["name"]) for each in path) if path else LABELS["total"]
    if isinstance(total, dict):
        print_fields(f"Điểm danh (attendance) · {conference} · {place}", without_virtual(_named(total)))
    children = answer.get("children")
    if isinstance(children, list) and children:
        print_table("Theo đơn vị (by unit)", CHILD_COLUMNS, [_child_row(child) for child in children])


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "unit"}


def _child_row(child: dict[str, Any]) -> list[object]:
    """Real halls alone: what is simulated stands in the JSON."""
    real = child["attendance"]["real"]
    seen, counted, individual = real["connection"], real["headcount"], real["individual"]
    return [
        child["code"],
        child["name"],
        real["halls"],
        f"{seen['present_now']} / {seen['lost']}",
        f"{counted['halls_reported']}",
        f"{counted['present']} / {counted['summoned']}",
        f"{individual['present']} / {individual['registered']}",
    ]


def _show_discrepancies(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"discrepancies": found})
        return
    print_table(
        "Chênh lệch giữa các nguồn (discrepancies)",
        ["Điểm cầu\nhall", "Tên\nname", "Đơn vị\nunit", "Chênh lệch\ndiscrepancy"],
        [[each["hall_id"], each["name"], each["unit"], f"{each['reason_vi']} ({each['reason_en']})"] for each in found],
    )


def _show_corrections(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    print_table(
        "Điều chỉnh sau khi chốt số liệu (corrections)",
        [
            "Điểm cầu\nhall",
            "Tên\nname",
            "Nguồn\nsource",
            "Số liệu\nfigure",
            "Chốt\nclosed",
            "Nay\nnow",
            "Ai\nby",
            "Lúc\nat",
        ],
        [
            [
                each["hall_id"],
                each["name"],
                LABELS.get(each["source"], each["source"]),
                LABELS.get(change["figure"].rpartition(".")[2], change["figure"]),
                change["before"],
                change["after"],
                each["by"],
                local_time(each["at_ms"]),
            ]
            for each in answer["corrections"]
            for change in each["changes"]
        ],
    )
