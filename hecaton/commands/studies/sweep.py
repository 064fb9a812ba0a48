"""``hecaton sweep``: a design space with its points in a Parquet file, and its Pareto front."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.terminal.options import (
    AsJson,
    CalibrationFile,
    MachineOptions,
    PlotFile,
    SiliconFiles,
    WorkerOptions,
    load_calibration,
    load_silicon,
)
from hecaton.terminal.output import Output
from hecaton.terminal.subcommand import subcommand

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from chiplet.sweep.axes import Sweep
    from chiplet.sweep.evaluate import SweepTask
    from hecaton.results.projection_objects import SweepSummary
    from hecaton.results.sweep_files import SweepPart
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()

TASK_POINTS = 65_536
"""Most points of a task. Schedules are computed for many points at once."""

TASKS = 4
"""Least number of tasks of a sweep: several processes stay busy to the end."""

GROUP_SECONDS, POINT_SECONDS = 3e-5, 5e-6
"""Approximate time for the schedules of a group of points, and for a point."""

MICRO_BATCHES = 8
"""Approximate number of micro-batch sizes that are tried for several packages."""

SMALL_SECONDS = 2.0
"""A shorter sweep ends before other processes would have started."""

SHOWN = 20
"""Points of the front in the table."""


def _json_object() -> JsonObject:
    from hecaton.results.projection_objects import SweepSummary
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((SweepSummary,))


@subcommand(
    app,
    examples=(
        "hecaton sweep benchmarks/spaces/links.toml -o links.parquet",
        "hecaton sweep benchmarks/spaces/dies.toml -o dies.parquet --plot dies.png --json",
        "hecaton sweep benchmarks/spaces/dies.toml -o dies.parquet --scheduler tcp://host:8786",
    ),
    json_object=_json_object,
)
def sweep(
    *,
    space: Annotated[Path, typer.Argument(metavar="SPACE.toml", help="The design space: see docs/sweep.md.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.parquet", help="File for the points.")
    ],
    plot: PlotFile = None,
    processes: WorkerOptions,
    calibration: CalibrationFile = None,
    silicon: SiliconFiles = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Project every point of a design space and find the Pareto front: the points that no other point beats in every
    objective.

    Points that do not fit are rows with the reason. The plot is beside the points, as .png, unless --plot says
    where. Without --config the machine starts from the preset package; keys of the space win over --config and -P. An
    interrupted sweep, started again, continues where it stopped.
    """
    import time

    from chiplet.sweep.evaluate import SweepTask
    from chiplet.sweep.space import load_space, make_sweep
    from hecaton.plots.figure import check_plot
    from hecaton.plots.sweep import plot_sweep
    from hecaton.results.sweep_files import SweepFiles, check_points

    with Output(as_json) as out:
        start = time.perf_counter()
        processes.check()
        check_points(output)
        image = plot or output.with_suffix(".png")
        check_plot(image)
        machine_given = machine.configuration(out, "package")
        plan = make_sweep(
            load_space(space),
            machine_given.system,
            source=str(space),
            clock_follows_stages=machine_given.clock_follows_stages,
        )
        measured, reports = load_calibration(calibration), load_silicon(silicon)
        ranges = _ranges(plan)
        every = [SweepTask(plan, *points, measured, reports) for points in ranges]
        files = SweepFiles(output, plan, ranges, measured, reports)
        missing = files.missing
        tasks = [every[number] for number in missing]
        evaluated = 0
        with out.progress("points", plan.groups * plan.group_points) as advance:
            total = sum(stop - first for first, stop in ranges)
            left = sum(task.stop - task.start for task in tasks)
            advance(total - left)
            try:
                for place, part in _run(tasks, plan, processes):
                    files.save(missing[place], part)
                    evaluated += part.points
                    advance(tasks[place].stop - tasks[place].start)
            except BaseException:
                files.abandon()
                raise
        result = files.finish()
        seconds = time.perf_counter() - start
        plot_sweep(output, plan.objectives, f"{space.name}: {result['points']} points", image)
        data: SweepSummary = {
            "points": result["points"],
            "fitting": result["fitting"],
            "excluded": total - result["points"],
            "seconds": seconds,
            "points_per_second": evaluated / seconds,
            "groups": plan.groups,
            "objectives": list(plan.objectives),
            "pareto": result["pareto"],
            "output": str(output),
            "plot": str(image),
        }
        out.result(data, _tables(data))


def _ranges(sweep: Sweep) -> list[tuple[int, int]]:
    """Return the first point of each task, and the one after its last."""
    total = sweep.groups * sweep.group_points
    most = TASK_POINTS // MICRO_BATCHES if sweep.several_packages else TASK_POINTS
    if sweep.group_points >= most:
        size = most
    else:
        size = min(most // sweep.group_points, -(-sweep.groups // TASKS)) * sweep.group_points
    return [(first, min(first + size, total)) for first in range(0, total, size)]


def _seconds(sweep: Sweep) -> float:
    """Return the approximate time of the sweep on one core."""
    seconds = sweep.groups * (GROUP_SECONDS + sweep.group_points * POINT_SECONDS)
    return seconds * MICRO_BATCHES if sweep.several_packages else seconds


def _run(tasks: list[SweepTask], sweep: Sweep, processes: WorkerOptions) -> Iterable[tuple[int, SweepPart]]:
    """Yield the results of tasks as they end: on a cluster, on the local cores, or here if that is quicker."""
    from hecaton.results.sweep_files import sweep_part

    workers, scheduler = processes.workers, processes.scheduler
    if scheduler is not None:
        from cosim.workers.dask import run_on_cluster

        return run_on_cluster(sweep_part, tasks, address=scheduler)
    if len(tasks) == 1 or workers == 1 or (workers is None and _seconds(sweep) < SMALL_SECONDS):
        return enumerate(map(sweep_part, tasks))
    from cosim.workers.pool import run_all

    return run_all(sweep_part, tasks, workers=workers)


def _tables(data: SweepSummary) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import columns, pairs

    front = data["pareto"]
    names = list(front[0]) if front else ["point"]
    # Only columns that differ between the points are shown.
    names = [
        name
        for name in names
        if name in ("point", *data["objectives"]) or len({str(row[name]) for row in front}) > 1
    ]
    summary = {name: value for name, value in data.items() if name not in ("pareto", "objectives")}
    step = max(1, len(front) // SHOWN)
    title = f"Pareto front over {', '.join(data['objectives'])}: {len(front)} points"
    return Group(
        pairs(summary),
        columns(front[::step], names, title=title if step == 1 else f"{title}, every {step}th"),
    )
