"""Co-simulation of a package: a GEMM spread over its dies, operands and result behind the IO dies."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import Dtype
from cosim.backends.registry import backend
from cosim.golden.operands import random_operands
from cosim.golden.package import expected_parts
from cosim.observe.observation import NOTHING, Observation
from cosim.program.layout import Places
from cosim.program.package_gemm import GEMM_PHASES, DiePart, gemm_parts
from cosim.program.shape import Shape
from cosim.records.package import DieResult, PackageGemmRecord, PackageGemmRequest, PhaseResult
from cosim.run.package import run_phases
from rtl.interface.register_map import SIDES

__all__ = [
    "prepare",
    "run_package_gemm",
]

MOST_DIES = 256
"""Larger packages take hours to build, and show nothing that smaller ones do not."""


def prepare(request: PackageGemmRequest) -> tuple[list[DiePart], Places, list[NDArray[Any]]]:
    """Return the parts of the dies, what they have in memory, and their golden results, so that what cannot run is refused before it does.

    Raises
    ------
    ValueError
        If the simulator is unknown, there are too many dies to be simulated, or a block does not fit the exchange
        buffer or the buffers of a die.
    """
    backend(request.sim)
    package = request.system.package
    if package.dies > MOST_DIES:
        raise ValueError(
            f"package: {package.rows} x {package.cols} dies: must be at most {MOST_DIES} for a simulation"
        )
    shape = Shape(m=request.m, k=request.k, n=request.n, form=request.form)
    rng = np.random.default_rng(request.seed)
    a, b = random_operands(rng, shape, dtype=request.system.die.dtype, operands=request.operands)
    places = Places()
    parts = gemm_parts(request.system, shape, a, b, algorithm=request.algorithm, places=places)
    return parts, places, expected_parts(request.system, shape, a, b, request.algorithm)


def run_package_gemm(
    request: PackageGemmRequest,
    progress: Callable[[float], None] | None = None,
    observation: Observation = NOTHING,
) -> PackageGemmRecord:
    """Run a GEMM on all dies of the generated package together and return the record.

    ``progress`` is told, now and then, which part of the phases is over. ``observation`` says what else to keep.

    Raises
    ------
    ValueError
        As :func:`prepare` and :func:`cosim.run.package.run_phases`.
    SimulationError
        If the simulator is missing, a link is dead, or the package does not end.
    OSError
        If a file of the observation cannot be written.
    """
    parts, places, expected = prepare(request)
    simulator = backend(request.sim)
    system = request.system
    die, package, word_bytes = system.die, system.package, system.memory.word_bytes
    run = run_phases(
        system,
        GEMM_PHASES,
        [part.work for part in parts],
        places,
        simulator,
        direct=request.direct,
        stall=request.stall,
        interval=request.interval,
        seed=request.seed,
        progress=progress,
        observation=observation,
        title=f"{request.m}x{request.k}x{request.n} {request.form}, {package.rows}x{package.cols} dies",
    )
    names = [
        name for number, name in enumerate(GEMM_PHASES) if any(part.work.programs[number] for part in parts)
    ]
    outcomes = dict(zip(names, run.outcome.phases, strict=True))
    phases = tuple(
        PhaseResult(
            name=name,
            cycles=phase.cycles,
            axi_reads=sum(counts["reads"] for counts in phase.axi.values()),
            axi_writes=sum(counts["writes"] for counts in phase.axi.values()),
            nop_flits=sum(counters[f"flits_sent_{side}"] for counters in phase.counters for side in SIDES),
        )
        for name, phase in outcomes.items()
    )
    cycles = sum(phase.cycles for phase in phases)
    dies = tuple(
        DieResult(
            row=number // package.cols,
            col=number % package.cols,
            macs=part.macs,
            utilization=part.macs / (cycles * die.macs_per_cycle),
            mismatches=_mismatches(part, right, *result, dtype=die.dtype),
        )
        for number, (part, right, result) in enumerate(zip(parts, expected, run.outcome.results, strict=True))
    )
    macs = request.m * request.k * request.n
    ideal = -(-macs // (die.macs_per_cycle * package.dies))
    return PackageGemmRecord(
        request=request,
        m=request.m,
        k=request.k,
        n=request.n,
        form=request.form,
        algorithm=request.algorithm,
        mesh=f"{package.rows}x{package.cols}",
        rows=die.rows,
        cols=die.cols,
        dtype=die.dtype,
        cycles=cycles,
        ideal_cycles=ideal,
        utilization=ideal / cycles,
        array_utilization=ideal / outcomes["multiply"].cycles,
        mismatches=sum(each.mismatches for each in dies),
        phases=phases,
        dies=dies,
        axi_bytes={
            io_die: {
                name: word_bytes * sum(phase.axi[io_die][name] for phase in outcomes.values())
                for name in counts
            }
            for io_die, counts in run.outcome.phases[0].axi.items()
        },
        least_axi_bytes=(request.m * request.k + request.k * request.n) * die.element_bytes
        + 4 * request.m * request.n,
        counters={name: tuple(phase.counters) for name, phase in outcomes.items()},
        seed=request.seed,
        sim=request.sim,
        simulator_version=simulator.version(),
        hecaton_version=version("hecaton"),
        verilog_sha256=run.emitted.sha256,
        wall_seconds=run.wall_seconds,
    )


def _mismatches(
    part: DiePart, expected: NDArray[Any], result: bytes, undefined: bytes, *, dtype: Dtype
) -> int:
    found, unknown = (part.elements(image, dtype) for image in (result, undefined))
    return int(np.count_nonzero((expected != found) | (unknown != 0)))
