"""Configuration of one relay process."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from configs.loading import Section
from configs.tls import TlsFiles
from configs.turn import TurnServers
from relay.messages import Capacity, RelayRole

WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - told apart from an address that others can use
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
MAX_ANNOUNCED = 8  # each is a pair that every peer checks
Port = Annotated[int, Field(ge=0, le=65_535)]


def parse_announced(text: str) -> tuple[str, int | None]:
    """Read `192.0.2.1`, `192.0.2.1:8100`, `2001:db8::1` or `[2001:db8::1]:8100`.

    Returns:
        The address, and the port or None where the text has none.

    Raises:
        ValueError: it is none of these, or no address that a peer could send to.
    """
    host, port = text, ""
    if text.startswith("["):
        host, closing, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
        if not closing or not port:
            raise ValueError("an IPv6 address with a port is written [2001:db8::1]:8100")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    address = ip_address(host)
    if address.is_unspecified or address.is_multicast:
        raise ValueError("must be an address that others can send to")
    if not port:
        return str(address), None
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= 65_535):
        raise ValueError("the port must be a number from 1 to 65535")
    return str(address), int(port)


def _announced(text: str) -> str:
    parse_announced(text)
    return text


AnnouncedAddress = Annotated[str, Field(max_length=64), AfterValidator(_announced)]
FanOutKind = Literal["auto", "kernel", "reference"]


class HttpListen(Section):
    """Where WHIP, WHEP, health and metrics are served.

    Attributes:
        host: address to listen on; `::` is all addresses of IPv6 and of IPv4.
        port: TCP port; 0 takes a free one.
        tls: certificate and key to serve HTTPS with; without, plain HTTP for loopback or behind a proxy.
    """

    host: str = "127.0.0.1"
    port: Port = 8100
    tls: TlsFiles | None = None


class MediaListen(Section):
    """The one UDP port for media.

    Attributes:
        host: address to bind; `::` hears IPv6 and IPv4, `0.0.0.0` IPv4 alone.
        port: UDP port; 0 takes a free one.
        announced_addresses: what halls, publishers and child relays are told to send to, best first; needed when
            `host` is a wildcard. An address behind which a NAT forwards to this relay may carry the port of that NAT:
            `203.0.113.7:40000`, `[2001:db8::7]:40000`. Without a port the bound one is told. The bound address is told
            only if it stands here too: peers inside the NAT need it.
    """

    host: str = "127.0.0.1"
    port: Port = 0
    announced_addresses: Annotated[tuple[AnnouncedAddress, ...], Field(max_length=MAX_ANNOUNCED)] = ()

    @model_validator(mode="after")
    def _addresses_are_known(self) -> Self:
        bound = ip_address(self.host)
        if bound.is_unspecified and not self.announced_addresses:
            raise ValueError("announced_addresses must name this machine's address when host is a wildcard")
        hears_both = bound.version == 6 and bound.is_unspecified
        for text in self.announced_addresses:
            if not hears_both and ip_address(parse_announced(text)[0]).version != bound.version:
                raise ValueError(f"{text} is not of the IP version that host listens on; `host: '::'` hears both")
        return self

    def announced(self, bound_port: int) -> tuple[tuple[str, int], ...]:
        """Addresses and ports for ICE candidates, best first."""
        found = (parse_announced(text) for text in self.announced_addresses or (self.host,))
        return tuple((address, port or bound_port) for address, port in found)


class CoordinatorLink(Section):
    """How to reach the coordinator; `token_file` holds a token of role `relay`."""

    url: Annotated[str, Field(pattern=r"^https?://")]
    token_file: Path


class CapacityLimits(Section):
    """What the relay may send: its line in bit/s and its processor in packets/s."""

    bits_per_s: Annotated[int, Field(gt=0)] = 1_000_000_000
    packets_per_s: Annotated[int, Field(gt=0)] = 100_000

    def as_message(self) -> Capacity:
        """The same as the control protocol says it."""
        return Capacity(bits_per_s=self.bits_per_s, packets_per_s=self.packets_per_s)


class RelayConfig(Section):
    """One relay.

    Attributes:
        relay_id: stable name, unique in the conference service.
        role: `origin` takes publishers; `edge` takes feeds from parents.
        region: unit code of the province where it stands; empty for the centre.
        http: where it serves HTTP.
        media: its UDP port.
        public_url: where halls reach its HTTP; by default the address that it listens on.
        capacity: what it may send.
        coordinator: how to reach the coordinator; without one, the relay serves by `public_key_files` alone.
        public_key_files: Ed25519 public keys (PEM) whose tokens it accepts besides the coordinator's.
        publisher_bitrate_bps: what publishers are told that they may send; one of several layers half as much again.
        merge_parents: take each feed from both parents at once, so that the loss of one loses no packet; it doubles
            what this relay receives and one more subscriber's load on its backup parent.
        max_sessions: sessions of all kinds at once; more are answered 503.
        turn: TURN servers that publishers and halls are told of in `Link` headers (RFC 9725 section 4.6).
        hold_ms: so long sound and picture wait for each other at the most on their way to halls, to leave in one send;
            0 for never. A relay that other relays take a feed from does not wait with it.
        fanout: `auto` takes the compiled kernel, or the reference where that cannot run; the others insist.
        fanout_threads: threads that send; with 0 the kernel sends on the event loop. The reference has none.
    """

    program: Literal["relay"] = "relay"
    relay_id: Id
    role: RelayRole = "edge"
    region: Annotated[str, Field(max_length=64)] = ""
    http: HttpListen = HttpListen()
    media: MediaListen = MediaListen()
    public_url: str = ""
    capacity: CapacityLimits = CapacityLimits()
    coordinator: CoordinatorLink | None = None
    public_key_files: tuple[Path, ...] = ()
    publisher_bitrate_bps: Annotated[int, Field(ge=100_000, le=50_000_000)] = 2_500_000
    merge_parents: bool = False
    max_sessions: Annotated[int, Field(gt=0, le=20_000)] = 2_000
    turn: TurnServers | None = None
    hold_ms: Annotated[float, Field(ge=0, le=8)] = 5.0
    fanout: FanOutKind = "auto"
    fanout_threads: Annotated[int, Field(ge=0, le=64)] = 1

    @model_validator(mode="after")
    def _others_can_reach_it(self) -> Self:
        if self.coordinator is not None and not self.public_url and self.http.host in WILDCARDS:
            raise ValueError("public_url must say how halls reach this relay when http.host is a wildcard")
        return self

    @model_validator(mode="after")
    def _somebody_signs(self) -> Self:
        if self.coordinator is None and not self.public_key_files:
            raise ValueError("a relay needs a coordinator or public_key_files, or it could accept no token")
        return self
