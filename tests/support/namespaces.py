"""A small internet of network namespaces: hosts behind one router, with addresses of both IP versions.

Host number n has `10.77.n.2` and `fd77:n::2`; the router has `10.77.n.1` and `fd77:n::1` there. Only root can make one.
A socket, and a process, belongs to the namespace in which it was made: `Network.inside` says which that is.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

_CLONE_NEWNET = 0x4000_0000
_FOLDER = Path("/run/netns")
ROUTER = "router"


WITHOUT = "DIEMCAU_WITHOUT_NAMESPACES"
needs_namespaces = pytest.mark.usefixtures("namespaces")


def require_namespaces() -> None:
    """Fail where none can be made: who cannot have them says so, and nothing is left out in silence."""
    if os.environ.get(WITHOUT) == "1":
        pytest.skip(f"{WITHOUT}=1")
    missing = [tool for tool in ("ip", "tc", "iptables", "unshare") if shutil.which(tool) is None]
    assert not missing, f"{missing} are not installed; {WITHOUT}=1 leaves the tests out that need them"
    made = subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True, text=True)
    assert made.returncode == 0, f"{made.stderr.strip()}; {WITHOUT}=1 leaves the tests out that need root"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a program runs: `LOCAL`, or a host of a network.

    Attributes:
        address: its IPv4 address.
        prefix: the words before a command that is to run there.
    """

    address: str
    prefix: tuple[str, ...]


LOCAL = Machine(address="127.0.0.1", prefix=())


class Network:
    """Hosts and their router; made by `network`."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._prefix = f"dc-{secrets.token_hex(3)}-"
        self._hosts = {name: number for number, name in enumerate(hosts, start=1)}

    def address(self, host: str) -> str:
        """IPv4 address of a host."""
        return f"10.77.{self._hosts[host]}.2"

    def address_ipv6(self, host: str) -> str:
        """IPv6 address of a host."""
        return f"fd77:{self._hosts[host]}::2"

    def run(self, host: str, command: str) -> str:
        """Run a command in a host, for example `iptables -A OUTPUT -p udp -j DROP`; gives its output."""
        return _run(["ip", "netns", "exec", self._prefix + host, *command.split()])

    @contextlib.contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """Make sockets and processes of this thread belong to a host."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _enter(_FOLDER / (self._prefix + host))
            try:
                yield
            finally:
                _set_namespace(here)
        finally:
            os.close(here)

    def machine(self, host: str) -> Machine:
        """A host as the place of programs."""
        return Machine(address=self.address(host), prefix=("ip", "netns", "exec", self._prefix + host))

    def cut(self, senders: Iterable[str], receivers: Iterable[str]) -> None:
        """Lose everything that these hosts send to those, one way, until `heal`."""
        for sender in senders:
            for receiver in receivers:
                rule = f"-s {self.address(sender)} -d {self.address(receiver)}"
                self.run(ROUTER, f"iptables -A FORWARD {rule} -j DROP")

    def heal(self) -> None:
        """Lose nothing any more."""
        self.run(ROUTER, "iptables -F FORWARD")

    def add_line(self, host: str, number: int) -> str:
        """Give a host a second line, without a route; returns its IPv4 address."""
        self._connect(host, number, f"line{number}")
        return f"10.77.{number}.2"

    def set_mtu(self, host: str, octets: int) -> None:
        """Make a host's line thin at both ends."""
        self.run(host, f"ip link set line mtu {octets}")
        self.run(ROUTER, f"ip link set {host} mtu {octets}")

    def build(self) -> None:
        """Make all namespaces."""
        for name in (ROUTER, *self._hosts):
            _run(["ip", "netns", "add", self._prefix + name])
            self.run(name, "ip link set lo up")
        with self.inside(ROUTER):
            for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                Path("/proc/sys/net", setting).write_text("1")
        for name, number in self._hosts.items():
            self._connect(name, number, "line")
            self.run(name, f"ip route add default via 10.77.{number}.1")
            self.run(name, f"ip -6 route add default via fd77:{number}::1")

    def remove(self) -> None:
        """Remove all namespaces; their links go with them."""
        for name in (ROUTER, *self._hosts):
            subprocess.run(["ip", "netns", "delete", self._prefix + name], check=False, capture_output=True)

    def _connect(self, host: str, number: int, device: str) -> None:
        at_router = host if device == "line" else f"{host}{number}"
        own, router = self._prefix + host, self._prefix + ROUTER
        _run(["ip", "link", "add", device, "netns", own, "type", "veth", "peer", at_router, "netns", router])
        for name, end, link in ((host, 2, device), (ROUTER, 1, at_router)):
            self.run(name, f"ip address add 10.77.{number}.{end}/24 dev {link}")
            self.run(name, f"ip address add fd77:{number}::{end}/64 dev {link} nodad")
            self.run(name, f"ip link set {link} up")


@contextlib.contextmanager
def network(*hosts: str) -> Iterator[Network]:
    """A network of these hosts, removed afterwards."""
    made = Network(hosts)
    try:
        made.build()
        yield made
    finally:
        made.remove()


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def _enter(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        _set_namespace(handle)
    finally:
        os.close(handle)


def _set_namespace(handle: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
