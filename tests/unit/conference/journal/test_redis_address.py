from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conference.journal.redis.address import JournalAddressError, RedisAddress, is_redis_url, parse_redis_url


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("redis://store", RedisAddress(kind="single", nodes=(("store", 6379),))),
        (
            "rediss://an@store:7000/3",
            RedisAddress(kind="single", nodes=(("store", 7000),), database=3, user="an", tls=True),
        ),
        ("redis://[::1]:7000", RedisAddress(kind="single", nodes=(("::1", 7000),))),
        (
            "redis+sentinel://a,b:5000,10.0.0.3/hoi-nghi/2",
            RedisAddress(
                kind="sentinel", nodes=(("a", 26379), ("b", 5000), ("10.0.0.3", 26379)), service="hoi-nghi", database=2
            ),
        ),
        ("rediss+cluster://a:1,b:2", RedisAddress(kind="cluster", nodes=(("a", 1), ("b", 2)), tls=True)),
    ],
)
def test_an_address_is_parsed_and_written_again(text: str, address: RedisAddress) -> None:
    """Scheme, hosts, service, database and user are found; the text for a log parses to the same, without the user."""
    assert parse_redis_url(text) == address
    assert parse_redis_url(str(address)).nodes == address.nodes
    assert "an@" not in str(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "var/journal.sqlite",
        "redis:store",
        "http://store",
        "redis://",
        "redis://store:0",
        "redis://store:65536",
        "redis://store/one",
        "redis://store/1/2",
        "redis://store?replicas=1",
        "redis://store#x",
        "redis://a,,b",
        "redis+sentinel://a",
        "redis+sentinel://a/hội/2",
        "redis+cluster://a/1",
        "redis://an:secret@store",
        "redis://" + "a" * 3_000,
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(text: str) -> None:
    """One typed error that says what was expected; a password by mistake does not get into a log."""
    with pytest.raises(JournalAddressError) as refused:
        parse_redis_url(text)
    assert "secret" not in str(refused.value)


@given(st.one_of(st.text(), st.text().map("redis://{}".format), st.text().map("redis+sentinel://{}".format)))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    """Nothing else is ever raised."""
    is_redis_url(text)
    with contextlib.suppress(JournalAddressError):
        parse_redis_url(text)
