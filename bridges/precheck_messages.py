"""The messages of a pre-check between a hall (agent or page) and the coordinator, under `/api/v1/halls/precheck`."""

from __future__ import annotations

import msgspec

from bridges.messages import SCHEMA, IceServer, RelayAccess
from bridges.prechecks import Precheck
from bridges.readiness import Finding, Readiness

PAYLOAD_PATH = "/api/v1/halls/precheck/payload"


class PrecheckPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a hall is to try: the relays that it would have now. Nothing was assigned and no seat is taken.

    Attributes:
        primary: None where no relay runs, or none has room.
        backup: None where there is no second one.
        layer_bps: bitrate of the layer that the hall is to see.
        payload_bytes: size of the answer at `PAYLOAD_PATH`, for a download where no programme is on.
        ice_servers: TURN servers, to be tried as well.
    """

    schema: int = SCHEMA
    hall_id: str
    hall_name: str
    conference_id: str
    conference_title: str
    phase: str
    primary: RelayAccess | None
    backup: RelayAccess | None
    layer_bps: int
    payload_bytes: int
    ice_servers: list[IceServer] = []


class PrecheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /api/v1/halls/precheck`; the hall and the conference are in its bearer token."""

    schema: int = SCHEMA
    precheck: Precheck


class PrecheckVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        findings: what each measure says, also the good ones.
        readiness: what that makes of the hall.
    """

    findings: list[Finding]
    readiness: Readiness


class SignOffReport(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /api/v1/halls/signoff`: the hall's technician answers for it, or takes that back."""

    schema: int = SCHEMA
    note: str = ""
    withdrawn: bool = False
