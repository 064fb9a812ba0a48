"""``hecaton optimize``: the best way to train a model on at most so many dies and packages."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, cast

import typer

from hecaton.terminal.options import (
    AsJson,
    CalibrationFile,
    MachineOptions,
    PlotFile,
    SiliconFiles,
    load_calibration,
    load_silicon,
)
from hecaton.terminal.output import Output
from hecaton.terminal.projection_options import (
    DIES_HELP,
    GlobalBatch,
    MethodSwitches,
    ModelName,
    OptimizerName,
    SequenceLength,
    switches_by_method,
)
from hecaton.terminal.subcommand import subcommand
from hecaton.terminal.values import integer_option, parse_assignments
from nop.topology import MAX_DIES

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chiplet.optimize.results import Optimum
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()

SHARED = ("packages", "data", "pipeline", "context")
"""Columns that are shown if their values differ."""


def _json_object() -> JsonObject:
    from chiplet.optimize.results import Optimum
    from hecaton.results.projection_objects import PictureFiles
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((Optimum,), {"--plot": (PictureFiles,)})


@subcommand(
    app,
    examples=(
        "hecaton optimize --model llama3.1-405b --dies 1024",
        "hecaton optimize --model llama2-7b --dies 64 --packages 8 --for energy",
        "hecaton optimize --model llama2-70b --dies 256 --for cost --switch recompute=selective --json",
    ),
    json_object=_json_object,
)
def optimize(
    *,
    model: ModelName,
    dies: Annotated[
        int,
        integer_option("--dies", DIES_HELP, high=MAX_DIES),
    ],
    packages: Annotated[
        int,
        integer_option("--packages", "Most packages.", high=MAX_DIES),
    ] = 1,
    goal: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="time|energy|cost",
            help="What is least: time or energy of a step, or the price of the packages times the time of a step.",
        ),
    ] = "time",
    switch: MethodSwitches = None,
    optimizer: OptimizerName = "adam",
    global_batch: GlobalBatch = None,
    sequence_length: SequenceLength = None,
    calibration: CalibrationFile = None,
    silicon: SiliconFiles = None,
    plot: PlotFile = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Search the best way to train a model: method, switches, mesh, and the use of several packages; show the
    best ten, and what decides.

    Without --config the machine starts from the preset package. The package's mesh and
    parallel.data, parallel.pipeline and parallel.context are not read: they are what is searched.
    """
    from chiplet.optimize.best_ways import optimize as best_of
    from chiplet.optimize.results import Goal, check_goal
    from chiplet.projection.job import StepRequest
    from chiplet.schedule.buffers import Optimizer

    with Output(as_json) as out:
        check_goal("--for", goal)
        if plot is not None:
            from hecaton.plots.figure import check_plot

            check_plot(plot)
        request = StepRequest(
            model,
            machine.load(out, "package"),
            calibration=load_calibration(calibration),
            silicon=load_silicon(silicon),
            global_batch=global_batch,
            sequence_length=sequence_length,
            optimizer=cast(Optimizer, optimizer),
        )
        switches = switches_by_method(parse_assignments("--switch", switch))
        with out.progress("steps", None) as advance:
            optimum = best_of(
                request, cast(Goal, goal), dies=dies, packages=packages, switches=switches, progress=advance
            )
        data = optimum.model_dump()
        if plot is not None:
            from hecaton.plots.optimum import plot_optimum

            plot_optimum(optimum, plot)
            data["files"] = [str(plot)]
        out.result(data, _tables(optimum, machine.words))


def _tables(optimum: Optimum, machine: Sequence[str]) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import columns, quantity

    searched = {
        name
        for way in optimum.best
        for name in way.switches
        if len(
            {
                str(one.get(name))
                for other in optimum.best
                if other.method == way.method
                for one in (other.switches, *other.alike)
            }
        )
        > 1
    }
    rows = [
        {
            "method": way.method,
            "switches": ", ".join(
                f"{name} {' or '.join(dict.fromkeys(str(one[name]) for one in (way.switches, *way.alike)))}"
                for name in way.switches
                if name in searched
            ),
            "mesh": way.mesh,
            "packages": way.packages,
            "data": way.data,
            "pipeline": way.pipeline,
            "context": way.context,
            "ratio": f"{way.ratio:.4f}",
            "decides": f"{way.decides.replace('_', ' ')}, {way.share:.0%}",
            "step": quantity(way.step_seconds, "s"),
            "energy": quantity(way.energy_joules, "J"),
            "price": f"{way.cost_dollars:.4g} $",
            **({"price x time": quantity(way.value, "$s")} if optimum.goal == "cost" else {}),
        }
        for way in optimum.best
    ]
    names = [name for name in rows[0] if name not in SHARED or len({row[name] for row in rows}) > 1]
    title = f"Least {optimum.goal} of {optimum.model}, {optimum.evaluated} steps costed in {optimum.seconds:.2g} s"
    best = " ".join([optimum.best[0].project, *map(shlex.quote, machine)])
    return Group(columns(rows, names, title=title), f"The best: hecaton project {best}")
