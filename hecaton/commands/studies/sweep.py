"""``hecaton sweep``: a design space, its points in a Parquet file, its Pareto front."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.options import AsJson, CalibrationFile, ConfigFile, Overrides, examples, integer
from hecaton.terminal.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from chiplet.sweep.axes import Sweep
    from chiplet.sweep.evaluate import Points, SweepTask

app = typer.Typer()

TASK_POINTS = 65_536
"""A task has so many points at most, where schedules are worked out for many points at once."""

TASKS = 4
"""Tasks that a sweep is cut into at least, to keep several processes busy to the end."""

GROUP_SECONDS, POINT_SECONDS = 3e-5, 5e-6
"""About what a group of points takes for its schedules, and a point."""

TRIED = 8
"""About so many micro-batches are tried for several packages."""

SMALL_SECONDS = 2.0
"""A sweep that takes less is done before other processes would have started."""

SHOWN = 20
"""Points of the front in the table."""


@app.command(
    epilog=examples(
        "hecaton sweep benchmarks/spaces/links.toml -o links.parquet",
        "hecaton sweep benchmarks/spaces/dies.toml -o dies.parquet --plot dies.png --json",
        "hecaton sweep benchmarks/spaces/dies.toml -o dies.parquet --scheduler tcp://host:8786",
    )
)
def sweep(
    space: Annotated[Path, typer.Argument(metavar="SPACE.toml", help="The design space: see docs/sweep.md.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.parquet", help="File for the points.")
    ],
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="File for the plot; else FILE.png beside the points."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", parser=integer(1, 1024), metavar="N", help="Processes; else one a core."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="tcp://HOST:PORT",
            help="Run on the workers of this Dask scheduler, not on the local cores.",
        ),
    ] = None,
    calibration: CalibrationFile = None,
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Project every point of a design space, and find those that no other is better than in every objective.

    Points that do not fit are rows with the reason. The configuration starts from the preset package, --config and
    -P; keys of the space win. An interrupted sweep, started again, goes on where it stopped.

    JSON keys: points (rows), fitting (of these, without a reason), excluded (by constraints on what is varied),
    seconds (evaluated and written, before the plot), points_per_second, groups, objectives, pareto (a list with
    point, what is varied, and the objectives), output, plot.
    """
    import time

    from chiplet.machine.calibration import Calibration
    from chiplet.machine.config import load_system
    from chiplet.sweep.evaluate import SweepTask
    from chiplet.sweep.space import load_space, make_sweep
    from hecaton.plots.figure import check_plot
    from hecaton.plots.sweep import plot_sweep
    from hecaton.results.sweep_files import SweepFiles
    from rtl.emit.output_files import check_output

    with Output(as_json) as out:
        start = time.perf_counter()
        image = plot or output.with_suffix(".png")
        check_output(output)
        check_plot(image)
        if workers is not None and scheduler is not None:
            raise ValueError("--workers and --scheduler exclude each other: a cluster has its own workers")
        base = load_system(config, override or [], preset="package")
        found = make_sweep(load_space(space), base, source=str(space))
        measured = None if calibration is None else Calibration.load(calibration)
        ranges = _ranges(found)
        files = SweepFiles(output, found, ranges, measured)
        missing = files.missing
        tasks = [SweepTask(found, *ranges[number], measured) for number in missing]
        evaluated = 0
        with out.progress("points", found.groups * found.group_points) as advance:
            total = sum(stop - first for first, stop in ranges)
            left = sum(task.stop - task.start for task in tasks)
            advance(total - left)
            for place, points in _run(tasks, found, workers, scheduler):
                files.save(missing[place], points)
                evaluated += len(points.index)
                advance(tasks[place].stop - tasks[place].start)
        result = files.finish()
        seconds = time.perf_counter() - start
        plot_sweep(output, found.objectives, f"{space.name}: {result['points']} points", image)
        data: dict[str, Any] = {
            "points": result["points"],
            "fitting": result["fitting"],
            "excluded": total - result["points"],
            "seconds": seconds,
            "points_per_second": evaluated / seconds,
            "groups": found.groups,
            "objectives": list(found.objectives),
            "pareto": result["pareto"],
            "output": str(output),
            "plot": str(image),
        }
        out.result(data, _view(data))


def _ranges(sweep: Sweep) -> list[tuple[int, int]]:
    """The points of each task."""
    total = sweep.groups * sweep.group_points
    most = TASK_POINTS // TRIED if sweep.several_packages else TASK_POINTS
    if sweep.group_points >= most:
        size = most
    else:
        size = min(most // sweep.group_points, -(-sweep.groups // TASKS)) * sweep.group_points
    return [(first, min(first + size, total)) for first in range(0, total, size)]


def _seconds(sweep: Sweep) -> float:
    """About what the sweep takes on one core."""
    seconds = sweep.groups * (GROUP_SECONDS + sweep.group_points * POINT_SECONDS)
    return seconds * TRIED if sweep.several_packages else seconds


def _run(
    tasks: list[SweepTask], sweep: Sweep, workers: int | None, scheduler: str | None
) -> Iterable[tuple[int, Points]]:
    """The tasks as they end: on a cluster, on the local cores, or here if that is quicker."""
    from chiplet.sweep.evaluate import evaluate

    if scheduler is not None:
        from cosim.workers.dask import run_on_cluster

        return run_on_cluster(evaluate, tasks, address=scheduler)
    if len(tasks) == 1 or workers == 1 or (workers is None and _seconds(sweep) < SMALL_SECONDS):
        return enumerate(map(evaluate, tasks))
    from cosim.workers.pool import run_all

    return run_all(evaluate, tasks, workers=workers)


def _view(data: dict[str, Any]) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import columns, pairs

    front = data["pareto"]
    names = list(front[0]) if front else ["point"]
    # What all of them share says nothing.
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
