"""A line that carries 1,280 octets a packet and no more: IPv6's minimum, less than any tunnel in use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.namespaces import Network, needs_namespaces, network
from support.relays import Signer, relay_process
from support.rtc_client import programme, rtc_client

pytestmark = [pytest.mark.integration, needs_namespaces]

LINE_OCTETS = 1_280
FULL_WORDS = 296  # of four octets: with VP8's descriptor and the RTP header 1,198 octets
LONG_WORDS = 325  # 1,314 octets: more than the line carries


def fragments(net: Network) -> int:
    """How many IP fragments have come to the hall."""
    ipv4 = net.run("hall", "cat /proc/net/snmp").split("\nIp: ")[1].split()
    names = net.run("hall", "head -1 /proc/net/snmp").removeprefix("Ip: ").split()
    (ipv6,) = re.findall(r"Ip6ReasmReqds\s+(\d+)", net.run("hall", "cat /proc/net/snmp6"))
    return int(ipv4[names.index("ReasmReqds")]) + int(ipv6)


@pytest.mark.parametrize("fanout", ["kernel", "reference"])
@pytest.mark.parametrize("version", [4, 6])
async def test_a_session_comes_up_over_a_thin_line(tmp_path: Path, version: int, fanout: str) -> None:
    """DTLS and RTP of 1,200 octets pass whole; longer RTP arrives too, in IP fragments, once the path is known."""
    signer = Signer()
    with network("relay", "hall") as net:
        net.set_mtu("hall", LINE_OCTETS)
        host = net.address("relay") if version == 4 else net.address_ipv6("relay")
        at_hall = net.address("hall") if version == 4 else net.address_ipv6("hall")
        settings = {"media": {"host": host, "port": 0}, "fanout": fanout}
        with net.inside("relay"):
            async with (
                relay_process(
                    tmp_path, signer, relay_id="o", role="origin", settings=settings, host=net.address("relay")
                ) as relay,
                rtc_client(
                    relay.endpoint("whip"), signer.token("source", "publish"), publishes=True, host=host
                ) as source,
                programme(source) as shown,
            ):
                shown.video.payload_words = FULL_WORDS
                with net.inside("hall"):
                    async with rtc_client(
                        relay.endpoint("whep"), signer.token("hall-1", "play"), publishes=False, host=at_hall
                    ) as hall:
                        await hall.received(200)
                        longest = max(len(packet) for _, _, packet in hall.packets)
                        assert 1_190 < longest <= 1_200
                        assert fragments(net) == 0
                        shown.video.payload_words = LONG_WORDS
                        while max(len(packet) for _, _, packet in hall.packets[-50:]) <= LINE_OCTETS:
                            await hall.received(len(hall.packets) + 50)
                        assert fragments(net) > 0
