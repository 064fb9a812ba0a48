"""Clock cycles per second of each simulator, for a die of several sizes and for a package.

The same GEMM runs on each: Icarus on the stock Amaranth Verilog (the baseline), the backends of ``hecaton cosim``, and
for a die the bare CXXRTL model without Python (the upper reference). The package has 2 x 2 dies of 4 x 4 and links with
adapters; a GEMM large enough to keep its arrays busy runs on what compiles the design. Time is from start to done, on a
built model; the best run counts. Every result is compared with the golden model, and all have to take the same cycles.

    python -m benchmarks.simulation [--quick] [--design NAME]... [-o DIR] [--seed N]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from benchmarks.bare import Bare
from benchmarks.report import RESULTS, machine, write_report
from benchmarks.start import start_seconds
from benchmarks.stock import Stock
from benchmarks.timed import Work, die_work, measure, package_work
from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.backends.base import Backend, SimulationError
from cosim.backends.icarus import Icarus
from cosim.backends.registry import BACKENDS
from hecaton.plots.figure import saved_figure

__all__ = ["main"]

SIZES = {4: 32, 8: 48, 16: 64}
"""Size of the array, and of the matrices that it multiplies: about 2000 cycles each."""
QUICK_DIE = DieSpec(
    rows=2,
    cols=1,
    dtype="int8",
    weight_bytes=128,
    activation_bytes=128,
    accumulator_bytes=128,
    scratchpad_bytes=2048,
)
"""Small buffers: the stock path writes out every word of every memory, which takes it seconds for the usual size."""
QUICK_MATRIX = 4
PACKAGE, PACKAGE_MATRICES = (2, 4), (16, 128)
"""Dies of the package in a row and a column, and their arrays; the GEMM that Icarus can run, and one that takes long
enough to be timed, and keeps the arrays busy.
"""
QUICK_PACKAGE, QUICK_PACKAGE_MATRICES = (1, 1), (2,)
RUNS = 3
"""Runs of each simulator; the best one counts."""

BASELINE = Stock.name
REFERENCE = Bare.name
INTERPRETERS = (Stock.name, Icarus.name)
"""Simulators that compile nothing."""


def _measure_all(work: Work, backends: Sequence[Backend], *, runs: int) -> list[dict[str, Any]]:
    """Rows of those backends that are installed. Raises SimulationError if their cycles differ."""
    rows = []
    for backend in backends:
        try:
            backend.version()
        except SimulationError as error:
            _say(f"{work.design} {backend.name}: left out: {error}")
            continue
        row = measure(backend, work, runs=runs)
        _say(
            f"{row['design']} {row['simulator']}: {row['cycles_per_second']:,.0f} cycles/s, "
            f"{row['cycles_per_cpu_second']:,.0f} of processor time"
        )
        rows.append(row)
    if len({row["cycles"] for row in rows}) > 1:
        cycles = [(row["simulator"], row["cycles"]) for row in rows]
        raise SimulationError(f"{work.design}: cycles differ: {cycles}")
    return rows


def _compare(rows: Sequence[dict[str, Any]]) -> None:
    """Give all rows of a design their ratios to the first ones of the baseline and of the reference."""
    rates: dict[str, float] = {}
    for row in rows:
        rates.setdefault(row["simulator"], row["cycles_per_cpu_second"])
    for row in rows:
        for name, simulator in (("to_baseline", BASELINE), ("to_bare", REFERENCE)):
            row[name] = row["cycles_per_cpu_second"] / rates[simulator] if simulator in rates else None


def _measure_die(die: DieSpec, matrix: int, *, seed: int, quick: bool) -> list[dict[str, Any]]:
    memory = MemorySpec()
    runs = 1 if quick else RUNS
    work = die_work(die, memory, matrix, seed=seed)
    rows = _measure_all(work, [Stock(work.block), *BACKENDS.values(), Bare()], runs=runs)
    for row in rows:
        # Models are built now: the command finds them.
        known = row["simulator"] in BACKENDS
        starts = [start_seconds(die, memory, row["simulator"]) for _ in range(runs)] if known else []
        row["start_seconds"] = min(starts, default=None)
    _compare(rows)
    return rows


def _measure_package(
    package: tuple[int, int], matrices: Sequence[int], *, seed: int, quick: bool
) -> list[dict[str, Any]]:
    rows = []
    for number, matrix in enumerate(matrices):
        work = package_work(*package, matrix, seed=seed, dtype="int8" if quick else "bf16")
        backends = [Icarus()] if quick else [Stock(work.block), *BACKENDS.values()]
        if number:
            backends = [backend for backend in backends if backend.name not in INTERPRETERS]
        rows += _measure_all(work, backends, runs=1 if quick else RUNS)
    for row in rows:
        row["start_seconds"] = None
    _compare(rows)
    return rows


def _plot(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    designs = list(dict.fromkeys(row["design"] for row in rows))
    names = list(dict.fromkeys(row["simulator"] for row in rows))
    width = 0.8 / len(names)
    with saved_figure(path, 8, 4.5) as figure:
        axes = figure.subplots()
        for place, name in enumerate(names):
            # Of a package, the last GEMM of each simulator.
            rates = {row["design"]: row["cycles_per_cpu_second"] for row in rows if row["simulator"] == name}
            positions = [designs.index(design) + (place + 0.5) * width - 0.4 for design in rates]
            axes.bar(positions, list(rates.values()), width, label=name)
        axes.set_yscale("log")
        axes.set_xticks(range(len(designs)), designs)
        axes.set_xlabel("array of a die, or package")
        axes.set_ylabel("clock cycles per second of processor time")
        axes.legend(fontsize="small")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _designs(*, quick: bool) -> tuple[dict[str, tuple[DieSpec, int]], tuple[int, int], tuple[int, ...]]:
    """Dies by name, with the matrix of each; the package, and its matrices."""
    if quick:
        name = f"{QUICK_DIE.rows}x{QUICK_DIE.cols}"
        return {name: (QUICK_DIE, QUICK_MATRIX)}, QUICK_PACKAGE, QUICK_PACKAGE_MATRICES
    dies = {f"{size}x{size}": (DieSpec(rows=size, cols=size), matrix) for size, matrix in SIZES.items()}
    return dies, PACKAGE, PACKAGE_MATRICES


@contextmanager
def _empty_cache() -> Iterator[None]:
    """A cache in which nothing is built yet, so that the first build of each model is a whole one."""
    before = os.environ.get("HECATON_CACHE")
    with tempfile.TemporaryDirectory(prefix="hecaton-") as cache:
        os.environ["HECATON_CACHE"] = cache
        try:
            yield
        finally:
            if before is None:
                del os.environ["HECATON_CACHE"]
            else:
                os.environ["HECATON_CACHE"] = before


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulation", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="smallest designs, models that may be built already, one run: does it work at all?",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=RESULTS, metavar="DIR", help="folder of the report"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the operands")
    names = [f"{size}x{size}" for size in SIZES]
    parser.add_argument(
        "--design",
        choices=[*names, "package"],
        action="append",
        help="this design, and no other that is not named as well; else all",
    )
    options = parser.parse_args(arguments)
    quick, seed, only = options.quick, options.seed, options.design
    dies, package, matrices = _designs(quick=quick)
    about = machine(seed)
    rows: list[dict[str, Any]] = []
    try:
        with nullcontext() if quick else _empty_cache():
            for name, (die, matrix) in dies.items():
                if not only or name in only:
                    rows += _measure_die(die, matrix, seed=seed, quick=quick)
            if not only or "package" in only:
                rows += _measure_package(package, matrices, seed=seed, quick=quick)
    except SimulationError as error:
        _say(f"error: {error}")
        return 1
    for backend in (*BACKENDS.values(), Bare()):
        if any(row["simulator"] == backend.name for row in rows):
            about[backend.name] = backend.version()
    _plot(options.output / "simulation.png", rows)
    notes = (
        f"A square {'int8' if quick else 'bf16'} GEMM out of the bench's memories, on a die (`4x4` is its array) or on "
        "a package. `array_use` is the share of the cycles that the multiply-adds alone need. `seconds` are from start "
        "to done on a built model, in one process, and `cpu_seconds` its processor time, which a busy machine changes "
        "less; of both the best of the runs. `to_baseline` and `to_bare` are of processor time. The first build of a "
        "model with CXXRTL or Verilator also builds what all models have in common. The build of the baseline includes "
        "Amaranth's conversion to Verilog; the others do not include ours. `start_seconds` is from the start of "
        "`hecaton cosim gemm` to the start of the die, when the model is built."
    )
    title = "Simulation speed"
    print(write_report(options.output, "simulation", title=title, about=about, rows=rows, notes=notes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
