import base64
import json

import msgspec
import pytest

from bridges.token_claims import expired_at_s, read_claims


class Claims(msgspec.Struct):
    """What these tests want to know."""

    sub: str


def token(claims: object) -> str:
    """A token with these claims; its other parts nobody reads."""
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


def test_claims_are_read_unverified() -> None:
    """Only those that are wanted."""
    assert read_claims(token({"sub": "me", "exp": 5}), Claims).sub == "me"


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c.d", "a.!.c", token([1]), token({"sub": 5}), "é.é.é"])
def test_what_is_no_token_is_a_value_error(text: str) -> None:
    """And nothing else."""
    with pytest.raises(ValueError, match=r"."):
        read_claims(text, Claims)


def test_a_token_expires_at_its_second() -> None:
    """Not before; and one that does not say never does."""
    assert expired_at_s(token({"exp": 100}), 99.9) is None
    assert expired_at_s(token({"exp": 100}), 100) == 100
    assert expired_at_s(token({"sub": "me"}), 1e12) is None
    assert expired_at_s("t", 1e12) is None
