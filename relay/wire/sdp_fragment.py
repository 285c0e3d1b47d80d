"""Fragments of session descriptions that restart ICE or bring candidates (RFC 8840 section 9, RFC 9725 section 4.3).

Read are the credentials alone: a lite agent sends no checks, so that the peer's candidates tell it nothing. All media
share one transport, whose credentials stand at the session level or at the first m= line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from relay.errors import WireError
from relay.wire.sdp_serializer import serialize_candidate
from relay.wire.session_description import Candidate

MAX_CHARACTERS = 16 * 1024  # a hundred candidates stay below it
MAX_LINES = 512

_LINE = re.compile(r"([am])=([!-~][ -~]*)")
_CREDENTIALS = {
    "ice-ufrag": re.compile(r"[A-Za-z0-9+/]{4,256}"),
    "ice-pwd": re.compile(r"[A-Za-z0-9+/]{22,256}"),
}


class IceFragment(msgspec.Struct, frozen=True):
    """What a fragment is about.

    Attributes:
        ice_ufrag: user name fragment of its writer.
        ice_pwd: its writer's password.
        media: the first m= line as it stands, without `m=`; "" where all is said at the session level.
        mid: the first `a=mid`, "" where missing.
    """

    ice_ufrag: str
    ice_pwd: str
    media: str = ""
    mid: str = ""


def parse_fragment(text: str) -> IceFragment:
    """Read a fragment.

    Raises:
        WireError: too large, a line that is neither a= nor m=, or not one pair of credentials.
    """
    if len(text) > MAX_CHARACTERS:
        raise WireError("sdp", f"fragment of {len(text)} characters, at most {MAX_CHARACTERS}")
    lines = text.rstrip("\r\n").split("\n")
    if len(lines) > MAX_LINES:
        raise WireError("sdp", f"fragment of {len(lines)} lines, at most {MAX_LINES}")
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        matched = _LINE.fullmatch(line.removesuffix("\r"))
        if matched is None:
            raise WireError("sdp", f"line {number}: neither a= nor m=")
        name, _, value = matched[2].partition(":") if matched[1] == "a" else ("m=", "", matched[2])
        pattern = _CREDENTIALS.get(name)
        if pattern is None:
            found.setdefault(name, value)
            continue
        if pattern.fullmatch(value) is None:
            raise WireError("sdp", f"line {number}: malformed {name}")
        if found.setdefault(name, value) != value:
            raise WireError("sdp", f"line {number}: another {name}, but all media share one transport")
    if not found.keys() >= _CREDENTIALS.keys():
        raise WireError("sdp", "fragment without ice-ufrag and ice-pwd")
    return IceFragment(found["ice-ufrag"], found["ice-pwd"], found.get("m=", ""), found.get("mid", ""))


def serialize_fragment(fragment: IceFragment, candidates: Sequence[Candidate]) -> str:
    """Write the answer of a lite agent to a restart, with all of its candidates."""
    return "".join(f"{line}\r\n" for line in _lines(fragment, candidates))


def _lines(fragment: IceFragment, candidates: Sequence[Candidate]) -> Iterator[str]:
    yield "a=ice-lite"
    if fragment.media:
        yield f"m={fragment.media}"
    if fragment.mid:
        yield f"a=mid:{fragment.mid}"
    yield f"a=ice-ufrag:{fragment.ice_ufrag}"
    yield f"a=ice-pwd:{fragment.ice_pwd}"
    for candidate in candidates:
        yield f"a=candidate:{serialize_candidate(candidate)}"
    yield "a=end-of-candidates"
