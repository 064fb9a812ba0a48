"""``hecaton claims``: where the published claims are reached, over a space of assumptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.options import AsJson, MachineOptions, PlotFile
from hecaton.terminal.output import Output
from hecaton.terminal.projection_options import GlobalBatch, SequenceLength
from hecaton.terminal.subcommand import subcommand
from hecaton.terminal.values import parse_assignments

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chiplet.claims.results import ClaimStudy
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from chiplet.claims.results import ClaimStudy
    from hecaton.results.projection_objects import ClaimFiles
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((ClaimStudy, ClaimFiles))


@subcommand(
    app,
    examples=(
        "hecaton claims",
        "hecaton claims --plot claims.pdf --json",
        "hecaton claims --hold package=standard --hold 'lane rate=16 GT/s'",
    ),
    json_object=_json_object,
)
def claims(
    *,
    hold: Annotated[
        list[str] | None,
        typer.Option(
            "--hold",
            metavar="NAME=VALUE",
            help="Hold an assumption at one of its values, as in --hold overlap=both; repeatable.",
        ),
    ] = None,
    global_batch: GlobalBatch = None,
    sequence_length: SequenceLength = None,
    plot: PlotFile = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Evaluate the published claims over every combination of a stated space of assumptions, and say where they are
    reached.

    The publication does not tell the settings behind its figures. The result has a row for each combination: speed and
    energy of Hecaton over Megatron tensor parallelism on a flat ring for both published pairs, whether they reach the
    published ones, and whether they compare like for like. What does not fit is a row with the reason. The summary has
    the share of the space that reaches each figure, the nearest row, and what it needs. Without --config
    the machine starts from the preset package; it cannot set what the assumptions set.
    """
    from chiplet.claims.assumptions import ASSUMPTIONS, held
    from chiplet.claims.study import ClaimWork
    from hecaton.plots.claims import plot_claims
    from hecaton.plots.figure import check_plot

    with Output(as_json) as out:
        if plot is not None:
            check_plot(plot)
        values = {name: str(value) for name, value in parse_assignments("--hold", hold).items()}
        work = ClaimWork(
            machine.load(out, "package"),
            assumptions=held(ASSUMPTIONS, values),
            global_batch=global_batch,
            sequence_length=sequence_length,
        )
        with out.progress("points", work.points) as advance:
            study = work.study(advance)
        data: dict[str, Any] = {**study.model_dump(), "files": []}
        if plot is not None:
            plot_claims(study, plot)
            data["files"] = [str(plot)]
        out.result(data, _tables(study, data["files"]))


def _tables(study: ClaimStudy, files: list[str]) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import columns

    space = [
        {
            "assumption": one.name,
            "values": ", ".join(choice.value for choice in one.values),
            "meaning": one.meaning,
        }
        for one in study.assumptions
    ]
    reach = [
        {
            "model": verdict.claim.model,
            "dies": f"{verdict.claim.dies} ({verdict.claim.dies_status})",
            "aim": one.aim,
            "published": f"{verdict.claim.speedup}x, 1/{verdict.claim.energy_ratio}",
            "reached": one.reached,
            "of": one.rows,
            "share": f"{one.share:.1%}",
            "like for like": one.like_for_like_reached,
            "of these": one.like_for_like_rows,
            "their share": f"{one.like_for_like_share:.1%}",
        }
        for verdict in study.summary
        for one in verdict.reach
    ]
    lengths = " and ".join(dict.fromkeys(str(verdict.sequence_length) for verdict in study.summary))
    title = (
        f"{len(study.rows):,} combinations of assumptions, {study.global_batch} sequences of {lengths} tokens a step; "
        "sources are in --json"
    )
    unfit = sum(any(pair.reason for pair in row.pairs) for row in study.rows)
    parts: list[RenderableType] = [
        columns(space, list(space[0]), title=title),
        columns(reach, list(reach[0]), title="Where the published figures are reached, of what fits"),
        *(f"{verdict.text}\n" for verdict in study.summary),
        f"All four figures at once: reached by {study.reached:,} combinations.",
        f"Combinations in which a method does not fit: {unfit:,} (--json has the reasons).",
    ]
    parts += [f"Written: {path}" for path in files]
    return Group(*parts)
