"""Fuzz tokens at both doors: any text is claims, or `AccessError` at a relay and `AccessDeniedError` at the API.

The first byte chooses what is fuzzed: the compact form itself, or the claims of a token that is signed properly.

Run `PYTHONPATH=. python tests/fuzz/fuzz_jwt.py tests/fuzz/corpus/jwt -atheris_runs=20000`; new inputs land in the
corpus folder. `test_fuzz_messages.py` runs the committed corpus.
"""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from instrumenting import fuzz, instrumented

with instrumented(__name__, "conference", "relay", "jwt"):
    from conference.access import AccessDeniedError, KeyRing, require_conference, require_role
    from relay.access import require, verify_relay_token
    from relay.errors import AccessError

NOW = 1_700_000_000.0
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = KeyRing(KEY)


def segment(data: bytes) -> bytes:
    """A part of the compact form (RFC 7515 section 7.1)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signed(header: bytes, claims: bytes) -> str:
    """A token with a good signature over whatever it says."""
    text = segment(header) + b"." + segment(claims)
    return (text + b"." + segment(KEY.sign(text))).decode("ascii")


def check_status(status: int) -> None:
    """A refusal is one of these two."""
    assert status in {401, 403}


def fuzz_one(data: bytes) -> None:
    """Show one token at both doors."""
    if data[:1] == b"c":
        token = signed(b'{"alg":"EdDSA","typ":"JWT"}', data[1:])
    elif data[:1] == b"h":
        header, _, claims = data[1:].partition(b"\0")
        token = signed(header, claims)
    else:
        token = data[1:].decode("utf-8", "surrogateescape")
    try:
        relay_claims = verify_relay_token(token, KEYS.public_keys, NOW)
        require(relay_claims, action="play", conference="hn", feed="program")
    except AccessError as error:
        check_status(error.status)
    try:
        api_claims = KEYS.verify_api_token(token, NOW)
        assert api_claims.actor
        require_role(api_claims, frozenset({"organiser"}))
        require_conference(api_claims, "hn")
    except AccessDeniedError as error:
        check_status(error.status)


if __name__ == "__main__":
    fuzz(fuzz_one)
