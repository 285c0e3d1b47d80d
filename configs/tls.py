"""TLS for a program's own HTTP: a certificate and its key, from files.

Outside loopback every program speaks TLS, here or in a proxy in front of it (RFC 9325: TLS 1.2 at least).
"""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from configs.loading import ConfigError, Mistake, Section


class TlsFiles(Section):
    """A server's certificate.

    Attributes:
        certificate_file: PEM, the server's certificate first and then its chain.
        key_file: PEM, the private key without a passphrase; readable by the program alone.
    """

    certificate_file: Path
    key_file: Path

    def server_context(self) -> ssl.SSLContext:
        """A server's TLS settings with this certificate.

        Raises:
            ConfigError: a file cannot be read, or the two do not belong together.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            given = f"{self.certificate_file}, {self.key_file}"
            reason = error.strerror or str(error)
            raise ConfigError("tls", [Mistake("tls", given, f"a certificate and its key: {reason}")]) from error
        return context


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
