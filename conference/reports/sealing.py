"""The seal of a report: SHA-256 of its canonical JSON, and an Ed25519 signature (RFC 8032) by the coordinator's key.

Canonical is JSON with sorted keys, without spaces, in UTF-8: for values without fractions, as a report has them, the
form of RFC 8785. The JSON form carries the report and its seal; every other form shows the seal, and the file itself
is signed beside it (`FileSeal`, a `.sig`), because a table cannot be turned back into the report that it shows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from conference.errors import ConferenceError
from conference.reports.model import SCHEMA, Report

MAX_REPORT_BYTES = 256 * 1024 * 1024  # six times the JSON of 40,000 halls
MAX_SEAL_BYTES = 16 * 1024
SEAL_SCHEMA = 1
# What is signed begins with what it is, so that no signature can be shown as one of something else.
REPORT_DOMAIN = b"diemcau report 1\0"
FILE_DOMAIN = b"diemcau report file 1\0"

Sign = Callable[[bytes], bytes]
"""Signs a message with the coordinator's key: 64 bytes."""


class ReportSealError(ConferenceError):
    """A report is not what was signed, or nobody can tell.

    Attributes:
        code: `report_malformed` (no report of ours), `report_changed` (not what was signed) or `report_foreign` (signed
            by another key).
    """

    status = 422

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """The seal of a report.

    Attributes:
        sha256: of its canonical JSON, hex.
        signature: of `REPORT_DOMAIN` and that digest, base64url without padding.
        public_key: PEM, of the key that signed; to find the key, never to trust it.
    """

    sha256: str
    signature: str
    public_key: str


class FileSeal(msgspec.Struct, frozen=True, kw_only=True):
    """The seal of one file: a form of a report.

    Attributes:
        sha256: of the file's bytes, hex.
        report_sha256: the seal's of the report that it shows.
        signature: of `FILE_DOMAIN` and both digests, base64url without padding.
        public_key: PEM, of the key that signed; to find the key, never to trust it.
    """

    schema: int = SEAL_SCHEMA
    sha256: str
    report_sha256: str
    signature: str
    public_key: str


def canonical_json(value: object) -> bytes:
    """The one sequence of bytes that stands for a report, or for any value without fractions."""
    return msgspec.json.encode(value, order="sorted")


def report_digest(canonical: bytes) -> bytes:
    """SHA-256 of a report in canonical form."""
    return hashlib.sha256(canonical).digest()


def seal_digest(digest: bytes, sign: Sign, public_key: str) -> Seal:
    """Sign a report by the SHA-256 of its canonical form."""
    return Seal(sha256=digest.hex(), signature=_encoded(sign(REPORT_DOMAIN + digest)), public_key=public_key)


def seal_file(payload: bytes, report_sha256: str, sign: Sign, public_key: str) -> FileSeal:
    """Sign a form of a report."""
    digest = hashlib.sha256(payload).digest()
    signature = sign(FILE_DOMAIN + digest + bytes.fromhex(report_sha256))
    return FileSeal(
        sha256=digest.hex(), report_sha256=report_sha256, signature=_encoded(signature), public_key=public_key
    )


def sealed_json(canonical: bytes, seal: Seal) -> bytes:
    """The JSON form: the members of the report in canonical order, then `seal`."""
    return canonical[:-1] + b',"seal":' + msgspec.json.encode(seal) + b"}\n"


def unseal(data: bytes) -> tuple[Report, Seal]:
    """The report and the seal of the JSON form, without a look at the signature.

    Raises:
        ReportSealError: it is no report of ours, or not what its own seal says.
    """
    if len(data) > MAX_REPORT_BYTES:
        raise ReportSealError("report_malformed", f"the file is longer than {MAX_REPORT_BYTES} bytes")
    try:
        document = msgspec.json.decode(data, type=dict[str, Any])
        seal = msgspec.convert(document.pop("seal", None), Seal)
        report = msgspec.convert(document, Report)
        if report.schema != SCHEMA:
            raise ReportSealError(
                "report_malformed", f"a report of schema {report.schema}; this program reads {SCHEMA}"
            )
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ReportSealError("report_malformed", f"the file is no sealed report: {error}") from error
    canonical = canonical_json(document)
    if not hmac.compare_digest(hashlib.sha256(canonical).hexdigest().encode(), seal.sha256.encode()):
        raise ReportSealError("report_changed", "the report is not what was sealed: its SHA-256 differs")
    if data.rstrip(b"\n") != sealed_json(canonical, seal).rstrip(
        b"\n"
    ):  # a doubled member would show what is not signed
        raise ReportSealError("report_changed", "the file was rewritten: it is not in the form in which it was sealed")
    return report, seal


def verify_report(data: bytes, public_keys: Sequence[str]) -> tuple[Report, Seal]:
    """The report of a JSON form that one of these keys (PEM) signed.

    Raises:
        ReportSealError: it is no report of ours, was changed, or was signed by another key.
    """
    report, seal = unseal(data)
    _verify(REPORT_DOMAIN + bytes.fromhex(seal.sha256), seal, public_keys)
    return report, seal


def verify_file(payload: bytes, seal_bytes: bytes, public_keys: Sequence[str]) -> FileSeal:
    """The seal of a file that one of these keys (PEM) signed.

    Raises:
        ReportSealError: the seal is none of ours, the file was changed, or another key signed it.
    """
    try:
        if len(seal_bytes) > MAX_SEAL_BYTES:
            raise ReportSealError("report_malformed", f"the seal is longer than {MAX_SEAL_BYTES} bytes")
        seal = msgspec.json.decode(seal_bytes, type=FileSeal)
        report_digest = bytes.fromhex(seal.report_sha256)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ReportSealError("report_malformed", f"the .sig is no seal of ours: {error}") from error
    if seal.schema != SEAL_SCHEMA or seal_bytes.rstrip(b"\n") != msgspec.json.encode(seal):
        raise ReportSealError("report_malformed", "the .sig is not as the coordinator wrote it")
    digest = hashlib.sha256(payload).digest()
    if not hmac.compare_digest(digest.hex().encode(), seal.sha256.encode()):
        raise ReportSealError("report_changed", "the file is not what was sealed: its SHA-256 differs")
    _verify(FILE_DOMAIN + digest + report_digest, seal, public_keys)
    return seal


def _verify(message: bytes, seal: Seal | FileSeal, public_keys: Sequence[str]) -> None:
    signature = seal.signature
    try:
        raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    except (binascii.Error, ValueError) as error:
        raise ReportSealError("report_changed", "the signature is no base64url") from error
    if _encoded(raw) != signature:  # several texts stand for the same bytes; one of them was written
        raise ReportSealError("report_changed", "the signature is not as it was written")
    for pem in public_keys:
        try:
            key = load_pem_public_key(pem.encode())
        except (ValueError, TypeError) as error:
            raise ReportSealError("report_malformed", "the key is no public key in PEM") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ReportSealError("report_malformed", "the key is no Ed25519 key")
        try:
            key.verify(raw, message)
        except InvalidSignature:
            continue
        if key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii") != seal.public_key:
            raise ReportSealError("report_changed", "the key in the seal is not the one that signed it")
        return
    raise ReportSealError("report_foreign", "none of the given keys signed it: changed, or of another coordinator")


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
