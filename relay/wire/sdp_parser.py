"""Reads a session description (RFC 8866) strictly, within fixed bounds.

Unknown attributes are dropped, as RFC 8866 asks; a known one that is malformed refuses the whole description, with the
number of its line.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn, get_args

import msgspec

from relay.errors import WireError
from relay.wire.session_description import (
    UNSPECIFIED_ADDRESS,
    Candidate,
    Codec,
    Direction,
    Fingerprint,
    MediaSection,
    Rid,
    SessionDescription,
    Setup,
)

MAX_CHARACTERS = 64 * 1024  # browsers' offers of a conference stay below 16 KiB
MAX_LINES = 4096
MAX_LINE_CHARACTERS = 4096
MAX_MEDIA = 32

_SPELLINGS = {"opus": "opus", "red": "red", "h264": "H264", "vp8": "VP8", "vp9": "VP9", "av1": "AV1"}
_DIRECTIONS: dict[str, Direction] = {name: name for name in get_args(Direction)}
_SETUPS: dict[str, Setup] = {name: name for name in get_args(Setup)}
# Digest sizes in bytes of the hash functions of RFC 8122; where several are given, the first of these is taken.
_HASH_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64, "sha-224": 28, "sha-1": 20}

_LINE = re.compile(r"([a-z])=(.*)")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_ORIGIN = re.compile(r"\S+ ([0-9]{1,20}) ([0-9]{1,20}) IN IP[46] \S+")
_MEDIA = re.compile(r"([a-z]{1,32}) ([0-9]{1,5})(?:/[0-9]{1,5})? ([A-Za-z0-9/]{1,64})((?: [!-~]{1,32}){1,128})")
_CONNECTION = re.compile(r"IN IP[46] ([!-~]{1,255})")
_TOKEN = re.compile(r"[!#-'*+\-.0-9A-Z^-~]{1,64}")
_GROUP = re.compile(r"(\S+)((?: [!-~]{1,64}){0,64})")
_RTPMAP = re.compile(r"([0-9]{1,3}) +([!-.0-~]{1,64})/([0-9]{1,9})(?:/([0-9]{1,3}))?")
_FORMAT = re.compile(r"([0-9]{1,3}) +(.*)")
_FEEDBACK = re.compile(r"([0-9]{1,3}|\*) +([!-~]+(?: [!-~]+)*) *")
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_FINGERPRINT = re.compile(r"([A-Za-z0-9-]{1,16}) +([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*)")
_SSRC = re.compile(r"([0-9]{1,10}) ([a-z0-9-]+)(?::(.*))?")
_SSRC_GROUP = re.compile(r"([A-Z-]{1,16})((?: [0-9]{1,10}){1,16})")
_RID = re.compile(r"([A-Za-z0-9_-]{1,64}) (send|recv)(?: (.*))?")
_RID_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SIMULCAST = re.compile(r"(send|recv) ([~A-Za-z0-9_,;-]+)(?: (send|recv) ([~A-Za-z0-9_,;-]+))?")
_EXTMAP = re.compile(r"([0-9]{1,5})(?:/[a-z]+)? +([!-~]+)(?: .*)?")
_CANDIDATE = re.compile(
    r"([A-Za-z0-9+/-]{1,32}) ([0-9]{1,5}) ([A-Za-z0-9-]{1,16}) ([0-9]{1,10}) ([!-~]{1,255}) ([0-9]{1,5})"
    r" typ ([a-z]{1,16})((?: [!-~]+ [!-~]+)*)"
)


class _Attribute(NamedTuple):
    line: int
    value: str


class _Section:
    """The lines of the session level or of one m= line, sorted by attribute."""

    __slots__ = ("attributes", "connection", "line", "media")

    def __init__(self, line: int, media: str) -> None:
        self.line = line
        self.media = media
        self.connection: _Attribute | None = None
        self.attributes: dict[str, list[_Attribute]] = {}

    def all(self, name: str) -> list[_Attribute]:
        return self.attributes.get(name, [])

    def first(self, name: str) -> _Attribute | None:
        values = self.attributes.get(name)
        return values[0] if values else None


def parse_session(text: str) -> SessionDescription:
    """Read one offer or answer.

    Raises:
        WireError: too large, not a session description, or a malformed line, whose number the reason gives.
    """
    session, sections = _split(text)
    media = [_parse_media(section, session) for section in sections]
    by_mid = {section.mid: section for section in media if section.mid}
    if len(by_mid) != sum(1 for section in media if section.mid):
        raise WireError("sdp", "two media sections with the same mid")
    bundle = _parse_bundle(session, frozenset(by_mid))
    session_id, session_version = _parse_origin(session)
    options = session.first("ice-options")
    return SessionDescription(
        session_id=session_id,
        session_version=session_version,
        media=tuple(
            _with_transport_of(by_mid[bundle[0]], section) if section.mid in bundle else section for section in media
        ),
        bundle=bundle,
        ice_lite=session.first("ice-lite") is not None,
        ice_options=tuple(options.value.split()) if options else (),
    )


def _fail(line: int, reason: str) -> NoReturn:
    raise WireError("sdp", f"line {line}: {reason}")


def _match(pattern: re.Pattern[str], attribute: _Attribute, name: str) -> re.Match[str]:
    matched = pattern.fullmatch(attribute.value)
    if matched is None:
        _fail(attribute.line, f"malformed {name}")
    return matched


def _bounded(text: str, highest: int, line: int, name: str) -> int:
    number = int(text)
    if number > highest:
        _fail(line, f"{name} {number} above {highest}")
    return number


def _split(text: str) -> tuple[_Section, list[_Section]]:
    if len(text) > MAX_CHARACTERS:
        raise WireError("sdp", f"description of {len(text)} characters, at most {MAX_CHARACTERS}")
    lines = text.rstrip("\r\n").split("\n")
    if len(lines) > MAX_LINES:
        raise WireError("sdp", f"description of {len(lines)} lines, at most {MAX_LINES}")
    session = _Section(1, "")
    sections: list[_Section] = []
    for number, raw in enumerate(lines, start=1):
        kind, value = _split_line(number, raw.removesuffix("\r"))
        if number <= 3 and kind != "vos"[number - 1]:
            _fail(number, f"{kind}= where {'vos'[number - 1]}= belongs")
        if kind == "m":
            if len(sections) == MAX_MEDIA:
                _fail(number, f"more than {MAX_MEDIA} media sections")
            sections.append(_Section(number, value))
        else:
            _keep(sections[-1] if sections else session, number, kind, value)
    if len(lines) < 3:
        raise WireError("sdp", "description without v=, o= and s=")
    return session, sections


def _split_line(number: int, line: str) -> tuple[str, str]:
    if len(line) > MAX_LINE_CHARACTERS:
        _fail(number, f"longer than {MAX_LINE_CHARACTERS} characters")
    if _CONTROL.search(line):
        _fail(number, "control character")
    matched = _LINE.fullmatch(line)
    if matched is None:
        _fail(number, "not of the form x=value")
    kind, value = matched[1], matched[2]
    if kind == "v" and (number != 1 or value != "0"):
        _fail(number, "v=0 belongs on line 1")
    return kind, value


def _keep(section: _Section, number: int, kind: str, value: str) -> None:
    if kind == "a":
        name, _, rest = value.partition(":")
        section.attributes.setdefault(name, []).append(_Attribute(number, rest.strip(" ")))
    elif kind == "o":
        section.attributes.setdefault("o=", []).append(_Attribute(number, value))
    elif kind == "c" and section.connection is None:
        section.connection = _Attribute(number, value)


def _parse_origin(session: _Section) -> tuple[int, int]:
    origin = session.first("o=") or _Attribute(2, "")
    matched = _match(_ORIGIN, origin, "o=")
    return int(matched[1]), int(matched[2])


def _parse_bundle(session: _Section, mids: frozenset[str]) -> tuple[str, ...]:
    for attribute in session.all("group"):
        matched = _match(_GROUP, attribute, "group")
        if matched[1] != "BUNDLE":
            continue
        bundle = tuple(matched[2].split())
        if len(set(bundle)) != len(bundle) or not set(bundle) <= mids:
            _fail(attribute.line, "BUNDLE names a mid twice or one that no media section has")
        return bundle
    return ()


def _with_transport_of(tagged: MediaSection, section: MediaSection) -> MediaSection:
    # Only the first section of a bundle has to describe the transport (RFC 8843 section 7.1.3); a bundle-only section
    # leaves it out.
    if section.rejected or section.ice_ufrag or section.ice_pwd:
        return section
    return msgspec.structs.replace(
        section,
        ice_ufrag=tagged.ice_ufrag,
        ice_pwd=tagged.ice_pwd,
        fingerprint=section.fingerprint or tagged.fingerprint,
        setup=section.setup or tagged.setup,
        rtcp_mux=section.rtcp_mux or tagged.rtcp_mux,
        rtcp_rsize=section.rtcp_rsize or tagged.rtcp_rsize,
    )


def _parse_media(section: _Section, session: _Section) -> MediaSection:
    matched = _match(_MEDIA, _Attribute(section.line, section.media), "m=")
    protocol = matched[3]
    formats = tuple(matched[4].split())
    payload_types = _parse_payload_types(section, formats) if "RTP/" in protocol else ()
    mid = section.first("mid")
    msid = section.first("msid")
    connection = section.connection or session.connection
    return MediaSection(
        kind=matched[1],
        mid=_match(_TOKEN, mid, "mid")[0] if mid else "",
        port=_bounded(matched[2], 65535, section.line, "port"),
        protocol=protocol,
        direction=_parse_direction(section, session),
        payload_types=payload_types,
        formats=() if payload_types else formats,
        codecs=_parse_codecs(section, payload_types),
        connection_address=_parse_connection(connection),
        bundle_only=section.first("bundle-only") is not None,
        ice_ufrag=_parse_credential(section, session, "ice-ufrag", _UFRAG),
        ice_pwd=_parse_credential(section, session, "ice-pwd", _PASSWORD),
        fingerprint=_parse_fingerprint(section.all("fingerprint") or session.all("fingerprint")),
        setup=_parse_setup(section.first("setup") or session.first("setup")),
        rtcp_mux=section.first("rtcp-mux") is not None,
        rtcp_rsize=section.first("rtcp-rsize") is not None,
        ssrcs=_parse_ssrcs(section),
        ssrc_groups=tuple(_parse_ssrc_group(attribute) for attribute in section.all("ssrc-group")),
        msid=msid.value if msid else "",
        rids=tuple(_parse_rid(attribute) for attribute in section.all("rid")),
        simulcast=_parse_simulcast(section.first("simulcast")),
        extmap=_parse_extmap(section),
        candidates=tuple(_parse_candidate(attribute) for attribute in section.all("candidate")),
        end_of_candidates=section.first("end-of-candidates") is not None,
    )


def _parse_payload_types(section: _Section, formats: tuple[str, ...]) -> tuple[int, ...]:
    payload_types = []
    for name in formats:
        if not (name.isascii() and name.isdigit() and len(name) <= 3):
            _fail(section.line, f"payload type {name!r} is not a number")
        payload_types.append(_bounded(name, 127, section.line, "payload type"))
    if len(set(payload_types)) != len(payload_types):
        _fail(section.line, "a payload type twice")
    return tuple(payload_types)


def _parse_direction(section: _Section, session: _Section) -> Direction:
    for level in (section, session):
        for name, direction in _DIRECTIONS.items():
            if name in level.attributes:
                return direction
    return "sendrecv"


def _parse_connection(connection: _Attribute | None) -> str:
    if connection is None:
        return UNSPECIFIED_ADDRESS
    return _match(_CONNECTION, connection, "c=")[1]


def _parse_credential(section: _Section, session: _Section, name: str, pattern: re.Pattern[str]) -> str:
    attribute = section.first(name) or session.first(name)
    return _match(pattern, attribute, name)[0] if attribute else ""


def _parse_fingerprint(attributes: list[_Attribute]) -> Fingerprint | None:
    found: dict[str, Fingerprint] = {}
    for attribute in attributes:
        matched = _match(_FINGERPRINT, attribute, "fingerprint")
        algorithm = matched[1].lower()
        expected = _HASH_BYTES.get(algorithm)
        if expected is None:
            continue  # a hash function of the future; another line may have one that we know
        if len(matched[2]) != 3 * expected - 1:
            _fail(attribute.line, f"fingerprint is not a digest of {algorithm}")
        found.setdefault(algorithm, Fingerprint(algorithm, matched[2].upper()))
    return next((found[algorithm] for algorithm in _HASH_BYTES if algorithm in found), None)


def _parse_setup(attribute: _Attribute | None) -> Setup | None:
    if attribute is None:
        return None
    setup = _SETUPS.get(attribute.value)
    if setup is None:
        _fail(attribute.line, "malformed setup")
    return setup


def _parse_codecs(section: _Section, payload_types: tuple[int, ...]) -> tuple[Codec, ...]:
    fmtp = _parse_fmtp(section)
    feedback = _parse_feedback(section)
    codecs: dict[int, Codec] = {}
    for attribute in section.all("rtpmap"):
        matched = _match(_RTPMAP, attribute, "rtpmap")
        payload_type = _bounded(matched[1], 127, attribute.line, "payload type")
        if payload_type in codecs:
            _fail(attribute.line, f"second rtpmap for payload type {payload_type}")
        codecs[payload_type] = Codec(
            payload_type,
            _SPELLINGS.get(matched[2].lower(), matched[2]),
            int(matched[3]),
            int(matched[4] or 1),
            fmtp.get(payload_type, {}),
            tuple(dict.fromkeys(value for target, value in feedback if target in {"*", str(payload_type)})),
        )
    return tuple(codecs[payload_type] for payload_type in payload_types if payload_type in codecs)


def _parse_fmtp(section: _Section) -> dict[int, dict[str, str]]:
    parameters: dict[int, dict[str, str]] = {}
    for attribute in section.all("fmtp"):
        matched = _match(_FORMAT, attribute, "fmtp")
        payload_type = _bounded(matched[1], 127, attribute.line, "payload type")
        for part in matched[2].split(";"):
            name, _, value = part.partition("=")
            if name.strip():
                parameters.setdefault(payload_type, {})[name.strip().lower()] = value.strip()
    return parameters


def _parse_feedback(section: _Section) -> list[tuple[str, str]]:
    feedback = []
    for attribute in section.all("rtcp-fb"):
        matched = _match(_FEEDBACK, attribute, "rtcp-fb")
        target = matched[1] if matched[1] == "*" else str(int(matched[1]))
        feedback.append((target, matched[2]))
    return feedback


def _parse_ssrcs(section: _Section) -> dict[int, str]:
    ssrcs: dict[int, str] = {}
    for attribute in section.all("ssrc"):
        matched = _match(_SSRC, attribute, "ssrc")
        ssrc = _bounded(matched[1], 0xFFFFFFFF, attribute.line, "ssrc")
        cname = (matched[3] or "") if matched[2] == "cname" else ""
        ssrcs[ssrc] = cname or ssrcs.get(ssrc, "")
    return ssrcs


def _parse_ssrc_group(attribute: _Attribute) -> tuple[str, tuple[int, ...]]:
    matched = _match(_SSRC_GROUP, attribute, "ssrc-group")
    return matched[1], tuple(_bounded(ssrc, 0xFFFFFFFF, attribute.line, "ssrc") for ssrc in matched[2].split())


def _parse_rid(attribute: _Attribute) -> Rid:
    matched = _match(_RID, attribute, "rid")
    return Rid(matched[1], matched[2], matched[3] or "")


def _parse_simulcast(attribute: _Attribute | None) -> dict[str, tuple[str, ...]]:
    if attribute is None:
        return {}
    matched = _match(_SIMULCAST, attribute, "simulcast")
    simulcast = {}
    for direction, streams in ((matched[1], matched[2]), (matched[3], matched[4])):
        if direction is not None:
            rids = tuple(stream.split(",")[0].removeprefix("~") for stream in streams.split(";"))
            if direction in simulcast or not all(_RID_NAME.fullmatch(rid) for rid in rids):
                _fail(attribute.line, "malformed simulcast")
            simulcast[direction] = rids
    return simulcast


def _parse_extmap(section: _Section) -> dict[int, str]:
    extmap: dict[int, str] = {}
    for attribute in section.all("extmap"):
        matched = _match(_EXTMAP, attribute, "extmap")
        extmap[int(matched[1])] = matched[2]
    return extmap


def _parse_candidate(attribute: _Attribute) -> Candidate:
    matched = _match(_CANDIDATE, attribute, "candidate")
    words = matched[8].split()
    extensions = dict(zip(words[::2], words[1::2], strict=True))
    related_port = extensions.get("rport")
    if related_port is not None and not (related_port.isascii() and related_port.isdigit() and len(related_port) <= 5):
        _fail(attribute.line, "malformed rport")
    return Candidate(
        matched[1],
        int(matched[2]),
        matched[3].lower(),
        _bounded(matched[4], 0xFFFFFFFF, attribute.line, "priority"),
        matched[5],
        _bounded(matched[6], 65535, attribute.line, "port"),
        matched[7],
        extensions.get("raddr"),
        None if related_port is None else _bounded(related_port, 65535, attribute.line, "rport"),
        extensions.get("tcptype"),
    )
