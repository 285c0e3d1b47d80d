"""A thin line to a hall: a network namespace behind a token bucket filter of the kernel (`tc tbf`)."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any


class ThinLine:
    """The line's two ends.

    Attributes:
        relay_address: where a relay listens, in the namespace of the tests.
        hall_address: the hall's.
        namespace: where the hall is.
    """

    def __init__(self, namespace: str, interface: str, network: str) -> None:
        self.relay_address = f"{network}1"
        self.hall_address = f"{network}2"
        self.namespace = namespace
        self._interface = interface

    def statistics(self) -> dict[str, Any]:
        """What the filter counted: `packets`, `drops`, `backlog` and so on."""
        shown = _run("tc", "-s", "-j", "qdisc", "show", "dev", self._interface)
        found: dict[str, Any] = next(each for each in json.loads(shown) if each["kind"] == "tbf")
        return found

    def in_hall(self, *command: str) -> list[str]:
        """A command to run at the hall's end."""
        return ["ip", "netns", "exec", self.namespace, *command]


@contextlib.contextmanager
def thin_line(*, rate: str = "6mbit", limit: str = "64kb") -> Iterator[ThinLine]:
    """Make a namespace, a pair of interfaces and a filter on the way to the hall; they go afterwards."""
    namespace = f"dc-hall-{os.getpid()}"
    relay_end, hall_end = f"dcr{os.getpid()}", f"dch{os.getpid()}"
    # A network that is nobody's, another one for each process that tests at the same time.
    network = f"10.{213 + os.getpid() // 256 % 32}.{os.getpid() % 256}."
    _run("ip", "netns", "add", namespace)
    try:
        _run("ip", "link", "add", relay_end, "type", "veth", "peer", "name", hall_end, "netns", namespace)
        _run("ip", "address", "add", f"{network}1/24", "dev", relay_end)
        _run("ip", "link", "set", relay_end, "up")
        _run("ip", "-n", namespace, "address", "add", f"{network}2/24", "dev", hall_end)
        _run("ip", "-n", namespace, "link", "set", hall_end, "up")
        _run("ip", "-n", namespace, "link", "set", "lo", "up")
        _run("tc", "qdisc", "add", "dev", relay_end, "root", "tbf", "rate", rate, "burst", "5kb", "limit", limit)
        yield ThinLine(namespace, relay_end, network)
    finally:
        # The hall's end goes with its namespace, and the other end with it, but not at once.
        subprocess.run(["ip", "link", "delete", relay_end], check=False, capture_output=True)
        _run("ip", "netns", "delete", namespace)


def _run(*command: str) -> str:
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, f"{' '.join(command)}: {finished.stderr}"
    return finished.stdout
