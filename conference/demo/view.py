"""What a person sees while a demo runs: one line per step, and a small board of live figures."""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text


class DemoView:
    """Shows the demo's progress on stderr; with `quiet`, steps only when a person watches.

    Args:
        quiet: for `--json`: no board.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet and not self._console.is_terminal
        self._rows: dict[str, str] = {}
        self._live: Live | None = None

    def step(self, vietnamese: str, english: str) -> None:
        """Say what happens now."""
        if not self._quiet:
            self._console.print(Text(f"▸ {vietnamese} ({english})"), soft_wrap=True)

    def show(self, **rows: str) -> None:
        """Put figures on the board, by their labels; underscores in a label are shown as spaces."""
        self._rows.update(rows)
        if self._quiet or not self._console.is_terminal:
            return
        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        table = Table.grid(padding=(0, 2))
        for label, value in self._rows.items():
            table.add_row(Text(label.replace("_", " ")), Text(value))
        self._live.update(Group(Text("Điểm Cầu · demo"), table))

    def close(self) -> None:
        """Take the board away; safe more than once."""
        if self._live is not None:
            self._live.stop()
            self._live = None
