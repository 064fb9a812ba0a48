"""``hecaton compare``: all methods for one model on the same machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import typer

from hecaton.terminal.options import AsJson, MachineOptions, PlotFile
from hecaton.terminal.output import Output
from hecaton.terminal.projection_options import (
    MOST_SQUARE_MESH,
    MethodSwitches,
    OptimizerName,
    StepOptions,
    switches_by_method,
)
from hecaton.terminal.subcommand import subcommand
from hecaton.terminal.values import parse_assignments

if TYPE_CHECKING:
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from chiplet.studies.results import Comparison
    from hecaton.results.projection_objects import PictureFiles
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((Comparison,), {"--plot": (PictureFiles,)})


@subcommand(
    app,
    examples=(
        "hecaton compare --model llama3.1-405b --dies 1024",
        "hecaton compare --model llama3.1-405b --dies 1024 --plot comparison.pdf",
        "hecaton compare --model llama2-70b --dies 256 --switch overlap=false",
        "hecaton compare --model llama2-7b --mesh 8x8 --switch hecaton.collective=chain --json",
    ),
    json_object=_json_object,
)
def compare(
    *,
    step: StepOptions,
    switch: MethodSwitches = None,
    optimizer: OptimizerName = "adam",
    plot: PlotFile = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Compare all distribution methods for a model on the same machine, and show the switches of each.

    What Hecaton gains over flat rings comes first where both are like for like: the same overlap, recomputation and
    sums, and inputs of the backward pass gathered again by both. Without --config the machine starts from the
    preset package.
    """
    from rich.console import Group

    from chiplet.schedule.buffers import Optimizer
    from chiplet.studies.compare import compare as compare_methods
    from hecaton.terminal.comparison import comparison_tables

    with Output(as_json) as out:
        if plot is not None:
            from hecaton.plots.figure import check_plot

            check_plot(plot)
        request = step.request(machine.load(out, "package"), optimizer=cast(Optimizer, optimizer))
        comparison = compare_methods(request, switches_by_method(parse_assignments("--switch", switch)))
        data = comparison.model_dump()
        if plot is not None:
            from hecaton.plots.projection import plot_comparison

            plot_comparison(comparison, plot)
            data["files"] = [str(plot)]
        out.result(data, Group(comparison_tables(comparison), *step.mesh_line(MOST_SQUARE_MESH)))
