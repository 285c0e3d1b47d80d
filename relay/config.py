"""Configuration of one relay process."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configs.loading import Section
from configs.tls import TlsFiles
from relay.messages import Capacity, RelayRole

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Port = Annotated[int, Field(ge=0, le=65_535)]
FanOutKind = Literal["auto", "kernel", "reference"]


class HttpListen(Section):
    """Where WHIP, WHEP, health and metrics are served.

    Attributes:
        host: address to listen on.
        port: TCP port; 0 takes a free one.
        tls: certificate and key to serve HTTPS with; without, plain HTTP for loopback or behind a proxy.
    """

    host: str = "127.0.0.1"
    port: Port = 8100
    tls: TlsFiles | None = None


class MediaListen(Section):
    """The one UDP port for media.

    `announced_addresses` are the IP addresses that halls are told to send to; needed when `host` is a wildcard.
    """

    host: str = "127.0.0.1"
    port: Port = 0
    announced_addresses: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _addresses_are_known(self) -> Self:
        for address in (self.host, *self.announced_addresses):
            ip_address(address)
        if ip_address(self.host).is_unspecified and not self.announced_addresses:
            raise ValueError("announced_addresses must name this machine's address when host is a wildcard")
        return self

    def candidates(self) -> tuple[str, ...]:
        """Addresses for ICE host candidates."""
        return self.announced_addresses or (self.host,)


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
        publisher_bitrate_bps: what publishers are told that they may send.
        merge_parents: take each feed from both parents at once, so that the loss of one loses no packet; it doubles
            what this relay receives and one more subscriber's load on its backup parent.
        max_sessions: sessions of all kinds at once; more are answered 503.
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
    fanout: FanOutKind = "auto"
    fanout_threads: Annotated[int, Field(ge=0, le=64)] = 1

    @model_validator(mode="after")
    def _others_can_reach_it(self) -> Self:
        if self.coordinator is not None and not self.public_url and self.http.host in {"0.0.0.0", "::"}:  # noqa: S104 (it is refused)
            raise ValueError("public_url must say how halls reach this relay when http.host is a wildcard")
        return self

    @model_validator(mode="after")
    def _somebody_signs(self) -> Self:
        if self.coordinator is None and not self.public_key_files:
            raise ValueError("a relay needs a coordinator or public_key_files, or it could accept no token")
        return self
