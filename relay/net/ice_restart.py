"""`PATCH` of a WHIP or WHEP resource: trickled candidates and ICE restarts (RFC 9725 section 4.3).

The entity tag of a session names its ICE generation. A fragment with the credentials of the peer's last offer trickles
candidates: they are welcome and tell a lite agent nothing. Other credentials restart ICE: media goes on over the old
pair until the new one is validated.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from relay.core.ice import IceCredentials
from relay.net.door import FRAGMENT_TYPE, read_sdp
from relay.net.negotiation import new_credentials
from relay.net.problems import problem
from relay.net.session import Session
from relay.net.sessions import Sessions
from relay.wire.sdp import Candidate
from relay.wire.sdp_fragment import IceFragment, parse_fragment, serialize_fragment


def entity_tag(session: Session) -> str:
    """The strong entity tag of a session's present ICE generation, for `ETag`."""
    return f'"{session.peer.ice_generation.local.ufrag}"'


async def patch_ice(
    request: web.Request, session: Session, sessions: Sessions, candidates: Sequence[Candidate]
) -> web.Response:
    """Answer a `PATCH`: 204 to trickled candidates, 200 with our new credentials and a new `ETag` to a restart.

    Args:
        request: authorised for this session.
        session: a publisher or a subscriber.
        sessions: the table that it stands in.
        candidates: ours.

    Raises:
        WireError: the fragment is malformed.
        web.HTTPException: 415 for another type, 428 without `If-Match`, 412 for an entity tag of another generation.
    """
    fragment = parse_fragment(await _read_fragment(request))
    _require_match(request, session)
    remote = session.peer.ice_generation.remote
    offered = IceCredentials(fragment.ice_ufrag, fragment.ice_pwd)
    if offered == remote:
        return web.Response(status=204)
    if offered.ufrag == remote.ufrag or offered.pwd == remote.pwd:
        # RFC 8445 section 9: a restart changes both, or checks of two generations could not be told apart.
        return problem(422, "unacceptable_fragment", "an ICE restart changes both ice-ufrag and ice-pwd")
    local = new_credentials()
    sessions.restart_ice(session, local=local, remote=offered)
    answer = IceFragment(local.ufrag, local.pwd, fragment.media, fragment.mid)
    return web.Response(
        status=200,
        body=serialize_fragment(answer, candidates).encode(),
        content_type=FRAGMENT_TYPE,
        headers={"ETag": entity_tag(session)},
    )


async def _read_fragment(request: web.Request) -> str:
    try:
        return await read_sdp(request, FRAGMENT_TYPE)
    except web.HTTPUnsupportedMediaType as error:
        error.headers["Accept-Patch"] = FRAGMENT_TYPE  # RFC 5789 section 2.2
        raise


def _require_match(request: web.Request, session: Session) -> None:
    """RFC 9110 section 13.1.1, RFC 6585 section 3. A restart says `*`: its client may have missed the last tag."""
    tags = request.if_match
    if not tags:
        raise web.HTTPPreconditionRequired(text="If-Match must name the ICE session, or be * for a restart")
    present = entity_tag(session).strip('"')
    if not any(tag.value == "*" or (tag.value == present and not tag.is_weak) for tag in tags):
        raise web.HTTPPreconditionFailed(text="If-Match names an ICE session that is over")
