"""What passes between a program and the process that writes a report for it: frames on a pipe, msgpack inside.

A frame is its length (u32, network order), a letter that says what it holds, and its bytes. The writer is sent one `R`
(what to write), then any number of `H` (halls) and `U` (units) in any order, then `E`. It answers with the SHA-256 of
the report (32 bytes), is sent the signature of that (64 bytes), and writes the finished form until the pipe ends: the
signing key never leaves the program that holds it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import BinaryIO, Literal

import msgspec

from conference.reports.model import Correction, Heading, Incident, ReportHall, ReportInput, ReportUnit
from conference.reports.rendering import ReportFormat
from conference.reports.words import Language

DIGEST_BYTES = 32
SIGNATURE_BYTES = 64
MAX_FRAME_BYTES = 64 * 1024 * 1024
_HEAD = struct.Struct("!I1s")
FrameKind = Literal[b"R", b"H", b"U", b"E"]


class ReportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to write.

    Attributes:
        section: of CSV, the one table, or "" for all.
        public_key: PEM, of the key that will sign.
    """

    heading: Heading
    report_format: ReportFormat
    language: Language
    section: str = ""
    public_key: str
    incidents: list[Incident] = []
    corrections: list[Correction] = []


def frame(kind: FrameKind, content: object = None) -> bytes:
    """One frame."""
    payload = b"" if content is None else msgspec.msgpack.encode(content)
    return _HEAD.pack(len(payload), kind) + payload


def read_request(source: BinaryIO) -> tuple[ReportRequest, ReportInput]:
    """Read frames until `E`.

    Raises:
        ValueError: the other side broke off or sent something else; a bug of ours.
    """
    request: ReportRequest | None = None
    halls: list[ReportHall] = []
    units: list[ReportUnit] = []
    while True:
        length, kind = _HEAD.unpack(_exactly(source, _HEAD.size))
        if length > MAX_FRAME_BYTES:
            raise ValueError(f"a frame of {length} bytes")
        payload = _exactly(source, length)
        match kind:
            case b"R":
                request = msgspec.msgpack.decode(payload, type=ReportRequest)
            case b"H":
                halls += msgspec.msgpack.decode(payload, type=list[ReportHall])
            case b"U":
                units += msgspec.msgpack.decode(payload, type=list[ReportUnit])
            case _:
                break
    if request is None:
        raise ValueError("frames without a request")
    return request, _input_of(request, halls, units)


def _input_of(request: ReportRequest, halls: Sequence[ReportHall], units: Sequence[ReportUnit]) -> ReportInput:
    return ReportInput(
        heading=request.heading,
        halls=halls,
        units=units,
        incidents=request.incidents,
        corrections=request.corrections,
    )


def read_signature(source: BinaryIO) -> bytes:
    """The signature of the report.

    Raises:
        ValueError: the other side broke off.
    """
    return _exactly(source, SIGNATURE_BYTES)


def _exactly(source: BinaryIO, length: int) -> bytes:
    payload = source.read(length)
    if len(payload) != length:
        raise ValueError("the pipe ended early")
    return payload
