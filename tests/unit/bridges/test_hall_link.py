import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.errors import HallApiError, LinkError
from bridges.hall_api import parse_link
from bridges.http_answers import parse_retry_after
from bridges.peer import is_loopback
from bridges.whep_client import standby_url


def token(claims: bytes) -> str:
    """A token with these claims."""
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


GOOD = token(b'{"sub":"h1","role":"hall","hall":"h1","conference":"c1"}')


@pytest.mark.parametrize("base", ["http://127.0.0.1:8080", "https://diemcau.example.vn", "https://example.vn/diemcau"])
def test_a_link_names_its_coordinator_hall_and_conference(base: str) -> None:
    """The base is all that stands before `/hall`."""
    link = parse_link(f"{base}/hall#token={GOOD}")
    assert (link.base_url, link.token, link.hall_id, link.conference_id) == (base, GOOD, "h1", "c1")


@pytest.mark.parametrize(
    "link",
    [
        "",
        "hall",
        f"http://host/hall?token={GOOD}",
        f"ftp://host/hall#token={GOOD}",
        f"http://host/live#token={GOOD}",
        f"http:///hall#token={GOOD}",
        "http://host/hall",
        "http://host/hall#token=a.b",
        "http://host/hall#token=a.!!!.c",
        f"http://host/hall#token={token(b'[]')}",
        "http://host/hall#token=" + token(b'{"hall":"h"}'),
        "http://host/hall#token=" + token(b'{"hall":"","conference":"c"}'),
        f"http://host/hall#token={'a' * 5000}",
        "http://[::1/hall#token=a.b.c",
    ],
)
def test_what_is_no_link_is_refused(link: str) -> None:
    """Every other text raises LinkError."""
    with pytest.raises(LinkError):
        parse_link(link)


@given(st.text())
def test_any_text_is_a_link_or_a_link_error(text: str) -> None:
    """Nothing else is raised."""
    for link in (text, f"http://host/hall#token={text}", f"http://host/hall#token=a.{text}.c", f"http://{text}/hall"):
        with contextlib.suppress(LinkError):
            parse_link(link)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, 0), ("", 0), ("3", 3), ("600", 60), ("99999999999", 60), ("-1", 0), ("Wed, 21 Oct 2026", 0), ("٣", 0)],
)
def test_retry_after_is_read_with_a_limit(value: str | None, seconds: float) -> None:
    """Seconds up to a minute; dates and nonsense count as none."""
    assert parse_retry_after(value) == seconds


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:1/x", True),
        ("http://127.9.9.9/", True),
        ("http://[::1]:8100/", True),
        ("http://localhost/", True),
        ("http://a.localhost/", True),
        ("http://192.0.2.1/", False),
        ("https://relay.example.vn/", False),
        ("http://127.0.0.1.example.vn/", False),
        ("nonsense", False),
    ],
)
def test_loopback_is_told_by_the_host_alone(url: str, loopback: bool) -> None:  # noqa: FBT001 - a table's column
    """Only a relay on this machine makes a hall gather loopback addresses."""
    assert is_loopback(url) is loopback


def test_a_standby_has_its_own_address() -> None:
    """The query is added once, also to an address that has one."""
    assert standby_url("http://r/c/f/whep") == "http://r/c/f/whep?standby=1"
    assert standby_url("http://r/c/f/whep?a=1") == "http://r/c/f/whep?a=1&standby=1"


@pytest.mark.parametrize(("status", "decisive"), [(0, False), (401, True), (409, True), (429, False), (503, False)])
def test_a_refusal_is_told_from_a_bad_moment(status: int, decisive: bool) -> None:  # noqa: FBT001 - a table's column
    """4xx but 429 is a no; the rest may be otherwise in a moment."""
    assert HallApiError("x", "y", status=status).decisive is decisive
