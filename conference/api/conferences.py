"""`/api/v1/conferences`: their life and their publishers."""

from __future__ import annotations

from typing import Annotated

import msgspec

from bridges.units import TreeName
from conference.api.routing import ORGANISER, STAFF, Call, Route
from conference.commands import AuthorisePublisher, ChangePhase, CreateConference
from conference.lifecycle import ConferenceKind, Phase
from conference.live import ConferenceView, view_conference
from conference.lookup import conference_of
from conference.registry.registering import MAX_AT_MS


class ConferenceDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conference to draft.

    Attributes:
        feeds: what it carries, the main programme first.
        reporting: the tree in which its halls report.
        kind: `rehearsal` for a dress rehearsal.
        rehearsal_of: the conference that a rehearsal is of; "" otherwise.
        starts_at_ms: when it is to begin, milliseconds since the epoch; 0 where that is not known.
    """

    conference_id: str
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    feeds: Annotated[list[str], msgspec.Meta(min_length=1, max_length=16)] = msgspec.field(
        default_factory=lambda: ["program"]
    )
    reporting: TreeName = "territory"
    kind: ConferenceKind = "conference"
    rehearsal_of: str = ""
    starts_at_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_AT_MS)] = 0


class PhaseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The phase to go to."""

    phase: Phase


class ConferenceList(msgspec.Struct, frozen=True, kw_only=True):
    """All conferences, oldest first."""

    conferences: list[ConferenceView]


class PublisherRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The feed to publish."""

    feed: str = "program"


class PublisherAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where and with what a publisher publishes (WHIP, RFC 9725).

    Attributes:
        whip_url: at the first origin.
        whip_urls: at every origin that is to be sent the same packets, the first one included.
        token: for all of them.
        expires_at_ms: of the token.
    """

    whip_url: str
    whip_urls: list[str]
    token: str
    expires_at_ms: int


async def create_conference(call: Call) -> ConferenceView:
    """Draft a conference."""
    body = call.body(ConferenceDraft)
    command = CreateConference(**msgspec.structs.asdict(body))
    await call.services.coordinator.execute(command, call.claims.actor)
    return _view(call, body.conference_id)


async def list_conferences(call: Call) -> ConferenceList:
    """All conferences, with the totals of what the caller reaches."""
    state, unit = call.services.coordinator.state, call.reach.unit
    return ConferenceList(conferences=[view_conference(state, each, unit) for each in state.conferences.values()])


async def read_conference(call: Call) -> ConferenceView:
    """One conference."""
    return _view(call, call.path("conference_id"))


async def change_phase(call: Call) -> ConferenceView:
    """Move a conference along its life."""
    conference_id = call.path("conference_id")
    command = ChangePhase(conference_id=conference_id, phase=call.body(PhaseRequest).phase)
    await call.services.coordinator.execute(command, call.claims.actor)
    return _view(call, conference_id)


async def authorise_publisher(call: Call) -> PublisherAnswer:
    """Give a publisher its origins and a token for one feed."""
    conference_id, feed = call.path("conference_id"), call.body(PublisherRequest).feed
    coordinator = call.services.coordinator
    await coordinator.execute(AuthorisePublisher(conference_id=conference_id, feed=feed), call.claims.actor)
    conference = conference_of(coordinator.state, conference_id)
    origins = [conference.publishers[feed], *conference.backup_origins[feed]]
    urls = [f"{coordinator.state.relays[origin].base_url}/{conference_id}/{feed}/whip" for origin in origins]
    expires_at_s = coordinator.now_ms() // 1000 + call.services.config.tokens.publisher_s
    token = call.services.keys.issue_relay_token(
        sub=f"publisher-{feed}", conference=conference_id, feeds=[feed], action="publish", exp=expires_at_s
    )
    return PublisherAnswer(whip_url=urls[0], whip_urls=urls, token=token, expires_at_ms=expires_at_s * 1000)


def _view(call: Call, conference_id: str) -> ConferenceView:
    state = call.services.coordinator.state
    return view_conference(state, conference_of(state, conference_id), call.reach.unit)


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/conferences",
        handler=create_conference,
        summary="Draft a conference",
        tag="conferences",
        roles=ORGANISER,
        request=ConferenceDraft,
        response=ConferenceView,
        status=201,
        errors=(404, 409, 503),
    ),
    Route(
        method="GET",
        path="/api/v1/conferences",
        handler=list_conferences,
        summary="All conferences, each with the totals of what the caller reaches",
        tag="conferences",
        roles=STAFF,
        scope="reach",
        response=ConferenceList,
        errors=(404, 503),
    ),
    Route(
        method="GET",
        path="/api/v1/conferences/{conference_id}",
        handler=read_conference,
        summary="One conference with the totals of what the caller reaches",
        tag="conferences",
        roles=STAFF,
        scope="reach",
        response=ConferenceView,
        errors=(404, 503),
    ),
    Route(
        method="POST",
        path="/api/v1/conferences/{conference_id}/phase",
        handler=change_phase,
        summary="Move a conference along its life",
        tag="conferences",
        roles=ORGANISER,
        request=PhaseRequest,
        response=ConferenceView,
        errors=(404, 409, 503),
    ),
    Route(
        method="POST",
        path="/api/v1/conferences/{conference_id}/publishers",
        handler=authorise_publisher,
        summary="Authorise a publisher of a feed (WHIP)",
        tag="conferences",
        roles=ORGANISER,
        request=PublisherRequest,
        response=PublisherAnswer,
        errors=(404, 409, 503),
    ),
)
