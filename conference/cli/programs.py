"""`diemcau coordinator|gateway|relay|hall|publish|virtual|up`: the programs that run until they are told to stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from conference.cli.connection import DEFAULT_SERVER, DEFAULT_TOKEN_FILE, AsJson, Server, ask, read_token
from conference.cli.output import print_json
from conference.cli.readiness import check_hall
from conference.cli.refusal import FAILED, fail

if TYPE_CHECKING:
    import asyncio

    from bridges.messages import HeadcountReport
    from bridges.publish import PublishSummary

T = TypeVar("T")

MAX_LINK_BYTES = 16 * 1024
PUBLISH_WORDS = {
    "connecting": "Đang nối với trạm (connecting to the relay)…",
    "live": "Đang phát (publishing); Ctrl-C để dừng (to stop).",
    "lost": "Mất trạm, đang nối lại (the relay is lost, connecting again)…",
    "partly": "Mất một trạm gốc, vẫn đang phát tới trạm kia (one origin is lost, the other is supplied); đang nối lại "
    "(connecting again).",
    "token_expired": "Mã của nguồn phát đã hết hạn, trạm sẽ từ chối (the publisher's token has expired, the relay will "
    "refuse it). Lấy mã mới (get a new one): diemcau conference publish.",
    "conference_ended": "Hội nghị đã kết thúc (the conference has ended).",
    "ended": "Đã dừng phát (stopped publishing).",
}
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=0,
        max=65_535,
        help="Serve /metrics, /healthz and /readyz on this port of 127.0.0.1; 0 takes a free one and prints it.",
    ),
]
Config = Annotated[Path, typer.Option("--config", help="YAML file; see configs/ for complete examples.")]


def run_until_told(work: Callable[[asyncio.Event], Awaitable[T]]) -> T:
    """Run a program's coroutine with an event that SIGTERM and Ctrl-C set.

    Args:
        work: takes the event, and returns in order soon after it is set.

    Returns:
        What `work` returned.
    """
    import asyncio  # noqa: PLC0415 - `--help` should not pay for it
    import signal  # noqa: PLC0415 - the same

    async def run() -> T:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        return await work(stop)

    return asyncio.run(run())


def _begin(program: str, *, level: str = "info") -> None:
    """Set up what every program of ours has: its logs, and an end when its supervisor dies."""
    from conference.supervision import follow_parent  # noqa: PLC0415 - `--help` should not pay for it
    from monitoring.log_config import configure_logging  # noqa: PLC0415 - the same

    follow_parent()
    configure_logging(program, level=level)


def _tell_metrics(port: int) -> None:
    typer.echo(f"Số đo (metrics): http://127.0.0.1:{port}/metrics", err=True)


async def _serving(
    port: int | None, serve: Callable[[int], AbstractAsyncContextManager[int]], work: Callable[[], Awaitable[T]]
) -> T:
    """Do the work, with metrics beside it if a port was asked for."""
    async with AsyncExitStack() as stack:
        if port is not None:
            _tell_metrics(await stack.enter_async_context(serve(port)))
        return await work()


def up(
    state_dir: Annotated[Path, typer.Option(help="Journal, keys, tokens and logs; made if missing.")] = Path("var"),
    host: Annotated[
        str, typer.Option(help="This machine's address, as halls reach it; loopback unless given.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the coordinator.")] = 8080,
    relay_port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the relay (TCP and UDP).")] = 8100,
) -> None:
    """Run everything on one machine: the coordinator (máy chủ điều phối) and one relay (trạm chuyển tiếp).

    No server to install. Leaves an organiser's token in the state directory, which the other commands find there.
    Ctrl-C stops everything in order.

    Example: diemcau up
    """
    if host in {"0.0.0.0", "::", "*"}:  # noqa: S104 - it is refused
        raise typer.BadParameter("must be this machine's own address, as halls reach it", param_hint="--host")
    if port == relay_port:
        raise typer.BadParameter("must differ from --port", param_hint="--relay-port")
    from conference.up import UpOptions, run_up  # noqa: PLC0415 - `--help` should not pay for it

    run_up(UpOptions(state_dir=state_dir, host=host, port=port, relay_port=relay_port))


def coordinator(config: Config) -> None:
    """Run the coordinator (máy chủ điều phối): journal, API and pages.

    Example: diemcau coordinator --config configs/coordinator.yaml
    """
    from conference.program_files import CoordinatorFile, load_program  # noqa: PLC0415 - pydantic is slow to import

    loaded = load_program(config, CoordinatorFile)
    from conference.app import run_coordinator  # noqa: PLC0415 - only once the file is known to be good

    _begin("coordinator")
    run_coordinator(loaded)


def gateway(config: Config) -> None:
    """Run a gateway (cổng điểm cầu): answers halls beside the coordinators; any number of them, with Redis.

    Example: diemcau gateway --config configs/gateway.yaml
    """
    from conference.program_files import GatewayFile, load_program  # noqa: PLC0415 - pydantic is slow to import

    loaded = load_program(config, GatewayFile)
    from conference.front.app import run_gateway  # noqa: PLC0415 - only once the file is known to be good

    _begin("gateway")
    run_gateway(loaded)


def relay(config: Config) -> None:
    """Run one media relay (trạm chuyển tiếp): WHIP in, WHEP out.

    Example: diemcau relay --config configs/relay-edge.yaml
    """
    from conference.program_files import RelayFile, load_program  # noqa: PLC0415 - pydantic is slow to import

    loaded = load_program(config, RelayFile)
    from relay.app import run_relay  # noqa: PLC0415 - only once the file is known to be good

    _begin("relay")
    run_relay(loaded)


def _headcount(
    summoned: int | None, present: int | None, excused: int, unexcused: int, exempt: int
) -> HeadcountReport | None:
    if summoned is None and present is None:
        return None
    if summoned is None or present is None:
        raise typer.BadParameter("give --summoned and --present together", param_hint="--summoned")
    from bridges.messages import HeadcountReport  # noqa: PLC0415 - `--help` should not pay for it

    return HeadcountReport(summoned=summoned, present=present, excused=excused, unexcused=unexcused, exempt=exempt)


def hall(
    link: Annotated[str, typer.Argument(help="The hall's link (đường dẫn của điểm cầu).")] = "",
    link_file: Annotated[
        Path | None, typer.Option(help="File that holds the link, so that no other user sees it in `ps`.")
    ] = None,
    summoned: Annotated[int | None, typer.Option(min=0, help="Headcount: summoned (triệu tập).")] = None,
    present: Annotated[int | None, typer.Option(min=0, help="Headcount: present (có mặt).")] = None,
    excused: Annotated[int, typer.Option(min=0, help="Headcount: excused (vắng có lý do).")] = 0,
    unexcused: Annotated[int, typer.Option(min=0, help="Headcount: unexcused (vắng không lý do).")] = 0,
    exempt: Annotated[int, typer.Option(min=0, help="Headcount: exempt (miễn sinh hoạt).")] = 0,
    metrics_port: MetricsPort = None,
    *,
    precheck: Annotated[
        bool,
        typer.Option(
            "--precheck", help="Only check this hall before the day (kiểm tra trước): exit code 1 if it is not ready."
        ),
    ] = False,
    heard: Annotated[
        bool | None, typer.Option("--heard/--not-heard", help="With --precheck: whether people hear the speakers.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Be a hall (điểm cầu) without a screen: join, decode, follow the relays; at the end print a JSON summary.

    Example: diemcau hall "http://127.0.0.1:8080/hall#token=…" --summoned 80 --present 76 --excused 4
    """
    if bool(link) == (link_file is not None):
        raise typer.BadParameter("give LINK or --link-file", param_hint="LINK")
    if link_file is not None:
        link = _read_link(link_file)
    if precheck:
        check_hall(link, heard=heard, as_json=as_json)
        return
    headcount = _headcount(summoned, present, excused, unexcused, exempt)
    from bridges.agent import HallAgent  # noqa: PLC0415 - the media libraries are slow to import
    from bridges.program_metrics import serve_hall  # noqa: PLC0415 - the same

    _begin("hall")
    typer.echo("Đang vào hội nghị (joining); Ctrl-C để dừng (to stop).", err=True)
    agent = HallAgent(link, headcount=headcount)
    print_json(
        run_until_told(
            lambda stop: _serving(metrics_port, lambda port: serve_hall(agent, port), lambda: agent.run(stop))
        )
    )


