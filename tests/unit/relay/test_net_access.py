"""Tokens at the door: only what an expected key signed with the one algorithm, for here and for now."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from relay.access import MAX_TOKEN_BYTES, RelayClaims, require, verify_relay_token
from relay.errors import AccessError

NOW = 1_700_000_000.0
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
GOOD: dict[str, object] = {
    "iss": "diemcau",
    "aud": "relay",
    "sub": "hall-1",
    "conference": "hn2026",
    "feeds": ["program", "slides"],
    "action": "play",
    "exp": int(NOW) + 60,
}


def pem(key: Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    """The public key."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def signed(**changes: object) -> str:
    """A token with some claims changed; None takes a claim away."""
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return jwt.encode(claims, KEY, algorithm="EdDSA")


def encoded(part: object) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def refused(token: str, keys: list[str] | None = None) -> AccessError:
    """The refusal of a token."""
    with pytest.raises(AccessError) as caught:
        verify_relay_token(token, [pem(KEY)] if keys is None else keys, NOW)
    assert caught.value.status == 401
    return caught.value


def test_a_good_token_gives_its_claims() -> None:
    """Signed by any of the keys; extra claims do not matter."""
    claims = verify_relay_token(signed(iat=0, more=1), [pem(OTHER), pem(KEY)], NOW)
    assert claims == RelayClaims(
        sub="hall-1", conference="hn2026", feeds=["program", "slides"], action="play", exp=int(NOW) + 60
    )


def test_the_public_key_is_no_secret_of_an_hmac() -> None:
    """HS256 with the PEM as its secret: the algorithm is ours to name and not the token's."""
    body = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded(GOOD)}"
    for secret in (pem(KEY), pem(KEY).strip()):
        mac = hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest()
        refused(f"{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "RS256", "ES256", None, 7])
def test_no_other_algorithm_is_taken(algorithm: object) -> None:
    """`none` in any spelling, and a good signature under another name."""
    signature = signed().rpartition(".")[2]
    body = f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{encoded(GOOD)}"
    refused(f"{body}.")
    refused(f"{body}.{signature}")


def test_keys_of_other_kinds_are_passed_over() -> None:
    """A configured key that is no Ed25519 key, or no key at all, neither opens nor breaks the door."""
    others = [
        pem(rsa.generate_private_key(public_exponent=65_537, key_size=2_048)),
        pem(ec.generate_private_key(ec.SECP256R1())),
        "not a key",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ]
    assert verify_relay_token(signed(), [*others, pem(KEY)], NOW).sub == "hall-1"
    refused(signed(), others)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "api"},
        {"aud": None},
        {"iss": "somebody"},
        {"iss": None},
        {"sub": None},
        {"sub": 7},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1e400},
        {"conference": None},
        {"feeds": "program"},
        {"feeds": [1]},
        {"action": "rule"},
        {"link": "yes"},
    ],
    ids=str,
)
def test_claims_must_be_those_of_a_relay(changes: dict[str, object]) -> None:
    """Another audience, issuer or type is refused, and a missing claim as well."""
    refused(signed(**changes))


def test_expiry_is_to_the_second() -> None:
    """A token is good until the second that it names."""
    verify_relay_token(signed(exp=int(NOW) + 1), [pem(KEY)], NOW)
    for exp in (int(NOW), int(NOW) - 1, 0, -1):
        assert "expired" in refused(signed(exp=exp)).reason


def test_another_key_or_a_changed_body_is_refused() -> None:
    """The signature covers header and claims."""
    refused(signed(), [pem(OTHER)])
    head, body, signature = signed().split(".")
    refused(f"{head}.{encoded({**GOOD, 'sub': 'hall-2'})}.{signature}")
    refused(f"{encoded({'alg': 'EdDSA', 'x': 1})}.{body}.{signature}")
    refused(f"{head}.{body}.{signature[:-4]}AAAA")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        "\udcff\udcfe",
        "\x00",
        "." * MAX_TOKEN_BYTES,
        "a" * (MAX_TOKEN_BYTES + 1),
        f"{base64.urlsafe_b64encode(b'[' * 2_000).decode()}.e30.AA",
        "e30.e30.e30",
    ],
    ids=range(11),
)
def test_rubbish_is_refused_and_nothing_else(token: str) -> None:
    """Whatever stands in the header, it is an AccessError."""
    refused(token)


def test_a_relay_without_keys_lets_nobody_in() -> None:
    """Before it registered it knows none."""
    assert "no signing key" in refused(signed(), []).reason


def test_a_token_covers_what_it_names() -> None:
    """Another action, conference or feed is 403."""
    claims = verify_relay_token(signed(), [pem(KEY)], NOW)
    require(claims, action="play", conference="hn2026", feed="slides")
    for action, conference, feed in (
        ("publish", "hn2026", "program"),
        ("play", "hn2027", "program"),
        ("play", "hn2026", "stage"),
    ):
        with pytest.raises(AccessError) as caught:
            require(claims, action=action, conference=conference, feed=feed)  # type: ignore[arg-type] # of three words
        assert caught.value.status == 403
