"""How the command line says no: one sentence on stderr and exit code 1, never a traceback.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage (Typer's own).
"""

from __future__ import annotations

from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

FAILED = 1
INTERRUPTED = 130  # the shell's convention: 128 + SIGINT


class CommandFailedError(Exception):
    """A command cannot do what was asked; the text is the one sentence to show."""


def fail(sentence: str) -> NoReturn:
    """End the command with exit code 1 and this sentence."""
    raise CommandFailedError(sentence)


def explain(error: Exception) -> str | None:
    """Turn an error of input from outside into its sentence; None for a bug of ours, which should be seen whole."""
    # Imported here: a run without errors should not pay for them.
    from bridges.errors import BridgesError  # noqa: PLC0415 - start-up time, see above
    from conference.errors import ConferenceError  # noqa: PLC0415 - the same
    from configs.loading import ConfigError  # noqa: PLC0415 - the same
    from relay.errors import RelayError  # noqa: PLC0415 - the same

    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}" if error.filename and error.strerror else str(error)
    if isinstance(error, CommandFailedError | ConferenceError | RelayError | BridgesError | ConfigError):
        return str(error)
    return None


class RefusingGroup(TyperGroup):
    """A group of commands in which typed errors become a sentence and exit code 1."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command; see the module for what becomes of its errors."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise  # a reader such as `head` that has read enough is no failure to speak of; Typer ends quietly
        except Exception as error:
            sentence = explain(error)
            if sentence is None:
                raise
            typer.echo(f"Lỗi (error): {sentence}", err=True)
            raise typer.Exit(FAILED) from error
