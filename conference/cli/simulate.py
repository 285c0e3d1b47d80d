"""`diemcau simulate`: go through a whole day under virtual time, with the coordinator's own code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conference.cli.connection import AsJson
from conference.cli.output import print_json, print_table
from conference.cli.refusal import FAILED

if TYPE_CHECKING:
    from conference.simulation.paper import PaperReport
    from conference.simulation.report import Report
    from conference.simulation.running import Cost


def simulate(
    scenario: Annotated[Path, typer.Argument(help="YAML with `program: simulate`; see configs/scenarios/.")],
    svg: Annotated[Path | None, typer.Option(help="Draw the day (vẽ diễn biến) into this SVG file.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the file's.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Go through a day (mô phỏng một ngày họp) under virtual time: storm of joins, lost relays, cut lines, slow store.

    The coordinator is the real one; relays' machines, lines, halls' screens and the store are modelled. Nothing is
    started or changed anywhere. The same scenario and seed give the same report. Ends with 1 where something happened
    that must never happen, such as a seat beyond a relay's hard limit.

    Example: diemcau simulate configs/scenarios/2022-07.yaml --svg day.svg
    """
    from conference.program_files import ScenarioFile, load_program  # noqa: PLC0415 - pydantic is slow to import
    from conference.simulation.paper import PaperReport, plan_on_paper  # noqa: PLC0415 - numpy is slow to import
    from conference.simulation.running import run_scenario  # noqa: PLC0415 - the same
    from monitoring.log_config import configure_logging  # noqa: PLC0415 - the same

    day = load_program(scenario, ScenarioFile)
    if seed is not None:
        day = day.model_copy(update={"seed": seed})
    configure_logging("simulate", level="critical")  # a simulated relay that is lost is no news to anybody
    report, cost = plan_on_paper(day, draws=svg is not None) if day.on_paper else run_scenario(day)
    if svg is not None:
        svg.write_text(_draw(report), encoding="utf-8")
    if as_json:
        print_json({"report": report, "cost": cost})
    elif isinstance(report, PaperReport):
        _explain_paper(report, cost)
    else:
        _explain(report, cost)
    if svg is not None and not as_json:
        typer.echo(f"Đã ghi (written): {svg}")
    if report.broken:
        raise typer.Exit(FAILED)


def _draw(report: Report | PaperReport) -> str:
    from conference.simulation.paper import PaperReport  # noqa: PLC0415 - numpy is slow to import

    if isinstance(report, PaperReport):
        return report.tree_svg
    from conference.simulation.drawing import draw_day  # noqa: PLC0415 - only where it is asked for

    return draw_day(report)


def _explain(report: Report, cost: Cost) -> None:
    from conference.simulation.words import broken, row, sentences  # noqa: PLC0415 - `--help` should not pay for it

    typer.echo(f"Mô phỏng (simulation): {report.title}" if report.title else "Mô phỏng (simulation)")
    for sentence in sentences(report):
        typer.echo(f"  • {sentence}")
    columns = ["Sự việc\nhappening", "Mất hình\nlost picture", "Sang trạm khác\nre-homed"]
    columns += [f"Quá {report.dark_s:g} s\nlonger", "Chưa có lại\nstill gone", "Bao lâu\nfor how long"]
    print_table("Hậu quả (what followed)", columns, [row(each) for each in report.consequences])
    _explain_cost(cost)
    for sentence in broken(report):
        typer.echo(f"Lỗi (error): {sentence}", err=True)


def _explain_paper(report: PaperReport, cost: Cost) -> None:
    typer.echo(f"Trên giấy (on paper): {report.title}" if report.title else "Trên giấy (on paper)")
    for sentence in report.sentences:
        typer.echo(f"  • {sentence}")
    _explain_cost(cost)


def _explain_cost(cost: Cost) -> None:
    typer.echo(
        f"Mô phỏng mất (took) {cost.wall_s:g} s, bộ xử lý (processor) {cost.cpu_s:g} s, bộ nhớ (memory) "
        f"{cost.rss_mb:,} MB."
    )
