"""Timed runs: of a GEMM on a die or on a package, with any backend; and of a function."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chiplet.machine.config import load_system
from chiplet.machine.specs import DieSpec, Dtype, MemorySpec
from cosim.backends.base import Backend, Design, SimulationError
from cosim.jobs.die import DieOutcome
from cosim.jobs.package import PackageOutcome
from cosim.records.gemm import GemmRecord, GemmRequest
from cosim.records.package import PackageGemmRecord, package_gemm_request
from cosim.run import gemm, package_gemm
from cosim.run.die import die_bench
from cosim.run.simulation import least_depth
from rtl.bench.package import PackageBench
from rtl.block import Block

__all__ = ["Work", "cpu_seconds", "die_work", "least_seconds", "measure", "package_work"]

RUN_SECONDS = 30.0
"""Total time of the runs after which no other run starts."""


class _Prepared(Protocol):
    def run(self) -> GemmRecord | PackageGemmRecord: ...


@dataclass(frozen=True, kw_only=True)
class Work:
    """A GEMM on a design.

    Attributes
    ----------
    design, shape
        Names for the table: ``4x4`` is a die, ``2x2 of 4x4`` a package.
    block
        The design with its memories, as a block.
    prepare
        Makes the run on a backend.
    elapsed
        Wall-clock and processor seconds from start to done, from the folder of a run.
    """

    design: str
    shape: str
    block: Block
    prepare: Callable[[Backend], _Prepared]
    elapsed: Callable[[Path], tuple[float, float]]


def die_work(die: DieSpec, memory: MemorySpec, matrix: int, *, seed: int) -> Work:
    """A square GEMM on one die."""
    request = GemmRequest(m=matrix, k=matrix, n=matrix, die=die, memory=memory, seed=seed)

    def elapsed(folder: Path) -> tuple[float, float]:
        outcome = DieOutcome.load(folder)
        return outcome.seconds, outcome.cpu_seconds

    return Work(
        design=f"{die.rows}x{die.cols}",
        shape=f"{matrix}x{matrix}x{matrix}",
        block=die_bench(die, memory, gemm.prepare(request).program.memory_words),
        prepare=lambda backend: gemm.prepare(request, simulator=backend),
        elapsed=elapsed,
    )


def package_work(mesh: int, size: int, matrix: int, *, seed: int, dtype: Dtype = "bf16") -> Work:
    """A square GEMM on a square package of square dies, links with adapters."""
    keys = {
        "package.rows": mesh,
        "package.cols": mesh,
        "die.rows": size,
        "die.cols": size,
        "die.dtype": dtype,
    }
    system = load_system(None, [f"{key}={value}" for key, value in keys.items()], preset="bench")
    request = package_gemm_request(m=matrix, k=matrix, n=matrix, system=system, seed=seed)
    # The baseline writes out every word: no more of them than the run needs.
    depth = least_depth(package_gemm.prepare(request).programs.memory_words)

    def elapsed(folder: Path) -> tuple[float, float]:
        phases = PackageOutcome.load(folder, []).phases
        return sum(phase.seconds for phase in phases), sum(phase.cpu_seconds for phase in phases)

    return Work(
        design=f"{mesh}x{mesh} of {size}x{size}",
        shape=f"{matrix}x{matrix}x{matrix}",
        block=PackageBench(system=system, memory_depth=depth),
        prepare=lambda backend: package_gemm.prepare(request, simulator=backend),
        elapsed=elapsed,
    )


def least_seconds(run: Callable[[], object], times: int) -> float:
    """Processor seconds of the quickest of several runs, which other jobs do not lengthen."""
    seconds = []
    for _ in range(times):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds)


def cpu_seconds() -> float:
    """Processor time of this process and its children that have ended."""
    return time.process_time() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


class _Timed(Backend):
    """Another backend, with the seconds of its builds and runs."""

    def __init__(self, backend: Backend, elapsed: Callable[[Path], tuple[float, float]]) -> None:
        self._backend, self._elapsed = backend, elapsed
        self.name = backend.name
        self.build_seconds: list[float] = []
        self.runs: list[tuple[float, float]] = []

    def version(self) -> str:
        return self._backend.version()

    def build(self, design: Design) -> Path:
        start = time.perf_counter()
        model = self._backend.build(design)
        self.build_seconds.append(time.perf_counter() - start)
        return model

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._backend.run(model, top, bench, folder, environment)
        self.runs.append(self._elapsed(folder))


def measure(backend: Backend, work: Work, *, runs: int) -> dict[str, Any]:
    """Run a GEMM on a backend; return its row of the table.

    Raises
    ------
    SimulationError
        If it does not run, or any bit of its result is wrong.
    """
    timed = _Timed(backend, work.elapsed)
    while True:
        record = work.prepare(timed).run()
        if record.mismatches:
            raise SimulationError(f"{backend.name}: {record.mismatches} results differ from the golden model")
        if len(timed.runs) == runs or sum(seconds for seconds, _ in timed.runs) > RUN_SECONDS:
            break
    seconds, cpu_seconds = (min(times) for times in zip(*timed.runs, strict=True))
    return {
        "design": work.design,
        "gemm": work.shape,
        "simulator": backend.name,
        "cycles": record.cycles,
        "array_use": record.ideal_cycles / record.cycles,
        "seconds": seconds,
        "cycles_per_second": record.cycles / seconds,
        "cpu_seconds": cpu_seconds,
        "cycles_per_cpu_second": record.cycles / cpu_seconds,
        "build_seconds": timed.build_seconds[0],
        "runs": len(timed.runs),
    }
