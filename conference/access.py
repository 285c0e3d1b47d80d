"""The coordinator's keys and tokens: JSON Web Tokens (RFC 7519) signed with Ed25519 (RFC 8037).

The coordinator alone holds the private key. It signs two kinds of token, told apart by their audience: `relay` opens
a feed at a relay (`relay.access` verifies those), `api` opens this coordinator's own API. One algorithm is named here
and never read from a token, so a token cannot choose how it is checked.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bridges.checkin import CheckinCode, conference_tag, content, serialize_code
from conference.errors import ConferenceError
from relay.access import ALGORITHM, ISSUER, MAX_TOKEN_BYTES, Action
from relay.access import AUDIENCE as RELAY_AUDIENCE

AUDIENCE = "api"
MAX_KEY_FILE_BYTES = 16 * 1024
# Tokens that need not be verified again; some 70 MB when full. Twice as many as a country has halls.
MAX_REMEMBERED = 100_000

Role = Literal["organiser", "technician", "operator", "hall", "poster", "relay", "gateway"]
OF_ONE_HALL: frozenset[Role] = frozenset({"hall", "poster"})
STAFF_ROLES: frozenset[Role] = frozenset({"organiser", "technician", "operator"})


class AccessDeniedError(ConferenceError):
    """A token was missing, malformed or expired (401), or its role or scope does not reach so far (403)."""

    code = "access_denied"

    def __init__(self, reason: str, *, status: int = 401) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class KeyFileError(ConferenceError):
    """The signing key's file cannot be read, written or trusted; names the file and what to do.

    Attributes:
        path: the file.
    """

    code = "key_file"
    status = 500

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


class ApiClaims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a token allows at the coordinator's API.

    Attributes:
        sub: who holds it: a user, or the id of a hall, a relay or a gateway.
        role: what the holder is; each route names the roles that it serves.
        exp: expiry, seconds since the epoch.
        conference: the one conference it is for, or "" for all.
        hall: the one hall it is for; set for the roles `hall` and `poster`.
        unit: code of the unit that a member of staff is bound to, with everything under it, or "" for the whole
            country; see `conference.reach`.
    """

    sub: str
    role: Role
    exp: int
    conference: str = ""
    hall: str = ""
    unit: str = ""

    @property
    def actor(self) -> str:
        """How the journal names the holder: `hall:…`, `poster:…`, `relay:…`, `gateway:…` or `user:…`."""
        prefix = self.role if self.role in {"hall", "poster", "relay", "gateway"} else "user"
        return f"{prefix}:{self.sub}"


