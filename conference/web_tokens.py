"""Signed JSON Web Tokens in compact form (RFC 7519; RFC 7515, 7.1) with Ed25519 (RFC 8037, 3.1) and nothing else. Pure.

A whole country that joins within a minute has two of these made or checked for each hall, which is where most of a
join's processor time went. So this knows one header, which it writes and compares byte for byte: a token cannot choose
how it is checked, and nothing of it is parsed before its signature was found good.
"""

from __future__ import annotations

import base64
import binascii
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_HEADER = base64.urlsafe_b64encode(b'{"alg":"EdDSA","typ":"JWT"}').rstrip(b"=")
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def sign(key: Ed25519PrivateKey, claims: bytes) -> str:
    """Sign claims.

    Args:
        key: whose signature it is.
        claims: a JSON object, UTF-8.

    Returns:
        The token in compact form.
    """
    signed = _HEADER + b"." + base64.urlsafe_b64encode(claims).rstrip(b"=")
    return (signed + b"." + base64.urlsafe_b64encode(key.sign(signed)).rstrip(b"=")).decode("ascii")


def verify(key: Ed25519PublicKey, token: str) -> bytes:
    """Check a token's signature and return its claims as they were signed; what they say is for the caller to check.

    Args:
        key: of whom it must be.
        token: of a length that the caller has bounded.

    Raises:
        ValueError: it is no token of this form, or the signature is not the key's.
    """
    if not _COMPACT.fullmatch(token):
        raise ValueError("it is not three parts in base64url")
    signed, _, signature = token.encode("ascii").rpartition(b".")
    header, _, claims = signed.partition(b".")
    if header != _HEADER:
        raise ValueError("its header is not that of this coordinator's tokens")
    try:
        key.verify(_decode(signature), signed)
    except InvalidSignature as error:
        raise ValueError("its signature does not fit") from error
    return _decode(claims)


def _decode(part: bytes) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except binascii.Error as error:
        raise ValueError("a part of it is not base64url") from error
