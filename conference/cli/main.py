"""The command `diemcau`: one place for everything that a person starts, asks or orders.

Each topic is a module of its own; a command imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from conference.cli import (
    conferences,
    configuration,
    delegates,
    demo,
    halls,
    journal,
    orders,
    plan,
    privacy,
    programs,
    proposals,
    readiness,
    report,
    reports,
    simulate,
    swarm,
    tokens,
    units,
)
from conference.cli.refusal import RefusingGroup

app = typer.Typer(
    cls=RefusingGroup,
    name="diemcau",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Điểm Cầu: nationwide conferences of halls (hội nghị trực tuyến nhiều điểm cầu).\n\n"
    "One central hall speaks; a tree of relays (trạm chuyển tiếp) carries it to every hall (điểm cầu); the coordinator "
    "(máy chủ điều phối) knows which hall sees the picture and who is present.\n\n"
    "Begin with: diemcau demo. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.",
)

app.command("demo")(demo.demo)
app.command("up")(programs.up)
app.command("coordinator")(programs.coordinator)
app.command("gateway")(programs.gateway)
app.command("relay")(programs.relay)
app.command("hall")(programs.hall)
app.command("publish")(programs.publish)
app.command("virtual")(programs.virtual)
app.command("swarm")(swarm.swarm)
app.command("plan")(plan.plan)
app.command("simulate")(simulate.simulate)
app.add_typer(units.app, name="units")
halls.app.command("propose")(proposals.propose_halls)
halls.app.command("show")(proposals.show_hall)
halls.app.command("history")(proposals.hall_history)
halls.app.command("withdraw")(proposals.withdraw_hall)
halls.app.command("move")(orders.move_halls)
halls.app.command("pin")(orders.pin_hall)
halls.app.command("unpin")(orders.unpin_hall)
halls.app.command("exclude")(orders.exclude_relays)
app.add_typer(halls.app, name="halls")
app.add_typer(proposals.app, name="proposals")
app.add_typer(orders.relays, name="relays")
app.add_typer(orders.joins, name="joins")
app.command("orders")(orders.standing_orders)
app.command("operations")(orders.operations)
app.add_typer(delegates.app, name="delegates")
app.add_typer(privacy.app, name="privacy")
conferences.app.command("rehearse")(readiness.draft_rehearsal)
conferences.app.command("rehearsal-report")(readiness.rehearsal_report)
conferences.app.command("signoff")(readiness.sign_off)
app.add_typer(conferences.app, name="conference")
app.command("readiness")(readiness.readiness)
app.command("live")(reports.live)
app.command("attendance")(reports.attendance)
app.add_typer(report.app, name="report")
app.command("token")(tokens.token)
app.add_typer(journal.app, name="journal")
app.add_typer(configuration.app, name="config")


@app.command("version")
def version(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document for programs.")] = False
) -> None:
    """Print the version (phiên bản) of the product and of Python."""
    import platform  # noqa: PLC0415 - `--help` does not need it
    from importlib.metadata import PackageNotFoundError  # noqa: PLC0415 - the same
    from importlib.metadata import version as installed  # noqa: PLC0415 - the same

    from conference.cli.output import print_json  # noqa: PLC0415 - the same

    try:
        product = installed("diemcau")
    except PackageNotFoundError:  # run from a checkout that is not installed
        product = "unknown"
    if as_json:
        print_json({"version": product, "python": platform.python_version()})
    else:
        typer.echo(f"Điểm Cầu (diemcau) {product}, Python {platform.python_version()}")


def main() -> None:
    """Run the command line; the entry point `diemcau`."""
    app()


if __name__ == "__main__":
    main()
