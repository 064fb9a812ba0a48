"""Design points per second of ``hecaton sweep``, with one projection after the other as the baseline.

The spaces in ``benchmarks/spaces`` differ in how many points share a schedule. Each is swept by the command as users
run it, on all cores; the best run counts. A sample of the points is projected one by one: that is the baseline, and
every number of the sweep has to be its own to 1e-12. Beside them the time of a single projection on a given mesh, and
of the import.

    python -m benchmarks.sweep [--quick] [-o DIR] [--seed N]
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.report import RESULTS, machine, write_report
from benchmarks.timed import least_seconds
from chiplet.machine.config import load_system
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.sweep.axes import Sweep
from chiplet.sweep.columns import COLUMNS, of_projection
from chiplet.sweep.evaluate import SweepTask, evaluate, point_request
from chiplet.sweep.space import load_space, make_sweep
from hecaton.plots.figure import saved_figure
from nop.topology import Mesh

__all__ = ["SweepError", "check", "main"]

SPACES = Path("benchmarks/spaces")
QUICK_SPACE = """
model = "tinyllama-1.1b"
dies = [4, 16]
[vary]
die.rows = [32, 64, 512]
link.lanes = [16, 32, 64]
"""
RUNS = 5
"""Runs of each space; the best one counts."""

SAMPLE = 200
"""Points that are projected one by one."""

BASELINE, CORE, OURS = "single projections", "one core", "hecaton sweep"
LARGEST = ("llama3.1-405b", Mesh(32, 32))
TOLERANCE = 1e-12


class SweepError(Exception):
    """A sweep does not run, or has another number than a single projection."""


def _swept(space: Path, folder: Path) -> dict[str, Any]:
    output = folder / f"{space.stem}.parquet"
    done = subprocess.run(
        [sys.executable, "-m", "hecaton", "sweep", str(space), "-o", str(output), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SweepError(f"hecaton sweep {space}: {done.stderr.strip()}")
    output_values: dict[str, Any] = json.loads(done.stdout)
    return output_values


def check(sweep: Sweep, rows: Sequence[Mapping[str, Any]]) -> float:
    """Project points of ``sweep`` one by one and compare them with ``rows`` of its result; return the seconds of the
    projections.

    Raises
    ------
    SweepError
        If a number differs, or a point fits in only one of the two ways.
    """
    seconds = 0.0
    for row in rows:
        point, reason = row["point"], row["reason"]
        try:
            request = point_request(sweep, point)
            start = time.perf_counter()
            try:
                projection = project(request)
            finally:
                seconds += time.perf_counter() - start
        except ValueError as refusal:
            if reason != str(refusal):
                raise SweepError(f"point {point}: {reason!r}, alone {str(refusal)!r}") from None
            continue
        if reason and not reason.startswith("falls short"):
            raise SweepError(f"point {point}: {reason}, but not alone")
        for name, value in of_projection(projection).items():
            if not math.isclose(row[name], value, rel_tol=TOLERANCE) and not math.isnan(value):
                raise SweepError(f"point {point}: {name} = {row[name]}, alone {value}")
    return seconds


def _measure_space(space: Path, folder: Path, *, runs: int, sample: int, seed: int) -> list[dict[str, Any]]:
    best = min((_swept(space, folder) for _ in range(runs)), key=lambda run: float(run["seconds"]))
    sweep = make_sweep(load_space(space), load_system(None, [], preset="package"), source=str(space))
    table = pq.read_table(best["output"], columns=["point", "reason", *COLUMNS])
    places = np.random.default_rng(seed).permutation(len(table))[:sample]
    seconds = check(sweep, table.take(np.sort(places)).to_pylist())
    alone = _row(space.stem, BASELINE, len(places), len(places), seconds)
    ours = _row(space.stem, OURS, best["points"], best["groups"], best["seconds"])
    start = time.process_time()
    count = len(evaluate(SweepTask(sweep, 0, sweep.groups * sweep.group_points)).index)
    core = _row(space.stem, CORE, count, best["groups"], time.process_time() - start)
    for row in (ours, core):
        row["to_baseline"] = row["per_second"] / alone["per_second"]
    return [alone, core, ours]


def _row(what: str, path: str, points: int, schedules: int | None, seconds: float) -> dict[str, Any]:
    return {
        "what": what,
        "path": path,
        "points": points,
        "schedules": schedules,
        "seconds": seconds,
        "per_second": points / seconds,
        "to_baseline": 1.0 if path == BASELINE else None,
    }


def _projection_seconds() -> float:
    system = load_system(None, [], preset="package")
    model, mesh = LARGEST
    return least_seconds(lambda: project(StepRequest(model, system, mesh=mesh)), 10)


def _import_seconds() -> float:
    code = "import time; t = time.perf_counter(); import chiplet.projection.project; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def _plot(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    spaces = list(dict.fromkeys(row["what"] for row in rows))
    with saved_figure(path, 8, 4.5) as figure:
        axes = figure.subplots()
        for place, name in enumerate((BASELINE, CORE, OURS)):
            rates = [row["per_second"] for row in rows if row["path"] == name]
            positions = [index + 0.25 * (place - 1) for index in range(len(spaces))]
            axes.bar(positions, rates, 0.25, label=name)
        axes.set_yscale("log")
        axes.set_xticks(range(len(spaces)), spaces)
        axes.set_ylabel("design points per second")
        axes.legend(fontsize="small")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smallest space once: does it work at all?")
    parser.add_argument(
        "-o", "--output", type=Path, default=RESULTS, metavar="DIR", help="folder of the report"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the sample")
    options = parser.parse_args(arguments)
    about = machine(options.seed)
    rows: list[dict[str, Any]] = []
    runs, sample = (1, 5) if options.quick else (RUNS, SAMPLE)
    with tempfile.TemporaryDirectory(prefix="hecaton-") as name:
        folder = Path(name)
        spaces = sorted(SPACES.glob("*.toml"))
        if options.quick:
            spaces = [folder / "quick.toml"]
            spaces[0].write_text(QUICK_SPACE)
        try:
            for space in spaces:
                rows += _measure_space(space, folder, runs=runs, sample=sample, seed=options.seed)
                _say(f"{space.stem}: {rows[-1]['per_second']:,.0f} points/s")
        except SweepError as error:
            _say(f"error: {error}")
            return 1
    _plot(options.output / "sweep.png", rows)
    largest = f"{LARGEST[0]} on {LARGEST[1].nodes} dies"
    rows.append(_row(largest, "one projection on a given mesh", 1, 1, _projection_seconds()))
    rows.append(
        _row("chiplet.projection.project", "import", 1, None, min(_import_seconds() for _ in range(runs)))
    )
    notes = (
        "`seconds` of a sweep are those of its JSON output: evaluated and written, start of the processes included, on "
        f"all cores, the best of {runs}. `schedules` are the groups of points that share one. The baseline is a sample "
        "of the same points, one `chiplet.projection.project.project` after the other on one core; all its numbers "
        f"agree with those of the sweep to {TOLERANCE}. One core: `chiplet.sweep.evaluate.evaluate` alone, in "
        "processor time, which other jobs do not lengthen. Projection and import are the best of several, the "
        "projection in processor time, imports in new processes."
    )
    title = "Sweeps of design spaces"
    print(write_report(options.output, "sweep", title=title, about=about, rows=rows, notes=notes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
