"""`diemcau plan`: the whole conference on paper before the day, with the code that places halls on the day."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conference.cli.connection import DEFAULT_SERVER, DEFAULT_TOKEN_FILE, AsJson, Server, TokenFile, ask
from conference.cli.output import print_json, print_table
from conference.cli.refusal import fail
from conference.cli.rows import read_table

if TYPE_CHECKING:
    from bridges.halls import Hall
    from conference.planning.figures import Planned
    from conference.planning.inputs import MadeUpRelays, PlanInput
    from conference.policy import Policy

GBIT = 1_000_000_000


def plan(
    *,
    halls: Annotated[int, typer.Option(min=1, max=200_000, help="Halls of a synthetic country (điểm cầu).")] = 11_661,
    relays: Annotated[
        int, typer.Option(min=0, max=2_000, help="Relays to make up (trạm); 0 for as many as are needed.")
    ] = 0,
    origins: Annotated[
        int, typer.Option(min=0, max=32, help="Origins among them (trạm gốc); 0 for three where there are enough.")
    ] = 0,
    relay_gbits: Annotated[float, typer.Option(min=0.001, max=1_000, help="Line of a made-up relay, Gbit/s.")] = 1.0,
    relay_packets: Annotated[
        int, typer.Option(min=1, max=1_000_000_000, help="Packets a second of a made-up relay.")
    ] = 200_000,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal countries.")] = 2025,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Plan for this file in place of a synthetic country: YAML (`program: plan`, see configs/plan.yaml), "
            "or the registry's CSV of halls, as `diemcau halls export` writes it."
        ),
    ] = None,
    registered: Annotated[
        bool, typer.Option("--registered", help="Plan for the coordinator's real halls and live relays.")
    ] = False,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    config: Annotated[
        Path | None, typer.Option(help="The coordinator's configuration, for its `placement` (giới hạn).")
    ] = None,
    merge_parents: Annotated[
        bool, typer.Option("--merge-parents", help="Relays take every feed from both parents at once.")
    ] = False,
    replans: Annotated[
        int, typer.Option(min=0, max=2_000, help="Relays to lose, one at a time, and plan anew without.")
    ] = 100,
    svg: Annotated[Path | None, typer.Option(help="Draw the tree (vẽ cây trạm) into this SVG file.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the whole plan, hall by hall, as JSON into this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Plan halls and relays (lập kế hoạch điểm cầu và trạm) before the day; nothing is changed anywhere.

    Says how many servers and Gbit/s are needed, which halls have no backup, and what the loss of each single relay
    would do: every loss is walked. The same input gives the same plan.

    Example: diemcau plan --halls 40000 --relays 500 --seed 1 --svg tree.svg
    """
    if file is not None and registered:
        raise typer.BadParameter("give either --file or --registered", param_hint="--registered")
    import gc  # noqa: PLC0415 - `--help` should not pay for it
    import time  # noqa: PLC0415 - the same

    from conference.planning.figures import plan_country  # noqa: PLC0415 - numpy is slow to import
    from conference.planning.inputs import MadeUpRelays  # noqa: PLC0415 - the same
    from relay.messages import Capacity  # noqa: PLC0415 - the same

    capacity = Capacity(bits_per_s=int(relay_gbits * GBIT), packets_per_s=relay_packets)
    made_up = MadeUpRelays(count=relays, origins=origins, capacity=capacity)
    policy = _policy_of(config)
    if registered:
        plan_input = _registered(server, token_file, policy, merge_parents=merge_parents)
    elif file is not None:
        plan_input = _from_file(file, policy, made_up, merge_parents=merge_parents)
    else:
        plan_input = _synthetic(halls, seed, policy, made_up, merge_parents=merge_parents)
    gc.freeze()  # the country stays as it is: no collection need look through it again while losses are tried
    planned = plan_country(plan_input, time.perf_counter, replans=replans)
    written = []
    if svg is not None:
        from conference.planning.drawing import draw_tree  # noqa: PLC0415 - only where it is asked for

        svg.write_text(draw_tree(planned), encoding="utf-8")
        written.append(svg)
    if out is not None:
        from conference.planning.figures import document_of  # noqa: PLC0415 - the same

        out.write_bytes(document_of(planned))
        written.append(out)
    if as_json:
        print_json(planned.figures)
    else:
        _explain(planned, written)


def _policy_of(config: Path | None) -> Policy:
    from conference.config import PlacementConfig  # noqa: PLC0415 - pydantic is slow to import

    if config is None:
        return PlacementConfig().as_policy()
    from conference.program_files import CoordinatorFile, load_program  # noqa: PLC0415 - the same

    return load_program(config, CoordinatorFile).placement.as_policy()


