"""What a token says of itself, read by whom it was given to. Pure.

Nothing here is verified: that is the business of those whose doors the token opens.
"""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

T = TypeVar("T")


class _Lifetime(msgspec.Struct):
    exp: float


def read_claims(token: str, kind: type[T]) -> T:
    """Read the claims of a JWT (RFC 7519), unverified.

    Args:
        token: in compact form.
        kind: msgspec struct of the claims that are wanted.

    Raises:
        ValueError: it is no such token.
    """
    pieces = token.split(".")
    if len(pieces) != 3:
        raise ValueError("a token has three parts")
    try:
        payload = base64.urlsafe_b64decode(pieces[1] + "=" * (-len(pieces[1]) % 4))
        return msgspec.json.decode(payload, type=kind)
    except (binascii.Error, RecursionError, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from error


def expired_at_s(token: str, now_s: float) -> float | None:
    """When a token expired (Unix seconds), by this machine's clock; None while it is good or does not say."""
    try:
        expires_at_s = read_claims(token, _Lifetime).exp
    except ValueError:
        return None
    return expires_at_s if now_s >= expires_at_s else None
