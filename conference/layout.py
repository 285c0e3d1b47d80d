"""The configuration that `up` and `demo` generate for their programs: plain documents, written as YAML.

The programs read these files like any other; nothing here is a second way to configure them.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import yaml

from relay.messages import RelayRole

Document = dict[str, object]


def coordinator_document(host: str, port: int, state_dir: Path) -> Document:
    """Configuration of a coordinator whose state lives in `state_dir`."""
    return {"program": "coordinator", "host": host, "port": port, "state_dir": str(state_dir)}


def relay_document(
    relay_id: str,
    role: RelayRole,
    region: str,
    *,
    host: str,
    http_port: int,
    media_port: int,
    coordinator_url: str,
    token_file: Path,
    bits_per_s: int = 1_000_000_000,
    packets_per_s: int = 100_000,
) -> Document:
    """Configuration of one real relay."""
    return {
        "program": "relay",
        "relay_id": relay_id,
        "role": role,
        "region": region,
        "http": {"host": host, "port": http_port},
        "media": {"host": host, "port": media_port},
        "capacity": {"bits_per_s": bits_per_s, "packets_per_s": packets_per_s},
        "coordinator": {"url": coordinator_url, "token_file": str(token_file)},
    }


def write_document(path: Path, document: Mapping[str, object]) -> None:
    """Write a document as a YAML file, readable by its owner only."""
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(dict(document), allow_unicode=True, sort_keys=False), encoding="utf-8")


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Find ports that are free now for TCP and UDP, all different.

    They are held together and let go together; another program could take one before ours does, in which case ours
    says so and ends.
    """
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            tcp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            tcp.bind((host, 0))
            port = int(tcp.getsockname()[1])
            udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                udp.bind((host, port))
            except OSError:
                continue
            ports.append(port)
        return ports
