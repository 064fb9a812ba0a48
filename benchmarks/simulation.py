"""Clock cycles per second of each simulator, over array sizes.

The same GEMM runs on each: Icarus on the stock Amaranth Verilog (the baseline), the backends of ``hecaton cosim``, and
the bare CXXRTL model without Python (the upper reference). Time is from start to done, on a built model; the best run
counts. Every result is compared with the golden model, and all have to take the same cycles.

    python -m benchmarks.simulation [--quick] [--size N] [-o DIR] [--seed N]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bare import Bare
from benchmarks.report import RESULTS, machine, write_report
from benchmarks.start import start_seconds
from benchmarks.stock import Stock
from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.backends.base import Backend, Design, SimulationError
from cosim.backends.registry import BACKENDS
from cosim.jobs.die import DieOutcome
from cosim.records.gemm import GemmRequest
from cosim.run.gemm import die_bench, prepare
from hecaton.plots.figure import saved_figure

__all__ = ["main", "measure"]

SIZES = {4: 32, 8: 48, 16: 64}
"""Size of the array, and of the matrices that it multiplies: about 2000 cycles each."""
QUICK_SIZES = {2: 4}
RUNS = 3
"""Runs of each simulator; the best one counts."""
RUN_SECONDS = 30.0
"""Total time of the runs after which no other run starts."""

BASELINE = Stock.name
REFERENCE = Bare.name


class _Timed(Backend):
    """Another backend, with the seconds of its builds and runs."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name = backend.name
        self.build_seconds: list[float] = []
        self.run_seconds: list[float] = []

    def version(self) -> str:
        return self._backend.version()

    def build(self, design: Design) -> Path:
        start = time.perf_counter()
        model = self._backend.build(design)
        self.build_seconds.append(time.perf_counter() - start)
        return model

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._backend.run(model, top, bench, folder, environment)
        self.run_seconds.append(DieOutcome.load(folder).seconds)


def measure(backend: Backend, request: GemmRequest, *, runs: int) -> dict[str, Any]:
    """Run a GEMM on a backend; return its row of the table.

    Raises
    ------
    SimulationError
        If it does not run, or any bit of its result is wrong.
    """
    timed = _Timed(backend)
    while True:
        record = prepare(request, simulator=timed).run()
        if record.mismatches:
            raise SimulationError(f"{backend.name}: {record.mismatches} results differ from the golden model")
        if len(timed.run_seconds) == runs or sum(timed.run_seconds) > RUN_SECONDS:
            break
    best = min(timed.run_seconds)
    return {
        "array": f"{request.die.rows}x{request.die.cols}",
        "simulator": backend.name,
        "cycles": record.cycles,
        "seconds": best,
        "cycles_per_second": record.cycles / best,
        "build_seconds": timed.build_seconds[0],
        "runs": len(timed.run_seconds),
    }


def _measure_size(size: int, matrix: int, *, seed: int, quick: bool) -> list[dict[str, Any]]:
    # The stock path writes out every word of every memory, which takes it seconds for buffers of the usual size.
    buffers = {f"{name}_bytes": 1024 for name in ("weight", "activation", "accumulator")} if quick else {}
    die, memory = DieSpec.model_validate({"rows": size, "cols": size, **buffers}), MemorySpec()
    runs = 1 if quick else RUNS
    request = GemmRequest(m=matrix, k=matrix, n=matrix, die=die, memory=memory, seed=seed)
    stock = Stock(die_bench(die, memory, prepare(request).program.memory_words))
    rows = []
    for backend in (stock, *BACKENDS.values(), Bare()):
        try:
            backend.version()
        except SimulationError as error:
            _say(f"{size}x{size} {backend.name}: left out: {error}")
            continue
        row = measure(backend, request, runs=runs)
        # Models are built now: the command finds them.
        starts = (
            [start_seconds(die, memory, backend.name) for _ in range(runs)]
            if backend.name in BACKENDS
            else []
        )
        row["start_seconds"] = min(starts, default=None)
        _say(f"{row['array']} {row['simulator']}: {row['cycles_per_second']:,.0f} cycles/s")
        rows.append(row)
    if len({row["cycles"] for row in rows}) != 1:
        raise SimulationError(
            f"{size}x{size}: cycles differ: {[(r['simulator'], r['cycles']) for r in rows]}"
        )
    rates = {row["simulator"]: row["cycles_per_second"] for row in rows}
    for row in rows:
        row["to_baseline"] = row["cycles_per_second"] / rates[BASELINE]
        row["to_bare"] = row["cycles_per_second"] / rates[REFERENCE] if REFERENCE in rates else None
    return rows


def _plot(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    arrays = list(dict.fromkeys(row["array"] for row in rows))
    names = list(dict.fromkeys(row["simulator"] for row in rows))
    width = 0.8 / len(names)
    with saved_figure(path, 8, 4.5) as figure:
        axes = figure.subplots()
        for place, name in enumerate(names):
            rates = {row["array"]: row["cycles_per_second"] for row in rows if row["simulator"] == name}
            positions = [arrays.index(array) + (place + 0.5) * width - 0.4 for array in rates]
            axes.bar(positions, list(rates.values()), width, label=name)
        axes.set_yscale("log")
        axes.set_xticks(range(len(arrays)), arrays)
        axes.set_xlabel("array, bf16")
        axes.set_ylabel("clock cycles per second")
        axes.legend(fontsize="small")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulation", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--quick", action="store_true", help="a smallest array and one run: does it work at all?"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=RESULTS, metavar="DIR", help="folder of the report"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the operands")
    parser.add_argument("--size", type=int, choices=SIZES, help="the only array size; else all")
    options = parser.parse_args(arguments)
    sizes = QUICK_SIZES if options.quick else SIZES
    if options.size is not None:
        sizes = {options.size: SIZES[options.size]}
    about = machine(options.seed)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="hecaton-") as cache:
        # Nothing is built yet here, so that the first build of each model is a whole one.
        before = os.environ.get("HECATON_CACHE")
        os.environ["HECATON_CACHE"] = cache
        try:
            for size, matrix in sizes.items():
                rows += _measure_size(size, matrix, seed=options.seed, quick=options.quick)
        except SimulationError as error:
            _say(f"error: {error}")
            return 1
        finally:
            if before is None:
                del os.environ["HECATON_CACHE"]
            else:
                os.environ["HECATON_CACHE"] = before
    for backend in (*BACKENDS.values(), Bare()):
        if any(row["simulator"] == backend.name for row in rows):
            about[backend.name] = backend.version()
    _plot(options.output / "simulation.png", rows)
    notes = (
        "A square bf16 GEMM out of the bench's memory. `seconds` are from start to done, on a built model, the best "
        "of the runs. The first build of a model with CXXRTL also builds its VPI layer, once for all models. The build "
        "of the baseline includes Amaranth's conversion to Verilog; the others do not include ours. `start_seconds` is "
        "from the start of `hecaton cosim gemm` to the start of the die, when the model is built."
    )
    title = "Simulation speed"
    print(write_report(options.output, "simulation", title=title, about=about, rows=rows, notes=notes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
