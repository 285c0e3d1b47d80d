"""Where a program's HTTP listens: one address, or with `::` every address of IPv6 and of IPv4."""

from __future__ import annotations

import socket
import ssl

from aiohttp import web

BACKLOG = 4096  # all halls of a country may connect within seconds


def http_site(runner: web.BaseRunner, host: str, port: int, *, tls: ssl.SSLContext | None) -> web.BaseSite:
    """A site that is ready to be started.

    Args:
        runner: of the application.
        host: address or name to listen on.
        port: TCP port; 0 takes a free one.
        tls: serves HTTPS with it; None serves plain HTTP.

    Raises:
        OSError: the wildcard address cannot be bound; other addresses are bound when the site starts.
    """
    if host != "::":
        return web.TCPSite(runner, host, port, backlog=BACKLOG, ssl_context=tls)
    # An event loop's own servers keep an IPv6 socket to IPv6. Two sockets with port 0 would get two ports.
    listener = socket.create_server(("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    return web.SockSite(runner, listener, backlog=BACKLOG, ssl_context=tls)