class KeyRing:
    """The signing key of one coordinator, and what is derived from it.

    It remembers the tokens that it has verified: a hall shows the same one all day, and a signature costs more to check
    than all else that is done to answer most requests. What is remembered expires like the token.
    """

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self._verified: dict[str, ApiClaims] = {}
        public_key = private_key.public_key()
        self._public_key: Ed25519PublicKey = public_key
        self._pin_key = hmac.digest(private_key.private_bytes_raw(), b"diemcau pin 1", "sha256")
        self.public_keys: list[str] = [
            public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(
                "ascii"
            )
        ]

    @property
    def code_key(self) -> str:
        """The public key for devices that check delegates' codes themselves: 32 bytes, base64url without padding."""
        return base64.urlsafe_b64encode(self._public_key.public_bytes_raw()).decode("ascii").rstrip("=")

    @classmethod
    def generate(cls) -> KeyRing:
        """Make a key ring with a fresh key that is nowhere stored."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load_or_create(cls, path: Path) -> KeyRing:
        """Load the key from a PKCS #8 PEM file, or create the file (mode 0600) with a fresh key.

        Two processes that start at once agree on one key: the file appears whole under its name, and only once.

        Raises:
            KeyFileError: the file cannot be read or written, is open to others, or holds no Ed25519 key.
        """
        try:
            if not path.exists():
                _create_key_file(path)
            return cls(_read_key_file(path))
        except OSError as error:
            raise KeyFileError(path, error.strerror or str(error)) from error

    @classmethod
    def load(cls, path: Path) -> KeyRing:
        """Load the key from a PKCS #8 PEM file that another program made.

        Raises:
            KeyFileError: the file cannot be read, is open to others, or holds no Ed25519 key.
        """
        try:
            return cls(_read_key_file(path))
        except OSError as error:
            raise KeyFileError(path, error.strerror or str(error)) from error

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature (RFC 8032, 64 bytes) of a message, which begins with what it is, as no other does."""
        return self._private_key.sign(message)

    def issue_relay_token(
        self,
        *,
        sub: str,
        conference: str,
        feeds: Sequence[str],
        action: Action,
        exp: int,
        link: bool = False,
    ) -> str:
        """Sign a token for a relay's door; the claims are those of `relay.access.RelayClaims`."""
        payload: dict[str, object] = {
            "iss": ISSUER,
            "aud": RELAY_AUDIENCE,
            "sub": sub,
            "conference": conference,
            "feeds": list(feeds),
            "action": action,
            "exp": exp,
            "link": link,
        }
        return jwt.encode(payload, self._private_key, algorithm=ALGORITHM)

    def issue_api_token(self, claims: ApiClaims) -> str:
        """Sign a token for this coordinator's API."""
        payload: dict[str, object] = {"iss": ISSUER, "aud": AUDIENCE, **msgspec.to_builtins(claims)}
        return jwt.encode(payload, self._private_key, algorithm=ALGORITHM)

    def issue_code(self, conference_id: str, number: int, issue: int) -> str:
        """The digits of a delegate's QR code; see `bridges.checkin`."""
        signature = self._private_key.sign(content(conference_id, number, issue))
        return serialize_code(CheckinCode(conference_tag(conference_id), number, issue, signature))

    def is_issued(self, conference_id: str, code: CheckinCode) -> bool:
        """Whether a code was issued for this conference by the holder of this key.

        Ed25519 signs the same with the same (RFC 8032), so it is signed anew: a fifth of the cost of a verification.
        """
        signature = self._private_key.sign(content(conference_id, code.number, code.issue))
        return hmac.compare_digest(signature, code.signature)

    def pin(self, conference_id: str, number: int, issue: int) -> str:
        """The six digits that stand below a delegate's QR code beside the number, for who types."""
        found = hmac.digest(self._pin_key, content(conference_id, number, issue), "sha256")
        return f"{int.from_bytes(found[:8], 'big') % 1_000_000:06}"

    def verify_api_token(self, token: str, now: float) -> ApiClaims:
        """Verify a bearer token of the API.

        Args:
            token: the compact JWT.
            now: seconds since the epoch.

        Raises:
            AccessDeniedError: 401: malformed, signed by another key, for another audience, or expired.
        """
        claims = self._verified.get(token)
        if claims is None:
            claims = self._verify(token)
            if len(self._verified) >= MAX_REMEMBERED:
                self._verified.clear()
            self._verified[token] = claims
        if claims.exp <= now:
            self._verified.pop(token, None)
            raise AccessDeniedError("token has expired")
        return claims

    def _verify(self, token: str) -> ApiClaims:
        if not token.isascii():  # a header's bytes arrive as surrogates, which no text of JSON can hold
            raise AccessDeniedError("token is not valid: it is not ASCII")
        if len(token) > MAX_TOKEN_BYTES:
            raise AccessDeniedError(f"token is longer than {MAX_TOKEN_BYTES} bytes")
        try:
            payload = jwt.decode(
                token,
                self._public_key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["exp", "aud", "iss", "sub"], "verify_exp": False, "verify_iat": False},
            )
            claims = msgspec.convert(payload, ApiClaims)
        except jwt.InvalidTokenError as error:
            raise AccessDeniedError(f"token is not valid: {error}") from error
        except msgspec.ValidationError as error:
            raise AccessDeniedError(f"token claims are not the API's: {error}") from error
        if claims.role in OF_ONE_HALL and not (claims.hall and claims.conference):
            raise AccessDeniedError("a hall's token must name its hall and its conference")
        if claims.unit and claims.role not in STAFF_ROLES:
            raise AccessDeniedError(f"a token of the role {claims.role} is bound to no unit")
        return claims


def require_role(claims: ApiClaims, roles: frozenset[Role]) -> None:
    """Check that the holder is one of `roles`.

    Raises:
        AccessDeniedError: 403 when not.
    """
    if claims.role not in roles:
        raise AccessDeniedError(f"not for the role {claims.role}", status=403)


def require_conference(claims: ApiClaims, conference_id: str) -> None:
    """Check that the token reaches a conference: it names this one, or none at all.

    `conference_id` is "" for what is about all conferences: only a token that names none reaches that.

    Raises:
        AccessDeniedError: 403 when it names another.
    """
    if claims.conference not in {"", conference_id}:
        raise AccessDeniedError(f"token is for conference {claims.conference} alone", status=403)


def require_whole(claims: ApiClaims) -> None:
    """Check that the token reaches the whole country: it is bound to no unit.

    Raises:
        AccessDeniedError: 403 when it is bound to one.
    """
    if claims.unit:
        raise AccessDeniedError(f"token is for unit {claims.unit} alone", status=403)


def _create_key_file(path: Path) -> None:
    """Write a fresh key beside `path` and link it into place, so that no reader ever sees half a key."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)  # unlike a rename this fails when another process was first: its key counts
        except FileExistsError:
            return
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        draft.unlink(missing_ok=True)


def _read_key_file(path: Path) -> Ed25519PrivateKey:
    if path.stat().st_mode & 0o077:
        raise KeyFileError(path, "others may read this key; run chmod 600 on it, or delete it to have a new one")
    with path.open("rb") as file:
        pem = file.read(MAX_KEY_FILE_BYTES + 1)
    if len(pem) > MAX_KEY_FILE_BYTES:
        raise KeyFileError(path, f"longer than {MAX_KEY_FILE_BYTES} bytes, so it is no key")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(path, "holds no unencrypted private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(path, "holds a private key that is not Ed25519")
    return key
