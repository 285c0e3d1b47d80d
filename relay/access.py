"""Tokens at a relay's door: JSON Web Tokens (RFC 7519) signed with Ed25519, audience `relay`.

A relay holds only public keys, so that a stolen relay cannot mint tokens. Conferences, feeds and subjects are
opaque ids here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import jwt
import msgspec

from relay.errors import AccessError

AUDIENCE = "relay"
ISSUER = "diemcau"
ALGORITHM = "EdDSA"  # one algorithm, named by us and never read from the token: no algorithm confusion
MAX_TOKEN_BYTES = 4096

Action = Literal["publish", "play"]


class RelayClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token allows at a relay.

    Attributes:
        sub: opaque id of the holder (a hall, a publisher or a child relay).
        conference: opaque id of the conference.
        feeds: names of the feeds that the token covers, for example `["program"]`.
        action: `publish` (WHIP) or `play` (WHEP).
        exp: expiry, seconds since the epoch.
        link: true for a relay-to-relay link, which is not presence.
    """

    sub: str
    conference: str
    feeds: list[str]
    action: Action
    exp: int
    link: bool = False


def verify_relay_token(token: str, public_keys: Sequence[str], now: float) -> RelayClaims:
    """Verify a bearer token for a relay.

    Args:
        token: the compact JWT.
        public_keys: Ed25519 public keys in PEM; the token may be signed by any of them.
        now: seconds since the epoch.

    Returns:
        The claims.

    Raises:
        AccessError: the token is malformed, signed by another key, for another audience, or expired.
    """
    if not token.isascii():  # a header's bytes arrive as surrogates, which no text of JSON can hold
        raise AccessError("token is not valid: it is not ASCII")
    if len(token) > MAX_TOKEN_BYTES:
        raise AccessError("token is longer than 4096 bytes")
    if not token.isascii():
        raise AccessError("token is not base64url")
    if not public_keys:
        raise AccessError("this relay knows no signing key yet")
    reason = "token is not valid"
    for key in public_keys:
        try:
            payload = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["exp", "aud", "iss", "sub"], "verify_exp": False, "verify_iat": False},
            )
            claims = msgspec.convert(payload, RelayClaims)
        except (jwt.PyJWTError, ValueError) as error:  # of the token, or of a key that is none of ours
            reason = f"token is not valid: {error}"
            continue
        except RecursionError:  # JSON of a few kilobytes can nest deeper than the interpreter reads
            raise AccessError("token is nested too deeply") from None
        except msgspec.ValidationError as error:
            raise AccessError(f"token claims are not a relay's: {error}") from error
        if claims.exp <= now:
            raise AccessError("token has expired")
        return claims
    raise AccessError(reason)


def require(claims: RelayClaims, *, action: Action, conference: str, feed: str) -> None:
    """Check that claims cover one action on one feed.

    Raises:
        AccessError: with status 403 when they do not.
    """
    if claims.action != action:
        raise AccessError(f"token allows {claims.action}, not {action}", status=403)
    if claims.conference != conference or feed not in claims.feeds:
        raise AccessError(f"token does not cover {conference}/{feed}", status=403)
