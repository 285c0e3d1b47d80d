"""Structured logging of every program: structlog, with the standard library's loggers routed through it, to stderr.

A line is JSON for machines, or coloured text for a person at a terminal. Secrets never reach a line: values under
secret keys, bearer credentials and anything that looks like a signed token are replaced first. stdout belongs to
the programs' own output.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from contextlib import AbstractContextManager
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"
MAX_DEPTH = 6  # values nested deeper than this are cut off, so that a log call cannot run away

_SECRET_KEY = re.compile(
    r"(?:^|_)(?:token|authorization|password|passwd|secret|cookie|credentials?|private_key|api_key)$", re.IGNORECASE
)
_SECRET_TEXT = (
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]+", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), REDACTED),
    (re.compile(r"([#?&](?:token|access_token)=)[^&\s\"']+", re.IGNORECASE), rf"\1{REDACTED}"),
)

# These libraries tell at info what a media server does thousands of times a second.
_TALKATIVE = ("aiohttp.access", "aioice", "aiortc", "asyncio", "libav")


class _NoMalformedRequests(logging.Filter):
    """Drops what aiohttp logs, each with its traceback, when somebody sends a port what is not HTTP."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        malformed = isinstance(error, HttpProcessingError | web.RequestPayloadError)
        return not (malformed and record.name == "aiohttp.server")


def _clean(value: object, depth: int) -> object:
    if isinstance(value, str):
        for pattern, replacement in _SECRET_TEXT:
            value = pattern.sub(replacement, value)
        return value
    if depth >= MAX_DEPTH:
        return "…" if isinstance(value, dict | list | tuple) else value
    if isinstance(value, dict):
        return {
            key: REDACTED if isinstance(key, str) and _SECRET_KEY.search(key) else _clean(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_clean(item, depth + 1) for item in value]
    return value


def redact_secrets(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Replace secrets in a log event: by the name of the key, and by the look of the text."""
    # `positional_args` and the like start with an underscore and belong to structlog; they hold no text of ours.
    return {
        key: value if key.startswith("_") else REDACTED if _SECRET_KEY.search(key) else _clean(value, 0)
        for key, value in event_dict.items()
    }


def _wants_json(json: bool | None) -> bool:  # noqa: FBT001 - mirrors the keyword of configure_logging
    if json is not None:
        return json
    wish = os.environ.get("DIEMCAU_LOG", "").lower()
    if wish in {"json", "console"}:
        return wish == "json"
    return not sys.stderr.isatty()


def _name_program(program: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
        event_dict.setdefault("program", program)
        return event_dict

    return add


def configure_logging(program: str, *, json: bool | None = None, level: str = "info") -> None:
    """Set up logging for this process; a second call replaces the first.

    Args:
        program: name of the program, on every line, for example `relay`.
        json: true for JSON lines, false for text; by default `DIEMCAU_LOG=json|console` decides, and without it
            JSON unless stderr is a terminal.
        level: least level to write: debug, info, warning, error or critical.

    Raises:
        ValueError: `level` is none of these.
    """
    numeric = logging.getLevelNamesMapping().get(level.upper())
    if numeric is None:
        raise ValueError(f"unknown log level {level!r}: debug, info, warning, error or critical")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _name_program(program),
    ]
    renderer: Processor
    if _wants_json(json):
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        # Never with a traceback that shows local variables: keys and tokens are among them.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        # The traceback becomes text first, so that secrets are looked for in it as well.
        structlog.processors.format_exc_info,
        redact_secrets,
        renderer,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_NoMalformedRequests())
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(numeric)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(numeric if numeric <= logging.DEBUG else max(numeric, logging.WARNING))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # loggers taken before this call obey it as well
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; `name` is the module's dotted name."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def request_scope(request_id: str, **values: Any) -> AbstractContextManager[None]:
    """Put `request_id` (and more values) on every line that is logged inside the block, also across awaits."""
    return structlog.contextvars.bound_contextvars(request_id=request_id, **values)
