"""A relay's place in the tree, as it is told to it: its parents, best first, and the feeds to take from them. Pure."""

from __future__ import annotations

import msgspec

from conference.access import KeyRing
from conference.lifecycle import JOINABLE
from conference.state import State
from relay.messages import Parent, Pull, Topology


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A topology before its tokens are signed, so that two can be compared.

    Attributes:
        relay_id: the relay whose place it is.
        parents: best first; empty for an origin.
        feeds: (conference, feed) of everything that halls may join now.
    """

    relay_id: str
    parents: tuple[Parent, ...]
    feeds: tuple[tuple[str, str], ...]

    def sign(self, keys: KeyRing, *, exp: int) -> Topology:
        """The message, with a link token for each feed; `exp` in seconds since the epoch."""
        return Topology(
            parents=list(self.parents),
            pulls=[
                Pull(
                    conference=conference,
                    feed=feed,
                    token=keys.issue_relay_token(
                        sub=self.relay_id, conference=conference, feeds=[feed], action="play", exp=exp, link=True
                    ),
                )
                for conference, feed in self.feeds
            ],
        )


def topology_of(state: State, relay_id: str) -> Place:
    """The place of a relay; without live parents it pulls nothing."""
    relay = state.relays.get(relay_id)
    parents = tuple(
        Parent(relay_id=parent_id, base_url=state.relays[parent_id].base_url)
        for parent_id in (relay.load.parents if relay is not None and relay.live else ())
        if parent_id in state.relays and state.relays[parent_id].live
    )
    feeds: tuple[tuple[str, str], ...] = ()
    if parents:
        feeds = tuple(
            sorted(
                (conference.conference_id, feed)
                for conference in state.conferences.values()
                if conference.phase in JOINABLE
                for feed in conference.feeds
            )
        )
    return Place(relay_id=relay_id, parents=parents, feeds=feeds)
