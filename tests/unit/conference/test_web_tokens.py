from __future__ import annotations

import base64

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from conference import web_tokens

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CLAIMS = b'{"sub":"lan","exp":4102444800}'


def part(data: bytes) -> str:
    """A part of the compact form."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_a_token_is_one_that_others_read_and_write() -> None:
    """PyJWT reads what is signed here, and what it signs is read here."""
    token = web_tokens.sign(KEY, CLAIMS)
    assert jwt.decode(token, KEY.public_key(), algorithms=["EdDSA"]) == {"sub": "lan", "exp": 4102444800}
    assert web_tokens.verify(KEY.public_key(), token) == CLAIMS
    assert web_tokens.verify(KEY.public_key(), jwt.encode({"a": 1}, KEY, algorithm="EdDSA")) == b'{"a":1}'


def test_a_changed_token_is_refused() -> None:
    """No character of a token can be another one: header, claims and signature are all covered."""
    token = web_tokens.sign(KEY, CLAIMS)
    for place in range(len(token) - 1):  # the last character of a signature has bits that mean nothing
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(ValueError, match="it"):
            web_tokens.verify(KEY.public_key(), changed)


@pytest.mark.parametrize("header", [b'{"alg":"none"}', b'{"alg":"HS256","typ":"JWT"}', b'{"typ":"JWT","alg":"EdDSA"}'])
def test_another_header_is_refused_although_the_signature_fits(header: bytes) -> None:
    """The header is ours or the token is nothing: no algorithm is ever taken from it."""
    signed = f"{part(header)}.{part(CLAIMS)}"
    token = f"{signed}.{part(KEY.sign(signed.encode()))}"
    with pytest.raises(ValueError, match="header"):
        web_tokens.verify(KEY.public_key(), token)


@pytest.mark.parametrize("token", ["", "..", "a.b", "a.b.c.d", "é.b.c", "a b.c.d", "+.a.b", "a.b.c="])
def test_what_is_no_token_is_refused(token: str) -> None:
    """Three parts in base64url without padding, or a ValueError."""
    with pytest.raises(ValueError, match="three parts"):
        web_tokens.verify(KEY.public_key(), token)


def test_another_key_is_refused() -> None:
    """A signature is good for its own key alone."""
    with pytest.raises(ValueError, match="signature"):
        web_tokens.verify(Ed25519PrivateKey.generate().public_key(), web_tokens.sign(KEY, CLAIMS))
