"""Fuzz DTLS: no datagram raises, and no datagram without the keys ends a session that is connected.

The first byte chooses whom it reaches: a server or a client in its handshake, or a connected server. The rest is
datagrams, each behind its length in two bytes.

Run `PYTHONPATH=. python tests/fuzz/fuzz_dtls.py tests/fuzz/corpus/dtls -atheris_runs=20000`; new inputs land in the
corpus folder. `test_fuzz_messages.py` runs the committed corpus.
"""

from __future__ import annotations

from instrumenting import fuzz, instrumented

with instrumented(__name__, "relay"):
    from relay.core.dtls import MTU_BYTES, Certificate, DtlsContext, DtlsSession, DtlsState
    from relay.core.srtp import SrtpProfile

NOW = 1_790_000_000.0
MAX_DATAGRAMS = 8
CONTEXT = DtlsContext(Certificate.generate(NOW), list(SrtpProfile))


def new_session(*, is_server: bool) -> DtlsSession:
    """One end; both ends of a test are the same relay."""
    return DtlsSession(CONTEXT, is_server=is_server, remote_fingerprint=("sha-256", CONTEXT.certificate.fingerprint))


def connect(server: DtlsSession, client: DtlsSession) -> None:
    """Finish the handshake."""
    client.start()
    while datagrams := [
        *((server, each) for each in client.datagrams_to_send()),
        *((client, each) for each in server.datagrams_to_send()),
    ]:
        for receiver, datagram in datagrams:
            receiver.handle_datagram(datagram)
    assert server.state is client.state is DtlsState.CONNECTED


def split(data: bytes) -> list[bytes]:
    """The datagrams of an input."""
    found: list[bytes] = []
    while len(data) > 2 and len(found) < MAX_DATAGRAMS:
        size = int.from_bytes(data[:2], "big")
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return found


def hear(session: DtlsSession, datagrams: list[bytes]) -> None:
    """Give a session datagrams and take its answers."""
    for datagram in datagrams:
        session.handle_datagram(datagram)
        session.handle_datagram(memoryview(datagram))
        assert all(len(answer) <= MTU_BYTES for answer in session.datagrams_to_send())
        session.handle_timer(NOW)
        session.next_deadline(NOW)
        assert (session.state is DtlsState.FAILED) == (session.failure is not None)


def disturb(datagrams: list[bytes]) -> None:
    """Give datagrams to a connected server: it stays connected, keeps its keys, and hears its peer's goodbye."""
    server, client = new_session(is_server=True), new_session(is_server=False)
    connect(server, client)
    keys = server.export_keys()
    hear(server, datagrams)
    assert server.export_keys() == keys  # which a session that is not connected refuses
    client.close()
    for datagram in client.datagrams_to_send():
        server.handle_datagram(datagram)
    assert server.state is DtlsState.CLOSED


def fuzz_one(data: bytes) -> None:
    """Let one session hear the datagrams."""
    mode, datagrams = data[:1], split(data[1:])
    if mode == b"k":
        disturb(datagrams)
        return
    session = new_session(is_server=mode != b"c")
    if mode == b"c":
        session.start()
    hear(session, datagrams)
    session.close()


if __name__ == "__main__":
    fuzz(fuzz_one)
