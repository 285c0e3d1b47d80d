"""A connection to the Redis that is master now: found anew when it fails, and only used when it keeps what it is given.

Shell. Commands are sent again until an answer came or `timeout_s` has passed; so they must be such that a repetition
does no harm (`conference.journal.redis.scripts`). An answer to a durable command counts once the server has synced it
to its append-only file and as many replicas as configured have it:

- with `appendfsync always` a server answers after the sync;
- otherwise, from Redis 7.2 on, `WAITAOF` waits for it;
- a server with neither is refused, unless the configuration allows it; so is one that evicts keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Coroutine, Mapping
from typing import Any

import msgspec
from redis import exceptions
from redis.asyncio import Connection, Sentinel, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from conference.errors import JournalError, UnsafeStoreError
from conference.journal.redis.address import RedisAddress
from conference.journal.redis.scripts import Command

CONNECT_TIMEOUT_S = 2.0
# While no master answers: often enough that a failover is noticed at once, seldom enough to cost nothing.
RETRY_PAUSE_S = 0.1
# A replica that is there confirms within a round trip; one that is not is asked for again after so long.
CONFIRM_MS = 1_000
_WAITAOF_SINCE = (7, 2)

# What another master, or a moment, makes good.
_PASSING = (
    exceptions.ReadOnlyError,
    exceptions.BusyLoadingError,
    exceptions.MasterDownError,
    exceptions.MovedError,
    exceptions.AskError,
    exceptions.TryAgainError,
    exceptions.ClusterDownError,
)
_PASSING_CODES = ("MISCONF", "NOREPLICAS", "UNBLOCKED", "BUSY", "MASTERDOWN", "LOADING")


class Durability(msgspec.Struct, frozen=True, kw_only=True):
    """What an acknowledgement promises.

    Attributes:
        replicas: how many replicas must have confirmed.
        require_aof: refuse a server that does not sync to an append-only file before it answers.
    """

    replicas: int = 0
    require_aof: bool = True


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """How both ends prove who they are.

    Attributes:
        password: for the servers; "" where none is asked for.
        sentinel_password: for the Sentinels.
        ca_file: certificates that sign the servers', for TLS; "" for those that the system trusts.
    """

    password: str = ""
    sentinel_password: str = ""
    ca_file: str = ""


class _NotYetError(Exception):
    """An attempt failed and may succeed later."""


class Link:
    """At most one connection to the master, used by one command at a time.

    Args:
        address: where to look for it.
        key: the journal's hash, which has the epoch; it names the node of a Cluster as well.
        trust: passwords and certificates.
        durability: what an acknowledgement promises.
        timeout_s: how long a command may take, attempts and pauses included.
    """

    def __init__(
        self, address: RedisAddress, key: str, *, trust: Trust, durability: Durability, timeout_s: float
    ) -> None:
        self._address = address
        self._key = key
        self._trust = trust
        self._durability = durability
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._confirmations: list[Command] = []

    async def ask(self, command: Command, *, durable: bool = False, at_least: int = 0) -> Any:
        """The answer to one command.

        Args:
            command: what to do.
            durable: answer only once what it wrote is safe; see the module.
            at_least: an epoch that the master knows. A server that knows only older ones was master once and has not
                learnt yet that it is no more: what it says is not taken, and the master is looked for anew.

        Raises:
            UnsafeStoreError: the server does not keep what it acknowledges.
            JournalError: no answer came in time, or the server refused.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        reason = "no answer in time"
        async with self._lock:
            while True:
                try:
                    return await self._in_time(
                        self._attempt(command, durable=durable, at_least=at_least), deadline - loop.time()
                    )
                except _NotYetError as error:
                    reason = str(error)
                except TimeoutError:
                    pass
                except BaseException:
                    await self._drop()
                    raise
                await self._drop()
                if loop.time() + RETRY_PAUSE_S >= deadline:
                    raise JournalError(f"{self._address}: {reason}")
                await asyncio.sleep(RETRY_PAUSE_S)

    async def _in_time(self, work: Coroutine[Any, Any, Any], timeout_s: float) -> Any:
        """The result of an attempt, which ends with its connection when time is over or the caller is cancelled.

        The attempt is a task of its own because redis-py may swallow a cancellation and go on (`asyncio.wait_for` does
        so before Python 3.12): a coordinator that is told to stop must stop.

        Raises:
            TimeoutError: it is not done in time.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task}, timeout=max(timeout_s, 0))
            if task.done():
                return task.result()
            raise TimeoutError
        finally:
            if not task.done():
                task.cancel()
                await self._drop()
                task.add_done_callback(_forget)

    async def close(self) -> None:
        """Close the connection."""
        async with self._lock:
            await self._drop(wait=True)

    async def _drop(self, *, wait: bool = False) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(exceptions.RedisError, OSError):
                await connection.disconnect(nowait=not wait)

    async def _attempt(self, command: Command, *, durable: bool, at_least: int) -> Any:
        try:
            if self._connection is None:
                await self._connect()
            confirmations = self._confirmations if durable else []
            known: Command = ("HGET", self._key, "epoch")
            epoch, answer, *confirmed = await self._exchange(known, command, *confirmations)
        except (exceptions.AuthenticationError, exceptions.AuthorizationError) as error:
            raise JournalError(f"{self._address}: the server refuses user or password: {error}") from error
        except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
            raise _NotYetError(str(error)) from error
        except exceptions.RedisError as error:
            if isinstance(error, _PASSING) or str(error).startswith(_PASSING_CODES):
                raise _NotYetError(str(error)) from error
            raise JournalError(f"{self._address}: {error}") from error
        if int(epoch or 0) < at_least:
            raise _NotYetError(f"the server knows no epoch after {int(epoch or 0)}; it was master once")
        for reply in confirmed:
            self._check_confirmed(reply)
        return answer

    def _check_confirmed(self, reply: object) -> None:
        """Check the answer of WAIT (a number of replicas) or of WAITAOF (a list: here, and of replicas)."""
        if isinstance(reply, list):
            if not reply or reply[0] != 1:
                raise _NotYetError("the server has not synced its append-only file")
        elif not isinstance(reply, int) or reply < self._durability.replicas:
            raise _NotYetError(f"{reply} of {self._durability.replicas} replicas confirmed")

    async def _exchange(self, *commands: Command) -> list[Any]:
        """Send commands at once and read all their answers; raises the first that is an error."""
        connection = self._connection
        if connection is None:
            raise _NotYetError("not connected")
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        answers: list[Any] = []
        failure: exceptions.ResponseError | None = None
        for _ in commands:
            try:
                answers.append(await connection.read_response())
            except exceptions.ResponseError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return answers

    async def _connect(self) -> None:
        host, port = await self._locate()
        self._connection = self._make_connection(host, port, timeout_s=self._timeout_s)
        await self._connection.connect()
        role = (await self._exchange(("ROLE",)))[0]
        if role[0] != b"master":
            raise _NotYetError(f"{host}:{port} is no master")
        synced = await self._check_durable()
        self._confirmations = list(synced)
        if self._durability.replicas:
            self._confirmations.append(("WAIT", self._durability.replicas, CONFIRM_MS))

    def _options(self) -> dict[str, Any]:
        """What all connections share; no library of its own tries again behind our back."""
        options: dict[str, Any] = {
            "username": self._address.user or None,
            "password": self._trust.password or None,
            "socket_timeout": self._timeout_s,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        if self._address.tls:
            options["ssl_cert_reqs"] = "required"
            options["ssl_ca_certs"] = self._trust.ca_file or None
            options["ssl_min_version"] = ssl.TLSVersion.TLSv1_2
        return options

    async def _locate(self) -> tuple[str, int]:
        """Host and port of the master."""
        nodes = self._address.nodes
        if self._address.kind == "single":
            return nodes[0]
        if self._address.kind == "sentinel":
            own = {"username": None, "password": self._trust.sentinel_password or None, "ssl": self._address.tls}
            options = {**self._options(), **own, "socket_timeout": CONNECT_TIMEOUT_S}
            sentinel = Sentinel(nodes, sentinel_kwargs=options)
            try:
                host, port = await sentinel.discover_master(self._address.service)
                return str(host), int(port)
            finally:
                for each in sentinel.sentinels:
                    await each.aclose()
        return await self._locate_in_cluster()

    async def _locate_in_cluster(self) -> tuple[str, int]:
        """The node that serves the journal's slot: any node says so itself, by answering or by MOVED."""
        reason = ""
        for host, port in self._address.nodes:
            node = self._make_connection(host, port, timeout_s=CONNECT_TIMEOUT_S)
            try:
                await node.connect()
                await node.send_command("EXISTS", self._key)
                await node.read_response()
            except exceptions.MovedError as moved:
                return moved.host or host, int(moved.port)
            except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
                reason = str(error)
            else:
                return host, port
            finally:
                await node.disconnect(nowait=True)
        raise _NotYetError(f"no node of the Cluster answers: {reason}")

    def _make_connection(self, host: str, port: int, *, timeout_s: float) -> Connection:
        kind = SSLConnection if self._address.tls else Connection
        options = {**self._options(), "socket_timeout": timeout_s}
        return kind(host=host, port=port, db=self._address.database, **options)

    async def _check_durable(self) -> list[Command]:
        """What must follow a command so that its answer means that it is synced.

        Raises:
            UnsafeStoreError: nothing would.
        """
        facts = _facts(await self._exchange(("INFO", "server"), ("INFO", "persistence"), ("INFO", "memory")))
        if facts.get("maxmemory_policy", "").startswith("allkeys"):
            return self._refuse("it evicts keys where memory is short: set `maxmemory-policy noeviction`")
        if facts.get("aof_enabled") != "1":
            return self._refuse("it has no append-only file: set `appendonly yes`")
        if await self._syncs_always():
            return []
        if _version(facts) >= _WAITAOF_SINCE:
            return [("WAITAOF", 1, 0, CONFIRM_MS)]
        return self._refuse("it answers before it syncs: set `appendfsync always`, or use Redis 7.2 or newer")

    async def _syncs_always(self) -> bool:
        try:
            answer: list[bytes] = (await self._exchange(("CONFIG", "GET", "appendfsync")))[0]
        except exceptions.NoPermissionError:
            return False  # it must show by WAITAOF
        return answer[1:] == [b"always"]

    def _refuse(self, reason: str) -> list[Command]:
        if self._durability.require_aof:
            raise UnsafeStoreError(
                f"{self._address} may lose what it acknowledges; {reason} (or allow it: require_aof)"
            )
        return []


def _forget(task: asyncio.Task[Any]) -> None:
    """Look at the end of an attempt that was given up, which nobody else will."""
    if not task.cancelled():
        task.exception()


def _facts(answers: list[bytes]) -> dict[str, str]:
    """The lines of INFO by name."""
    return dict(line.split(":", 1) for line in b"\n".join(answers).decode().splitlines() if ":" in line)


def _version(facts: Mapping[str, str]) -> tuple[int, ...]:
    return tuple(int(part) for part in facts.get("redis_version", "0").split(".") if part.isdigit())
