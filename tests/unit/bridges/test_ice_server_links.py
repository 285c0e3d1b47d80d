"""TURN servers in the Link headers of a WHIP answer."""

from __future__ import annotations

from bridges.messages import IceServer
from bridges.whip_client import MAX_LINKS, parse_ice_servers

URL = "turns:turn.example.vn:443?transport=tcp"
GOOD = f'<{URL}>; rel="ice-server"; username="1:h"; credential="c2VjcmV0="; credential-type="password"'
SERVER = IceServer(urls=[URL], username="1:h", credential="c2VjcmV0=")


def test_servers_are_read_with_their_credentials() -> None:
    """In any order of parameters, and with the padding of base64."""
    turned = f'<{URL}>;credential="c2VjcmV0=";username="1:h";rel="ice-server"'
    assert parse_ice_servers([GOOD, turned]) == [SERVER, SERVER]


def test_other_links_are_passed_over() -> None:
    """Other relations, other schemes, links without credentials, and what is no link at all; and no more than a few."""
    others = [
        '</a/b/whep/x/state>; rel="urn:diemcau:whep:ext:state"',
        GOOD.replace("ice-server", "next"),
        GOOD.replace("turns:", "https:"),
        GOOD.replace('username="1:h"; ', ""),
        '<stun:stun.example.vn>; rel="ice-server"',
        "",
        "<",
        '"; rel="ice-server"',
    ]
    assert parse_ice_servers(others) == []
    assert len(parse_ice_servers([GOOD] * 100)) == MAX_LINKS
