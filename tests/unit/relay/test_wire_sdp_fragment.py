"""Fragments that restart ICE or bring candidates: what is read, what is refused, what is answered."""

from __future__ import annotations

import pytest

from relay.errors import WireError
from relay.wire.sdp import host_candidate
from relay.wire.sdp_fragment import MAX_LINES, IceFragment, parse_fragment, serialize_fragment

PASSWORD = "vw5LmwG4y/e6dPP/zAP9Gp5k"
# The form of RFC 9725 section 4.3.3.
WHOLE = (
    "a=ice-options:trickle ice2\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
    f"a=ice-ufrag:ysXw\r\na=ice-pwd:{PASSWORD}\r\n"
    "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag ysXw network-id 1\r\n"
    "a=end-of-candidates\r\n"
)


def test_a_whole_fragment_is_read() -> None:
    """Credentials, and the first m= line with its mid; candidates tell a lite agent nothing."""
    assert parse_fragment(WHOLE) == IceFragment("ysXw", PASSWORD, "audio 9 UDP/TLS/RTP/SAVPF 111", "0")


def test_the_session_level_is_enough() -> None:
    """Credentials without an m= line, with bare line feeds and without one at the end."""
    assert parse_fragment(f"a=ice-ufrag:ysXw\na=ice-pwd:{PASSWORD}") == IceFragment("ysXw", PASSWORD)


def test_the_same_credentials_may_stand_in_each_section() -> None:
    """Many clients repeat them; others than the first are refused, because all media share one transport."""
    again = f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=ice-ufrag:ysXw\r\na=ice-pwd:{PASSWORD}\r\n"
    assert parse_fragment(WHOLE + again) == parse_fragment(WHOLE)
    with pytest.raises(WireError, match="share one transport"):
        parse_fragment(WHOLE + again.replace("ysXw", "zzzz"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "a=",
        "v=0\r\n" + WHOLE,
        WHOLE.replace("a=ice-ufrag:ysXw\r\n", ""),
        WHOLE.replace(f"a=ice-pwd:{PASSWORD}\r\n", ""),
        WHOLE.replace("ysXw", "y X"),
        WHOLE.replace("a=ice-ufrag:ysXw", "a=ice-ufrag:abc"),
        WHOLE.replace(PASSWORD, "short"),
        WHOLE.replace("a=mid:0", "a=mid:0\0"),
        WHOLE.replace("a=mid:0", "a=mid:é"),
        WHOLE + "a=x\r\n" * MAX_LINES,
        WHOLE + "a=" + "x" * 20_000,
    ],
    ids=range(13),
)
def test_what_is_no_fragment_is_refused(text: str) -> None:
    """Other lines, missing or malformed credentials, control characters, too much."""
    with pytest.raises(WireError) as caught:
        parse_fragment(text)
    assert caught.value.protocol == "sdp"


def test_the_answer_has_our_credentials_and_all_candidates() -> None:
    """It stands at the same m= line as the question, says that we are lite, and ends the candidates."""
    fragment = IceFragment("abcd", "p" * 22, "audio 9 UDP/TLS/RTP/SAVPF 111", "0")
    text = serialize_fragment(fragment, [host_candidate("192.0.2.1", 8100), host_candidate("2001:db8::1", 8100)])
    assert parse_fragment(text) == fragment
    lines = text.split("\r\n")
    assert lines[0] == "a=ice-lite"
    assert sum(line.startswith("a=candidate:") for line in lines) == 2
    assert lines[-2:] == ["a=end-of-candidates", ""]
