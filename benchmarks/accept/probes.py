"""Measurements of several commands, for checks: ``python -m benchmarks.accept.probes NAME`` prints a JSON object."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.accept.hecaton_commands import ProbeError, hecaton_command, hecaton_output
from benchmarks.accept.training import train_faults, train_flits, train_overlap, train_steps
from benchmarks.accept.training_prediction import train_prediction
from benchmarks.accept.training_text import train_text
from benchmarks.generation import SIZES, die_of, growth
from benchmarks.stock import stock_verilog
from benchmarks.timed import cpu_seconds, least_seconds
from chiplet.graph.vector_programs import PROGRAM_NAMES
from chiplet.machine.config import load_system
from chiplet.machine.specs import SystemSpec
from chiplet.optimize.best_ways import optimize
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from cosim.backends.registry import BACKENDS
from cosim.records.vector import VectorRecord, vector_request
from cosim.run.vector import run_vector
from rtl.emit.conversions import Conversions
from rtl.emit.emitter import emit
from rtl.processes.temporary import temporary_folder

__all__ = [
    "PROBES",
    "ProbeError",
    "generation_cost",
    "generation_growth",
    "main",
    "regression_simulators",
    "same_bytes",
    "search_time",
    "sweep_million",
    "vector_operands",
    "vector_programs",
    "verilog_twice",
]

BENCHMARKS = Path(__file__).resolve().parents[1]
GEMMS = BENCHMARKS / "regressions" / "gemm.toml"
SPACES = BENCHMARKS / "spaces"

REGRESSION = """
configurations = [{ die.rows = 2, die.cols = 3 }]
shapes = ["5x7x3", "1x1x1", "9x4x8"]
forms = ["nn", "tn"]
"""


def same_bytes(left: Path, right: Path) -> int:
    """Files under both folders that are equal byte for byte. Raises ProbeError if any file differs or is missing."""
    names = {path.relative_to(left) for path in left.rglob("*") if path.is_file()}
    others = {path.relative_to(right) for path in right.rglob("*") if path.is_file()}
    if names != others:
        raise ProbeError(f"not in both: {', '.join(sorted(str(name) for name in names ^ others))}")
    for name in sorted(names):
        if (left / name).read_bytes() != (right / name).read_bytes():
            raise ProbeError(f"{name} differs")
    return len(names)


def verilog_twice() -> dict[str, Any]:
    """A die and a package, each generated twice by processes of their own: files that are the same."""
    designs = {"die": (), "package": ("--package", "-P", "die.rows=4", "-P", "die.cols=4")}
    result: dict[str, Any] = {}
    with temporary_folder() as top:
        for design, options in designs.items():
            folders = [top / f"{design}{number}" for number in (1, 2)]
            for folder in folders:
                hecaton_output("verilog", "-o", str(folder), *options)
            result[f"{design}_files"] = same_bytes(*folders)
    return result


def regression_resumed() -> dict[str, Any]:
    """A regression that is killed after some runs and started again: runs reused, and whether its table is that of a
    run without interruption.
    """
    with temporary_folder() as folder:
        matrix = folder / "matrix.toml"
        matrix.write_text(REGRESSION)
        words = ("cosim", "regress", str(matrix), "--records")
        whole = hecaton_output(*words, str(folder / "whole"))
        cut = folder / "cut"
        with subprocess.Popen(
            hecaton_command(*words, str(cut)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            while process.poll() is None and len(list(cut.glob("*.json"))) < 2:
                time.sleep(0.05)
            process.kill()
        kept = len(list(cut.glob("*.json")))
        again = hecaton_output(*words, str(cut))
        reused = json.loads(hecaton_output(*words, str(cut), "--json"))
        return {
            "kept": kept,
            "same_table": again == whole,
            "runs": reused["runs"],
            "reused_after_the_end": reused["reused"],
        }


def regression_simulators(
    matrix: Path = GEMMS, simulators: Sequence[str] = tuple(BACKENDS)
) -> dict[str, Any]:
    """A list of GEMMs in every simulator: runs in which bits, cycles or any counter differ from those in the first.

    Raises ProbeError if a run is out of bounds in any of them.
    """
    first: list[dict[str, Any]] = []
    different = []
    with temporary_folder() as folder:
        for simulator in simulators:
            words = ("--sim", simulator, "--records", str(folder / simulator), "--json")
            rows = json.loads(hecaton_output("cosim", "regress", str(matrix), *words))["rows"]
            print(f"{simulator}: {len(rows)} runs", file=sys.stderr, flush=True)
            results = [_simulated(Path(row["record"])) for row in rows]
            first = first or results
            if len(results) != len(first):
                raise ProbeError(f"{simulator}: {len(results)} runs instead of {len(first)}")
            pairs = zip(first, results, strict=True)
            different.append({"simulator": simulator, "runs": sum(left != right for left, right in pairs)})
    return {"simulators": len(simulators), "runs": len(first), "different": different}


def _simulated(record: Path) -> dict[str, Any]:
    """What a simulator determines in the record of a GEMM."""
    text = json.loads(record.read_text(encoding="utf-8"))
    names = (
        "m",
        "k",
        "n",
        "form",
        "seed",
        "cycles",
        "array_cycles",
        "mismatches",
        "counters",
        "verilog_sha256",
    )
    return {name: text[name] for name in names}


def generation_growth() -> dict[str, Any]:
    """Exponents of R C in the time and the size of generated dies: below 1 if they grow slower than the array."""
    seconds, sizes = [], []
    for size in SIZES:
        start = time.perf_counter()
        text = emit(die_of(size), None, conversions=Conversions()).text
        seconds.append(time.perf_counter() - start)
        sizes.append(float(len(text.encode())))
    return {"seconds_exponent": growth(SIZES, seconds), "bytes_exponent": growth(SIZES, sizes)}


def generation_cost() -> dict[str, Any]:
    """Processor time of a 128x128 die from the command to its files, and of the stock path for a 16x16 die.

    It does not depend on the load of the machine as much as wall-clock time, and the ratio depends on it least.
    """
    start = cpu_seconds()
    with temporary_folder() as folder:
        sizes = ("-P", "die.rows=128", "-P", "die.cols=128")
        written = json.loads(hecaton_output("verilog", "-o", str(folder / "die"), *sizes, "--json"))
    middle = cpu_seconds()
    stock_verilog(die_of(16), "die")
    return {
        "bytes": written["bytes"],
        "cpu_seconds": middle - start,
        "stock_cpu_seconds": cpu_seconds() - middle,
    }


def _run_vector(system: SystemSpec, program: str, **fields: Any) -> VectorRecord:
    """Run a vector program on a die with CXXRTL."""
    machine = {"die": system.die, "memory": system.memory, "vector": system.vector}
    return run_vector(vector_request(program=program, sim="cxxrtl", **machine, **fields))


def vector_programs() -> dict[str, Any]:
    """Every vector program on ragged matrices with random and with special numbers, on a die with CXXRTL."""
    system = load_system(None, ["die.rows=2", "die.cols=2"], preset="bench")
    rows = []
    for name in PROGRAM_NAMES:
        merges = name == "cross-entropy-merge"
        for seed, (height, width) in enumerate(((1, 1), (13, 22), (5, 37))):
            record = _run_vector(
                system,
                name,
                rows=height,
                cols=1 if merges else width + width % 2 * (name.startswith("rotary")),
                lines=3 if merges else 1,
                seed=seed,
                operands="special" if seed == 1 else "normal",
            )
            rows.append({"program": name, "results": record.results, "mismatches": record.mismatches})
    return {"programs": len(PROGRAM_NAMES), "rows": rows}


def vector_operands() -> dict[str, Any]:
    """Every vector program on all bf16 numbers, or on 65,536 pairs of fp32 numbers, with 16 seeds, in CXXRTL.

    Rows of 16 elements: few of their sums are NaN.
    """
    system = load_system(
        None, ["die.rows=2", "die.cols=2", f"die.scratchpad_bytes={1 << 23}"], preset="bench"
    )
    rows = []
    for name in PROGRAM_NAMES:
        merges = name == "cross-entropy-merge"
        results = mismatches = 0
        for seed in range(16):
            record = _run_vector(
                system,
                name,
                rows=1 << 12,
                cols=1 if merges else 16,
                lines=16 if merges else 1,
                seed=seed,
                operands="bits",
            )
            results, mismatches = results + record.results, mismatches + record.mismatches
        print(f"{name}: {results} results, {mismatches} mismatches", file=sys.stderr)
        rows.append({"program": name, "results": results, "mismatches": mismatches})
    return {"programs": len(PROGRAM_NAMES), "rows": rows}


def search_time() -> dict[str, float]:
    """Processor seconds of a projection of 405B on 1024 dies on a given mesh, with the search of the mesh, and of the
    search of all ways: the least of several runs.
    """
    system = load_system(None, [], preset="package")
    model, dies = "llama3.1-405b", 1024
    given = StepRequest(model, system, mesh=(32, 32))
    searched = StepRequest(model, system, dies=dies)
    return {
        "projection_seconds": least_seconds(lambda: project(given), 20),
        "mesh_search_seconds": least_seconds(lambda: project(searched), 20),
        "optimize_seconds": least_seconds(lambda: optimize(searched, "time", dies=dies), 3),
    }


def sweep_million(counts: int = 193) -> dict[str, float]:
    """The space of links with ``counts`` rates of a lane, 10^6 points by default: seconds of the command
    by its own clock and as a whole process, and of a projection of its machine alone.
    """
    links = (SPACES / "links.toml").read_text()
    few, many = "count = 15, scale", f"count = {counts}, scale"
    if few not in links:
        raise ProbeError(f"{SPACES / 'links.toml'}: has no {few!r} to replace")
    with temporary_folder() as folder:
        space = folder / "links.toml"
        space.write_text(links.replace(few, many))
        start = time.perf_counter()
        swept = json.loads(hecaton_output("sweep", str(space), "-o", str(folder / "o.parquet"), "--json"))
        whole = time.perf_counter() - start
    alone = StepRequest(
        "llama2-7b", load_system(None, [], preset="package"), mesh=(8, 8), sequence_length=4096
    )
    return {
        "points": swept["points"],
        "seconds": swept["seconds"],
        "whole_process_seconds": whole,
        "projection_seconds": least_seconds(lambda: project(alone), 20),
    }


PROBES: Mapping[str, Callable[[], dict[str, Any]]] = {
    "generation-cost": generation_cost,
    "generation-growth": generation_growth,
    "regression-resumed": regression_resumed,
    "regression-simulators": regression_simulators,
    "search-time": search_time,
    "sweep-million": sweep_million,
    "train-30-steps": train_text,
    "train-faults": train_faults,
    "train-flits": train_flits,
    "train-overlap": train_overlap,
    "train-prediction": train_prediction,
    "train-steps": train_steps,
    "vector-operands": vector_operands,
    "vector-programs": vector_programs,
    "verilog-twice": verilog_twice,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the probe that is named; return the exit code."""
    names = sys.argv[1:] if arguments is None else list(arguments)
    if len(names) != 1 or names[0] not in PROBES:
        print(f"error: needs one of {', '.join(PROBES)}", file=sys.stderr)
        return 2
    try:
        print(json.dumps(PROBES[names[0]]()))
    except ProbeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
