"""What a session description says, as values (RFC 8866, RFC 8829, RFC 8839, RFC 8843, RFC 8853).

Only what a relay reads or writes is kept; attributes that it does not know are dropped by the parser.
"""

from __future__ import annotations

import zlib
from typing import Literal, NamedTuple

import msgspec

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Setup = Literal["actpass", "active", "passive", "holdconn"]

UNSPECIFIED_ADDRESS = "0.0.0.0"  # noqa: S104 - written in c= lines where no address is known; nothing binds it
DISCARD_PORT = 9  # stands for "no address yet" (RFC 8839 section 4.3.1)
RTP_PROFILE = "UDP/TLS/RTP/SAVPF"

_HOST_TYPE_PREFERENCE = 126  # RFC 8445 section 5.1.2.2


class Fingerprint(NamedTuple):
    """Digest of a DTLS certificate (RFC 8122): `algorithm` in lower case, `value` in upper-case hex with colons."""

    algorithm: str
    value: str


class Codec(msgspec.Struct, frozen=True):
    """One payload type and what it stands for.

    Attributes:
        payload_type: 0..127.
        name: encoding name; `opus`, `red`, `H264`, `VP8`, `VP9` and `AV1` always in this spelling.
        clock_rate: in Hz.
        channels: 1 where the description gives none.
        fmtp: format parameters with names in lower case; a parameter without a value has "".
        feedback: `nack`, `nack pli`, `ccm fir`, `goog-remb` and so on, in order.
    """

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    fmtp: dict[str, str] = {}
    feedback: tuple[str, ...] = ()


class Candidate(msgspec.Struct, frozen=True):
    """An ICE candidate (RFC 8839 section 5.1); `protocol` in lower case, `address` as written."""

    foundation: str
    component: int
    protocol: str
    priority: int
    address: str
    port: int
    type: str
    related_address: str | None = None
    related_port: int | None = None
    tcp_type: str | None = None


class Rid(msgspec.Struct, frozen=True):
    """A restriction identifier (RFC 8851): `direction` is `send` or `recv`; `restrictions` as written."""

    rid: str
    direction: str
    restrictions: str = ""


class MediaSection(msgspec.Struct, frozen=True, kw_only=True):
    """One m= line with its attributes.

    What the session level says for all sections, or the first section of a bundle for the others, is filled in.

    Attributes:
        kind: `audio`, `video`, `application` and so on.
        mid: identification (RFC 5888); "" where missing.
        port: 0 means rejected, unless `bundle_only`.
        protocol: for example `UDP/TLS/RTP/SAVPF`.
        direction: seen from whoever wrote the description.
        payload_types: in order of preference; empty where the protocol is not RTP.
        formats: the format list where the protocol is not RTP.
        codecs: for each payload type with an rtpmap, in the order of `payload_types`.
        connection_address: of the c= line.
        bundle_only: RFC 8843 section 6.
        ice_ufrag: user name fragment, "" where missing.
        ice_pwd: password, "" where missing.
        fingerprint: of the certificate, None where missing; of several, SHA-256 is taken before others.
        setup: DTLS role (RFC 8842), None where missing.
        rtcp_mux: RFC 8858.
        rtcp_rsize: RFC 5506.
        ssrcs: each announced SSRC with its cname ("" where unknown), in order (RFC 5576).
        ssrc_groups: (semantics, ssrcs), for example `("FID", (media, rtx))`.
        msid: `stream track` (RFC 8830), "" where missing.
        rids: RFC 8851.
        simulcast: direction (`send`, `recv`) to the rids, the first alternative of each stream (RFC 8853).
        extmap: header extension id to its URI (RFC 8285).
        candidates: of this section.
        end_of_candidates: no more candidates follow.
    """

    kind: str
    mid: str = ""
    port: int = DISCARD_PORT
    protocol: str = RTP_PROFILE
    direction: Direction = "sendrecv"
    payload_types: tuple[int, ...] = ()
    formats: tuple[str, ...] = ()
    codecs: tuple[Codec, ...] = ()
    connection_address: str = UNSPECIFIED_ADDRESS
    bundle_only: bool = False
    ice_ufrag: str = ""
    ice_pwd: str = ""
    fingerprint: Fingerprint | None = None
    setup: Setup | None = None
    rtcp_mux: bool = False
    rtcp_rsize: bool = False
    ssrcs: dict[int, str] = {}
    ssrc_groups: tuple[tuple[str, tuple[int, ...]], ...] = ()
    msid: str = ""
    rids: tuple[Rid, ...] = ()
    simulcast: dict[str, tuple[str, ...]] = {}
    extmap: dict[int, str] = {}
    candidates: tuple[Candidate, ...] = ()
    end_of_candidates: bool = False

    @property
    def rejected(self) -> bool:
        """True where the section is refused or stopped."""
        return self.port == 0 and not self.bundle_only

    @property
    def simulcast_ssrcs(self) -> tuple[int, ...]:
        """The SSRCs of simulcast layers where they are named (`ssrc-group:SIM`), in the order of the layers."""
        return next((group for semantics, group in self.ssrc_groups if semantics == "SIM"), ())

    @property
    def media_ssrcs(self) -> tuple[int, ...]:
        """The announced SSRCs that carry media: without those of retransmission (FID) and of FEC (FEC-FR)."""
        repair = {ssrc for semantics, group in self.ssrc_groups if semantics in {"FID", "FEC-FR"} for ssrc in group[1:]}
        return tuple(ssrc for ssrc in self.ssrcs if ssrc not in repair)


class SessionDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A whole offer or answer.

    Attributes:
        session_id: of the o= line.
        session_version: of the o= line.
        media: in order.
        bundle: mids of the first BUNDLE group; empty without one.
        ice_lite: the writer is an ICE-lite agent.
        ice_options: for example `trickle`.
    """

    session_id: int = 1
    session_version: int = 1
    media: tuple[MediaSection, ...]
    bundle: tuple[str, ...] = ()
    ice_lite: bool = False
    ice_options: tuple[str, ...] = ()


def host_candidate(address: str, port: int, *, local_preference: int = 65535) -> Candidate:
    """Make a UDP host candidate for component 1 (RFC 8445 section 5.1.2).

    Args:
        address: numeric IPv4 or IPv6 address.
        port: UDP port.
        local_preference: 0..65535; each address of an agent should have its own.
    """
    priority = _HOST_TYPE_PREFERENCE << 24 | local_preference << 8 | 255
    return Candidate(str(zlib.crc32(address.encode())), 1, "udp", priority, address, port, "host")
