"""What commands print: one JSON document, or tables and sentences for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import typer

# Names of the API's fields as people read them; one that is missing here is shown as it is.
LABELS = {
    "halls": "điểm cầu (halls)",
    "seats": "đại biểu đăng ký (delegates registered)",
    "present": "có mặt (present)",
    "present_now": "đang kết nối (present now)",
    "present_ever": "đã từng kết nối (present ever)",
    "waiting": "chờ kết nối (waiting)",
    "lost": "mất kết nối (lost)",
    "left": "đã rời (left)",
    "virtual_halls": "điểm cầu ảo (virtual halls)",
    "virtual_present": "ảo, có mặt (virtual, present)",
    "virtual_waiting": "ảo, chờ kết nối (virtual, waiting)",
    "virtual_lost": "ảo, mất kết nối (virtual, lost)",
    "virtual_left": "ảo, đã rời (virtual, left)",
    "summoned": "triệu tập (summoned)",
    "excused": "vắng có lý do (excused)",
    "unexcused": "vắng không lý do (unexcused)",
    "exempt": "miễn sinh hoạt (exempt)",
    "halls_reported": "điểm cầu đã báo cáo (halls reported)",
    "headcount_halls": "điểm cầu đã báo cáo (halls reported)",
    "headcount_present": "có mặt theo báo cáo (present by headcount)",
    "real": "Thật (real)",
    "virtual": "Ảo (virtual)",
    "total": "Cả nước (the whole country)",
    "connection": "Theo kết nối (by connection)",
    "headcount": "Theo số báo cáo (by headcount)",
    "registration": "Đăng ký (registration)",
    "individual": "Theo điểm danh từng người (by individual check-in)",
    "halls_enrolled": "điểm cầu có danh sách (halls with a roster)",
    "registered": "trong danh sách (on the roster)",
    "by_qr": "quét mã hoặc nhập số (by code or number)",
    "by_proxy": "cán bộ kỹ thuật đánh dấu (by proxy)",
    "by_self": "tự điểm danh (by themselves)",
    "conflicts": "quét ở điểm cầu khác (scanned elsewhere)",
    "seats_reported": "đăng ký ở điểm cầu đã báo cáo (registered there)",
    "individual_halls": "điểm cầu có danh sách (halls with a roster)",
    "individual_registered": "trong danh sách (on rosters)",
    "individual_present": "có mặt theo điểm danh (present by check-in)",
    "conference_id": "mã (id)",
    "title": "tên (title)",
    "phase": "giai đoạn (phase)",
}


def without_virtual(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields without those of virtual halls where there are none: for people, zeros of things that do not exist.

    Args:
        fields: totals of a conference (`virtual_halls` …) or of its attendance (`virtual`: {`halls` …}).
    """
    part = fields.get("virtual")
    count = part.get("halls") if isinstance(part, Mapping) else fields.get("virtual_halls")
    if count != 0:
        return dict(fields)
    return {name: value for name, value in fields.items() if not name.startswith("virtual")}


def local_time(at_ms: object) -> str:
    """A moment in milliseconds since the epoch as people read it here; "" for none."""
    if not isinstance(at_ms, int) or not at_ms:
        return ""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone().strftime("%d/%m/%Y %H:%M:%S")


def print_json(document: object) -> None:
    """Print one JSON document on one line of stdout."""
    import msgspec  # noqa: PLC0415 - `--help` should not pay for it

    typer.echo(msgspec.json.encode(document).decode())


def print_bytes(payload: bytes) -> None:
    """Write a document to stdout as it is, ended by a newline."""
    text = payload.decode("utf-8", errors="replace")
    typer.echo(text, nl=not text.endswith("\n"))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; `columns` hold the Vietnamese heading and the English one, parted by a newline."""
    from rich.console import Console  # noqa: PLC0415 - `--help` should not pay for it
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")  # never cut: half a telephone number calls nobody
    for row in rows:
        # Text, so that a `[` in a hall's name is no markup.
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console().print(table)


def print_fields(title: str, fields: Mapping[str, object]) -> None:
    """Print named values, one a line; a nested mapping is indented below its name."""
    typer.echo(title)
    _print_fields(fields, indent=2)


def _print_fields(fields: Mapping[str, object], indent: int) -> None:
    labels = {LABELS.get(name, name): value for name, value in fields.items()}
    width = max((len(name) for name in labels), default=0)
    for name, value in labels.items():
        if isinstance(value, Mapping):
            typer.echo(f"{' ' * indent}{name}:")
            _print_fields(value, indent + 2)
        else:
            typer.echo(f"{' ' * indent}{name.ljust(width)}  {value}")
