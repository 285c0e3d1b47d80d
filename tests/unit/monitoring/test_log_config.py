"""Logs are structured, go to stderr, and never hold a secret."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, TransferEncodingError

from monitoring.log_config import REDACTED, configure_logging, get_logger, redact_secrets, request_scope


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def _line(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    captured = capsys.readouterr()
    assert captured.out == "", "stdout belongs to the program"
    parsed: dict[str, object] = json.loads(captured.err.splitlines()[-1])
    return parsed


def test_a_json_line_names_program_level_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    """A JSON line holds the program, the level, the logger's name, a time and the values given."""
    configure_logging("relay", json=True)
    get_logger("relay.app").info("listening", port=8100)
    line = _line(capsys)
    assert line["program"] == "relay"
    assert line["level"] == "info"
    assert line["logger"] == "relay.app"
    assert line["event"] == "listening"
    assert line["port"] == 8100
    assert "timestamp" in line


def test_the_standard_library_takes_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    """A library that logs with `logging` ends in the same JSON lines, and is redacted as well."""
    configure_logging("relay", json=True)
    logging.getLogger("aiohttp.server").warning("header Authorization: Bearer %s", "abc.def.ghi")
    line = _line(capsys)
    assert line["program"] == "relay"
    assert line["event"] == f"header Authorization: Bearer {REDACTED}"


def test_an_exception_is_in_the_line_without_its_token(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback is one field of the line, and a token inside the message is replaced."""
    configure_logging("relay", json=True)
    try:
        int("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJoYWxsIn0.c2lnbmF0dXJl")
    except ValueError:
        get_logger("x").exception("refused")
    line = _line(capsys)
    assert "ValueError" in str(line["exception"])
    assert "eyJ" not in str(line["exception"])


def test_a_traceback_at_a_terminal_shows_no_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """Text for people holds the traceback too, without the values of local variables and without tokens."""
    configure_logging("relay", json=False)
    found = "the-content-of-a-key"
    try:
        int(f"eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJoYWxsIn0.c2ln{len(found)}")
    except ValueError:
        get_logger("x").exception("refused")
    text = capsys.readouterr().err
    assert "Traceback" in text
    assert "ValueError" in text
    assert found not in text.replace('found = "the-content-of-a-key"', "")
    assert "eyJhbGciOiJFZERTQSJ9.eyJ" not in text.partition("ValueError")[2]


def test_who_sends_no_http_cannot_fill_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Aiohttp's traceback about a malformed request is dropped; its other errors are kept."""
    configure_logging("relay", json=True)
    log = logging.getLogger("aiohttp.server")
    for error in (BadHttpMessage("bad"), TransferEncodingError("bad"), web.RequestPayloadError("bad")):
        log.error("Error handling request", exc_info=error)
    assert capsys.readouterr().err == ""
    log.error("Error handling request", exc_info=RuntimeError("ours"))
    assert "ours" in str(_line(capsys)["exception"])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"token": "abc"}, {"token": REDACTED}),
        ({"relay_token": "abc", "tokens_issued": 3}, {"relay_token": REDACTED, "tokens_issued": 3}),
        (
            {"headers": {"Authorization": "Bearer abc", "Host": "h"}},
            {"headers": {"Authorization": REDACTED, "Host": "h"}},
        ),
        ({"rows": [{"password": "abc"}]}, {"rows": [{"password": REDACTED}]}),
        ({"url": "http://h/hall#token=abc&x=1"}, {"url": f"http://h/hall#token={REDACTED}&x=1"}),
        ({"event": "sent authorization: bearer abc"}, {"event": f"sent authorization: bearer {REDACTED}"}),
        ({"n": 4, "none": None}, {"n": 4, "none": None}),
    ],
)
def test_secrets_are_replaced(given: dict[str, object], kept: dict[str, object]) -> None:
    """Values under secret keys and credentials inside text are replaced; everything else stays."""
    assert redact_secrets(None, "info", given) == kept


def test_a_request_id_is_on_every_line_of_its_scope(capsys: pytest.CaptureFixture[str]) -> None:
    """Inside `request_scope` every line carries the id; after it none does."""
    configure_logging("coordinator", json=True)
    with request_scope("r-1", route="/x"):
        get_logger("x").info("inside")
        inside = _line(capsys)
    get_logger("x").info("outside")
    assert inside["request_id"] == "r-1"
    assert inside["route"] == "/x"
    assert "request_id" not in _line(capsys)


def test_configuring_twice_writes_each_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A second call replaces the first."""
    configure_logging("a", json=True)
    configure_logging("b", json=True)
    get_logger("x").info("one")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["program"] == "b"


def test_the_level_and_talkative_libraries_are_held_back(capsys: pytest.CaptureFixture[str]) -> None:
    """What is below the level is not written, nor the chatter of aioice at info."""
    configure_logging("relay", json=True, level="info")
    get_logger("x").debug("no")
    logging.getLogger("aioice.ice").info("no")
    assert capsys.readouterr().err == ""
    with pytest.raises(ValueError, match="unknown log level"):
        configure_logging("relay", level="loud")


def test_the_environment_chooses_the_form(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`DIEMCAU_LOG=console` gives text; without it, JSON where stderr is no terminal."""
    monkeypatch.setenv("DIEMCAU_LOG", "console")
    configure_logging("relay")
    get_logger("x").info("hello", token="abc")
    text = capsys.readouterr().err
    assert not text.startswith("{")
    assert "hello" in text
    assert "abc" not in text
    monkeypatch.delenv("DIEMCAU_LOG")
    configure_logging("relay")
    get_logger("x").info("hello")
    assert _line(capsys)["event"] == "hello"
