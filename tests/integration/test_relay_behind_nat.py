"""A relay behind a real NAT: what it announces is what halls outside and inside reach."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.namespaces import ROUTER, needs_namespaces, network
from support.relays import Signer, relay_process
from support.rtc_client import programme, rtc_client

pytestmark = [pytest.mark.integration, needs_namespaces]

PUBLIC, PUBLIC_PORT, MEDIA_PORT = "203.0.113.7", 40_000, 8_100


async def test_halls_outside_and_inside_a_nat_reach_the_relay(tmp_path: Path) -> None:
    """Each plays by the address that it can reach: the NAT's with its port, the relay's own, or that of IPv6."""
    signer = Signer()
    with network("relay", "hall", "neighbour") as net:
        inside = net.address("relay")
        net.run(ROUTER, f"ip address add {PUBLIC}/32 dev hall")
        forward = f"iptables -t nat -A PREROUTING -i hall -d {PUBLIC}"
        net.run(ROUTER, f"{forward} -p udp --dport {PUBLIC_PORT} -j DNAT --to-destination {inside}:{MEDIA_PORT}")
        # What stands behind the NAT is reached through it alone.
        net.run(ROUTER, f"iptables -A FORWARD -i hall -d {inside} -m conntrack ! --ctstate DNAT -j DROP")
        announced = [f"{PUBLIC}:{PUBLIC_PORT}", inside, net.address_ipv6("relay")]
        media = {"host": "::", "port": MEDIA_PORT, "announced_addresses": announced}
        with net.inside("relay"):
            async with (
                relay_process(
                    tmp_path, signer, relay_id="origin", role="origin", settings={"media": media}, host=inside
                ) as relay,
                rtc_client(
                    relay.endpoint("whip"), signer.token("source", "publish"), publishes=True, host=inside
                ) as source,
                programme(source),
            ):
                token = signer.token("hall-1", "play")
                port = relay.base_url.rpartition(":")[2]
                net.run(ROUTER, f"{forward} -p tcp --dport 80 -j DNAT --to-destination {inside}:{port}")
                with net.inside("hall"):
                    url = relay.endpoint("whep").replace(f"{inside}:{port}", PUBLIC)
                    async with rtc_client(url, token, publishes=False, host=net.address("hall")) as outside:
                        await outside.received(100)
                        assert outside.relay_address == (PUBLIC, PUBLIC_PORT)
                    async with rtc_client(url, token, publishes=False, host=net.address_ipv6("hall")) as by_ipv6:
                        await by_ipv6.received(100)
                        assert by_ipv6.relay_address == (net.address_ipv6("relay"), MEDIA_PORT)
                with net.inside("neighbour"):
                    url = relay.endpoint("whep")
                    async with rtc_client(url, token, publishes=False, host=net.address("neighbour")) as beside:
                        await beside.received(100)
                        assert beside.relay_address == (inside, MEDIA_PORT)