def _synthetic(halls: int, seed: int, policy: Policy, made_up: MadeUpRelays, *, merge_parents: bool) -> PlanInput:
    from bridges.synthetic import synthetic_halls  # noqa: PLC0415 - `--help` should not pay for it
    from bridges.vietnam import load_vietnam_units  # noqa: PLC0415 - the same
    from conference.planning.inputs import make_input, regions_of  # noqa: PLC0415 - the same

    units = load_vietnam_units()
    found = regions_of(synthetic_halls(units, halls, seed), units)
    spots = made_up.spots(found, policy)
    return make_input(found, spots, policy, units, merge_parents=merge_parents, is_synthetic=True)


def _from_file(file: Path, policy: Policy, made_up: MadeUpRelays, *, merge_parents: bool) -> PlanInput:
    from bridges.vietnam import load_vietnam_units  # noqa: PLC0415 - `--help` should not pay for it
    from conference.planning.inputs import halls_of_regions, make_input, regions_of  # noqa: PLC0415 - the same

    units = load_vietnam_units()
    if file.suffix.lower() == ".csv":
        found = regions_of(_read_halls(file), units)
        spots = made_up.spots(found, policy)
        return make_input(found, spots, policy, units, merge_parents=merge_parents, is_synthetic=True)
    from conference.program_files import PlanFile, load_program  # noqa: PLC0415 - pydantic is slow to import

    planned = load_program(file, PlanFile)
    policy = planned.placement.as_policy()
    if planned.halls_csv is not None:
        found = regions_of(_read_halls(file.parent / planned.halls_csv), units)
    else:
        found = halls_of_regions(planned.halls)
    return make_input(
        found,
        planned.spots() or made_up.spots(found, policy),
        policy,
        units,
        merge_parents=planned.merge_parents or merge_parents,
        is_synthetic=not planned.relays,
    )


def _read_halls(file: Path) -> list[Hall]:
    from bridges.errors import ImportFailedError  # noqa: PLC0415 - `--help` should not pay for it
    from bridges.importing import HallUnits, parse_halls  # noqa: PLC0415 - the same
    from bridges.vietnam import load_vietnam_units  # noqa: PLC0415 - the same

    try:
        return parse_halls(read_table(file), HallUnits({unit.code: unit for unit in load_vietnam_units()}))
    except ImportFailedError as error:
        first = error.errors[0]
        fail(f"{file}: dòng (row) {first.row}, cột (column) {first.column}: {first.reason_vi} / {first.reason_en}")


def _registered(server: str, token_file: Path, policy: Policy, *, merge_parents: bool) -> PlanInput:
    import msgspec  # noqa: PLC0415 - `--help` should not pay for it

    from bridges.halls import Hall  # noqa: PLC0415 - the same
    from bridges.units import Unit  # noqa: PLC0415 - the same
    from conference.api_client import ApiClient, Document  # noqa: PLC0415 - the same
    from conference.orders import Orders  # noqa: PLC0415 - the same
    from conference.planning.inputs import make_input, regions_of, registered_spots  # noqa: PLC0415 - the same

    async def read(api: ApiClient) -> tuple[list[Document], list[Document], list[Document], Document]:
        return await api.units(), await api.halls(), await api.relays(), await api.orders()

    units_read, halls_read, relays_read, orders_read = ask(server, token_file, read)
    try:
        units = msgspec.convert(units_read, list[Unit])
        halls = msgspec.convert(halls_read, list[Hall])
        orders = msgspec.convert(orders_read, Orders)
    except msgspec.ValidationError as error:
        fail(f"{server} does not speak this API: {error}")
    real = regions_of((hall for hall in halls if not hall.virtual), units)
    spots = registered_spots(relays_read)
    return make_input(real, spots, policy, units, merge_parents=merge_parents, orders=orders)


def _explain(planned: Planned, written: list[Path]) -> None:
    from conference.planning.words import describe_loss, sentences  # noqa: PLC0415 - `--help` should not pay for it

    typer.echo("Kế hoạch điểm cầu và trạm (plan of halls and relays)")
    for sentence in sentences(planned):
        typer.echo(f"  • {sentence}")
    rows = [
        [
            f"{region.name} ({region.code})" if region.code else region.name,
            f"{region.halls:,}",
            f"{region.away:,}" if region.away else "",
            region.edges,
            f"{region.seats_charged:,} / {region.seats_soft:,}",
            f"{region.bits_per_s / GBIT:,.1f}",
        ]
        for region in planned.regions
    ]
    columns = ["Vùng\nregion", "Điểm cầu\nhalls", "Xem nơi khác\naway", "Trạm\nrelays", "Chỗ / giới hạn mềm\nseats"]
    print_table("Theo vùng (by region)", [*columns, "Gbit/s"], rows)
    worst = [[loss.relays[0], describe_loss(loss)] for loss in planned.figures.worst]
    print_table("Sự cố một trạm nặng nhất (worst single losses)", ["Trạm\nrelay", "Hậu quả\nwhat it does"], worst)
    for path in written:
        typer.echo(f"Đã ghi (written): {path}")
