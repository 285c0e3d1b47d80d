import errno

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from bridges.http_answers import Problem, parse_problem, why_no_answer

KEY = ConnectionKey("127.0.0.1", 1, False, True, None, None, None)  # noqa: FBT003 - aiohttp's own tuple


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "Connect call failed")), "nobody listens there"),
        (aiohttp.ClientOSError(errno.ECONNRESET, "Connection reset by peer"), "connection reset by peer"),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name or service not known")), "its name does not resolve"),
        (aiohttp.ServerDisconnectedError(), "it closed the connection"),
        (aiohttp.ServerTimeoutError(), "no answer in time"),
        (TimeoutError(), "no answer in time"),
        (aiohttp.InvalidURL("x"), "its address is not a URL"),
        (aiohttp.ClientPayloadError("…"), "ClientPayload"),
        (ValueError("the answer is longer than 5 bytes"), "the answer is longer than 5 bytes"),
    ],
)
def test_a_missing_answer_has_a_short_reason(error: Exception, words: str) -> None:
    """Words for people, no representation of an object."""
    assert why_no_answer(error) == words


def test_a_problem_is_read() -> None:
    """Its code, detail and title."""
    body = b'{"type":"about:blank","title":"Gone","code":"conference_ended","detail":"over"}'
    assert parse_problem(body) == Problem(code="conference_ended", detail="over", title="Gone")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"code": 5}', b"[" * 100_000, b"\xff"])
def test_what_is_no_problem_is_an_empty_one(body: bytes) -> None:
    """Whatever a proxy answers, nothing is raised."""
    assert parse_problem(body) == Problem()


@pytest.mark.parametrize("code", ["Two words", "a" * 41, "", "<b>"])
def test_a_code_is_a_short_word_or_nothing(code: str) -> None:
    """It becomes a key and a label."""
    assert parse_problem(b'{"code":"%s"}' % code.encode()).code == ""
