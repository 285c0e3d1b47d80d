"""What a relay's configuration takes and what it refuses, in words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from relay.config import RelayConfig

LEAST: dict[str, object] = {"relay_id": "hn-1", "public_key_files": ["key.pem"]}
COORDINATOR = {"url": "http://127.0.0.1:8080", "token_file": "token"}


def config(**changes: object) -> RelayConfig:
    """The least configuration with some keys set."""
    return RelayConfig.model_validate({**LEAST, **changes})


def refusal(**changes: object) -> str:
    """What is said against a configuration."""
    with pytest.raises(ValidationError) as caught:
        config(**changes)
    return str(caught.value)


def test_the_least_configuration_is_an_edge_on_loopback() -> None:
    """Nothing is open to the network unless somebody says so."""
    made = config()
    assert made.role == "edge"
    assert made.http.host == made.media.host == "127.0.0.1"
    assert made.media.announced(8100) == (("127.0.0.1", 8100),)
    assert made.capacity.as_message().packets_per_s == 100_000
    assert not made.merge_parents


def test_somebody_must_sign() -> None:
    """Without a coordinator and without keys a relay could accept no token."""
    assert "public_key_files" in refusal(public_key_files=[])
    assert config(public_key_files=[], coordinator=COORDINATOR).coordinator is not None


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_wildcard_needs_addresses_that_others_can_reach(host: str) -> None:
    """For media and, where a coordinator tells others of it, for HTTP."""
    assert "announced_addresses" in refusal(media={"host": host})
    media = config(media={"host": host, "announced_addresses": ["192.0.2.1"]}).media
    assert media.announced(8100) == (("192.0.2.1", 8100),)
    assert "public_url" in refusal(http={"host": host}, coordinator=COORDINATOR)
    assert config(http={"host": host}, coordinator=COORDINATOR, public_url="https://r1.example").public_url
    assert config(http={"host": host}).http.host == host


@pytest.mark.parametrize(
    "changes",
    [
        {"relay_id": ""},
        {"relay_id": "a/b"},
        {"relay_id": "x" * 65},
        {"role": "middle"},
        {"media": {"host": "relay.example"}},
        {"media": {"port": 70_000}},
        {"media": {"host": "0.0.0.0", "announced_addresses": ["relay.example"]}},
        {"media": {"host": "0.0.0.0", "announced_addresses": ["192.0.2.1:0"]}},
        {"media": {"host": "0.0.0.0", "announced_addresses": ["192.0.2.1:x"]}},
        {"media": {"host": "::", "announced_addresses": ["[2001:db8::1]"]}},
        {"media": {"host": "::", "announced_addresses": ["[2001:db8::1"]}},
        {"media": {"host": "::", "announced_addresses": ["[2001:db8::1]:65536"]}},
        {"media": {"host": "::", "announced_addresses": ["::"]}},
        {"media": {"host": "::", "announced_addresses": ["224.0.0.1"]}},
        {"media": {"host": "::", "announced_addresses": [f"192.0.2.{number}" for number in range(9)]}},
        {"coordinator": {"url": "ftp://x", "token_file": "t"}},
        {"max_sessions": 0},
        {"publisher_bitrate_bps": 1},
        {"capacity": {"bits_per_s": 0}},
        {"surprise": 1},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(changes: dict[str, object]) -> None:
    """Ids, roles, addresses, ports, limits, and keys that do not exist."""
    assert refusal(**changes)


def test_addresses_before_a_nat_are_told_with_its_ports() -> None:
    """Each announced address may have the port that a NAT forwards; the order is kept, and the bound port stands in."""
    announced = ["203.0.113.7:40000", "[2001:DB8::7]:40001", "10.0.0.5", "2001:db8::5"]
    assert config(media={"host": "::", "announced_addresses": announced}).media.announced(8100) == (
        ("203.0.113.7", 40_000),
        ("2001:db8::7", 40_001),
        ("10.0.0.5", 8100),
        ("2001:db8::5", 8100),
    )


@pytest.mark.parametrize(
    ("host", "announced"), [("0.0.0.0", "2001:db8::7"), ("::1", "192.0.2.1"), ("127.0.0.1", "::1")]
)
def test_an_address_that_the_socket_does_not_hear_is_not_told(host: str, announced: str) -> None:
    """A socket of one IP version gets nothing from a NAT of the other; the refusal names it and a way out."""
    said = refusal(
        media={"host": host, "announced_addresses": ["192.0.2.9" if "." in host else "2001:db8::9", announced]}
    )
    assert announced in said
    assert "'::'" in said


def test_a_mistake_in_one_announced_address_is_told_with_its_place() -> None:
    """Of several addresses the wrong one is named."""
    said = refusal(media={"host": "::", "announced_addresses": ["192.0.2.1", "192.0.2.300"]})
    assert "media.announced_addresses.1" in said


def test_a_configuration_is_frozen() -> None:
    """It is read once and never changed."""
    with pytest.raises(ValidationError):
        config().max_sessions = 5  # type: ignore[misc] # that is what is tested
