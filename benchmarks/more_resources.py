"""More of a resource never makes a step slower: a table over models, methods, dies, and parts of the machine.

Every preset model by every method: on all numbers of dies from 4 to 256 and on 1024, and on 16, 64, 256 and 1024 dies
with SRAM, DRAM, links and clock from a quarter to four times those of the preset package. Each step is one projection.
What does not fit is left out and counted. A step is beyond the bound if it takes more than 1.02 times the least of the
steps with less of the resource.

    python -m benchmarks.more_resources [--quick] [-o DIR] [--jobs N]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from math import inf, isfinite
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS, machine, write_report
from chiplet.machine.config import ConfigError, load_system
from chiplet.machine.specs import SystemSpec
from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.schedule.buffers import DoesNotFitError
from chiplet.workload.llm import model_names
from cosim.workers.pool import run_all

__all__ = ["beyond", "main"]

BOUND = 1.02
DIES = (*range(4, 257), 1024)
FEW_DIES = (16, 64, 256, 1024)
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)

RESOURCES: dict[str, tuple[str, ...]] = {
    "SRAM": ("die.weight_bytes", "die.activation_bytes", "die.accumulator_bytes", "die.scratchpad_bytes"),
    "DRAM bandwidth": ("memory.channel_bytes_per_second",),
    "DRAM capacity": ("memory.channel_bytes",),
    "link lanes": ("link.lanes",),
    "link rate": ("link.lane_rate",),
    "clock": ("die.clock_hz",),
}
"""Parts of the machine, and the keys that grow together."""

QUICK_MODELS, QUICK_DIES = ("tinyllama-1.1b",), (4, 5, 7, 16)


def beyond(seconds: Sequence[float]) -> tuple[int, float]:
    """How many of ``seconds``, with more of a resource from one to the next, are more than :data:`BOUND` times the
    least one before; and the largest of these ratios, at least 1. What does not fit is infinite, and not counted.
    """
    least, count, worst = inf, 0, 1.0
    for one in seconds:
        if isfinite(one) and isfinite(least):
            count += one > BOUND * least
            worst = max(worst, one / least)
        least = min(least, one)
    return count, worst


def _seconds(model: str, method: str, system: SystemSpec, dies: int) -> float:
    try:
        return project(StepRequest(model, system, dies=dies, method=method)).step_seconds
    except DoesNotFitError:
        return inf


def _scaled(keys: Sequence[str], factor: float) -> SystemSpec | None:
    """The package with ``keys`` times ``factor``; None if there is no such machine."""
    base = load_system(None, [], preset="package")
    values = []
    for key in keys:
        section, name = key.split(".")
        value = getattr(getattr(base, section), name)
        values.append(f"{key}={type(value)(value * factor)}")
    try:
        return load_system(None, values, preset="package")
    except ConfigError:
        return None


def _row(model: str, method: str, resource: str, series: Sequence[Sequence[float]]) -> dict[str, Any]:
    counts = [beyond(seconds) for seconds in series]
    every = [one for seconds in series for one in seconds]
    return {
        "model": model,
        "method": method,
        "more": resource,
        "steps": sum(map(isfinite, every)),
        "left_out": sum(not isfinite(one) for one in every),
        "beyond": sum(count for count, _ in counts),
        "worst": max(worst for _, worst in counts),
    }


def rows_of(case: tuple[str, str], *, dies: Sequence[int], few: Sequence[int]) -> list[dict[str, Any]]:
    """The rows of a model and a method."""
    model, method = case
    package = load_system(None, [], preset="package")
    rows = [_row(model, method, "dies", [[_seconds(model, method, package, count) for count in dies]])]
    for resource, keys in RESOURCES.items():
        systems = [system for factor in FACTORS if (system := _scaled(keys, factor)) is not None]
        series = [[_seconds(model, method, system, count) for system in systems] for count in few]
        rows.append(_row(model, method, resource, series))
    return rows


def _measured(*, quick: bool, jobs: int | None) -> list[dict[str, Any]]:
    """The rows of all cases, in their order; each is named as it ends."""
    cases = [(model, method) for model in (QUICK_MODELS if quick else model_names()) for method in METHODS]
    function = partial(
        rows_of, dies=QUICK_DIES if quick else DIES, few=QUICK_DIES[-1:] if quick else FEW_DIES
    )
    ended: dict[int, list[dict[str, Any]]] = {}
    for number, rows in run_all(function, cases, workers=jobs):
        ended[number] = rows
        beyond_bound = sum(row["beyond"] for row in rows)
        print(
            f"{' by '.join(cases[number])}: {beyond_bound} steps beyond the bound",
            file=sys.stderr,
            flush=True,
        )
    return [row for number in range(len(cases)) for row in ended[number]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.more_resources", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="one model, four numbers of dies")
    parser.add_argument(
        "-o", "--output", type=Path, default=RESULTS, metavar="DIR", help="folder of the report"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="processes; by default one for each core")
    options = parser.parse_args(arguments)
    rows = _measured(quick=options.quick, jobs=options.jobs)
    notes = (
        f"Dies: all numbers from {DIES[0]} to {DIES[-2]}, and {DIES[-1]}. Other parts: x "
        f"{', '.join(map(str, FACTORS))} (as far as there is such a machine) on {', '.join(map(str, FEW_DIES))} dies. "
        f"`beyond` counts steps of more than {BOUND} times the least with less, `worst` is the largest such ratio, "
        "`left_out` what does not fit. Batch 512, preset package."
    )
    title = "More of a resource"
    print(
        write_report(options.output, "more_resources", title=title, about=machine(0), rows=rows, notes=notes)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