def _read_link(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_LINK_BYTES + 1)
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}")
    text = raw.decode("utf-8", errors="replace").strip()
    if len(raw) > MAX_LINK_BYTES or not text.startswith(("http://", "https://")):
        fail(f"{file} does not hold a hall's link")
    return text


def publish(
    source: Annotated[str, typer.Argument(help="`test` (chương trình thử), a file, or a device: v4l2:/dev/video0.")],
    conference: Annotated[str, typer.Option(help="Publish into this conference; the server says where.")] = "",
    feed: Annotated[str, typer.Option(help="Feed of that conference.")] = "program",
    whip: Annotated[
        list[str] | None,
        typer.Option(
            help="Or the WHIP address itself, with the publisher's token file; once more for a second origin."
        ),
    ] = None,
    server: Server = DEFAULT_SERVER,
    token_file: Annotated[
        Path | None,
        typer.Option(
            envvar="DIEMCAU_TOKEN_FILE",
            help="With --conference your own token (as for every command), with --whip the publisher's.",
        ),
    ] = None,
    *,
    loop: Annotated[bool, typer.Option("--loop", help="Begin a file again at its end.")] = False,
    simulcast: Annotated[
        bool, typer.Option("--simulcast", help="Send three sizes of the picture: poor lines get a smaller one.")
    ] = False,
    metrics_port: MetricsPort = None,
    as_json: AsJson = False,
) -> None:
    """Publish a source (nguồn phát) into a conference over WHIP (RFC 9725), until it ends or Ctrl-C.

    With two origins (trạm gốc) both are sent the same packets; the loss of one is not seen in any hall below both.

    Example: diemcau publish test --conference hn-2026
    """
    if bool(conference) == bool(whip):
        raise typer.BadParameter("give --conference or --whip", param_hint="--conference")
    if whip and token_file is None:
        raise typer.BadParameter("--whip needs the publisher's token in a file", param_hint="--token-file")
    if whip and token_file is not None:
        addresses, token = whip, read_token(token_file)
    else:
        from conference.api_client import whip_urls_of  # noqa: PLC0415 - not needed for `--help`

        answer = ask(server, token_file or DEFAULT_TOKEN_FILE, lambda api: api.authorise_publisher(conference, feed))
        addresses, token = whip_urls_of(answer), str(answer.get("token", ""))
    from bridges.program_metrics import serve_publisher  # noqa: PLC0415 - the media libraries are slow to import
    from bridges.publish import PublishCounts, open_source  # noqa: PLC0415 - the same
    from bridges.publish import publish as publish_source  # noqa: PLC0415 - the same

    _begin("publish")
    told: deque[str] = deque(maxlen=2)

    def tell(state: str) -> None:
        # A relay that stays away is tried again and again: one line each would bury what matters.
        if state not in told:
            typer.echo(PUBLISH_WORDS.get(state, state), err=True)
        told.append(state)

    counts = PublishCounts()

    def publishing(stop: asyncio.Event) -> Awaitable[PublishSummary]:
        opened = open_source(source, loop=loop)
        return publish_source(opened, addresses, token, stop=stop, on_state=tell, counts=counts, simulcast=simulcast)

    summary = run_until_told(
        lambda stop: _serving(metrics_port, lambda port: serve_publisher(counts, port), lambda: publishing(stop))
    )
    if as_json:
        print_json(summary)


def virtual(config: Config, metrics_port: MetricsPort = None) -> None:
    """Run virtual relays and virtual halls (trạm ảo, điểm cầu ảo): they join and are counted, without media.

    Everything that they touch is labelled virtual; no figure about media contains them. Prints a JSON summary last.

    Example: diemcau virtual --config virtual.yaml
    """
    from conference.program_files import VirtualFile, load_program  # noqa: PLC0415 - pydantic is slow to import

    loaded = load_program(config, VirtualFile)
    from conference.virtual_country import run_virtual  # noqa: PLC0415 - only once the file is known to be good

    _begin("virtual")
    summary = run_until_told(
        lambda stop: run_virtual(loaded, stop, metrics_port=metrics_port, on_metrics=_tell_metrics)
    )
    print_json(summary)
    if summary.joined == 0 and summary.halls > 0:
        typer.echo("Lỗi (error): no virtual hall could join", err=True)
        raise typer.Exit(FAILED)
