"""Co-simulation of a package: a GEMM spread over its dies, operands and result behind the IO dies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import Dtype
from cosim.backends.base import Backend
from cosim.backends.registry import backend
from cosim.golden.operands import random_operands
from cosim.golden.package import expected_parts
from cosim.jobs.folder import ResultWords
from cosim.observe.observation import NOTHING, Observation
from cosim.predict.package import predict_package
from cosim.program.layout import Places
from cosim.program.package import DiePart
from cosim.program.package_gemm import GEMM_PHASES, gemm_parts
from cosim.program.shape import Shape
from cosim.records.package import DieResult, PackageGemmRecord, PackageGemmRequest, PhaseResult
from cosim.run import package as package_run
from cosim.run.package import PreparedPackage
from cosim.run.simulation import Progress, check_dies
from rtl.interface.register_map import SIDES

__all__ = ["PreparedPackageGemm", "prepare", "run_package_gemm"]


@dataclass(frozen=True, kw_only=True)
class PreparedPackageGemm:
    """A GEMM on a package that was checked and is ready to run.

    Attributes
    ----------
    request
        What to run.
    a, b
        The operands as they are stored.
    parts
        The part of each die, in the order of the dies' numbers.
    programs
        The programs of the package.
    """

    request: PackageGemmRequest
    a: NDArray[Any]
    b: NDArray[Any]
    parts: list[DiePart]
    programs: PreparedPackage

    def run(self, progress: Progress | None = None) -> PackageGemmRecord:
        """Run the GEMM on all dies of the generated package together and return the record.

        ``progress`` is called periodically with the completed fraction of the phases.

        Raises
        ------
        ValueError, SimulationError, OSError
            As :meth:`cosim.run.package.PreparedPackage.run`.
        """
        request = self.request
        system = request.system
        die, package, word_bytes = system.die, system.package, system.memory.word_bytes
        expected = expected_parts(system, _shape(request), self.a, self.b, request.algorithm)
        run = self.programs.run(progress)
        phases = tuple(
            PhaseResult(
                name=name,
                cycles=phase.cycles,
                axi_reads=sum(counts["reads"] for counts in phase.axi.values()),
                axi_writes=sum(counts["writes"] for counts in phase.axi.values()),
                nop_flits=sum(
                    counters[f"flits_sent_{side}"] for counters in phase.counters for side in SIDES
                ),
            )
            for name, phase in run.phases.items()
        )
        cycles = sum(phase.cycles for phase in phases)
        dies = tuple(
            DieResult(
                row=number // package.cols,
                col=number % package.cols,
                macs=part.macs,
                utilization=part.macs / (cycles * die.macs_per_cycle),
                mismatches=_mismatches(part, golden, *result, dtype=die.dtype),
            )
            for number, (part, golden, result) in enumerate(
                zip(self.parts, expected, run.reads[phases[-1].name], strict=True)
            )
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
            mesh=request.mesh,
            rows=die.rows,
            cols=die.cols,
            dtype=die.dtype,
            cycles=cycles,
            predicted_cycles=self._predicted_cycles(),
            ideal_cycles=ideal,
            utilization=ideal / cycles,
            array_utilization=ideal
            / max(_array_cycles(counters) for counters in run.phases["gemm"].counters),
            mismatches=sum(result.mismatches for result in dies),
            phases=phases,
            dies=dies,
            axi_bytes={
                io_die: {
                    name: word_bytes * sum(phase.axi[io_die][name] for phase in run.phases.values())
                    for name in counts
                }
                for io_die, counts in run.phases[phases[0].name].axi.items()
            },
            least_axi_bytes=(request.m * request.k + request.k * request.n) * die.element_bytes
            + 4 * request.m * request.n,
            counters={name: tuple(phase.counters) for name, phase in run.phases.items()},
            link_faults=run.link_faults,
            link_ends=run.link_ends,
            seed=request.seed,
            **run.provenance,
        )

    def _predicted_cycles(self) -> int:
        request, work = self.request, [part.work for part in self.parts]
        times = predict_package(
            request.system,
            [die.programs[0] for die in work],
            [die.io_die for die in work],
            direct=request.direct,
            interval=request.interval,
        )
        return round(times.cycles)


def prepare(
    request: PackageGemmRequest, observation: Observation = NOTHING, *, simulator: Backend | None = None
) -> PreparedPackageGemm:
    """Check a request and make the programs of all dies, so that what cannot run is refused before anything is built.

    ``simulator`` replaces the one that the request names.

    Raises
    ------
    ValueError
        If the simulator is unknown, there are too many dies for a simulation, or a tile or a block does
        not fit a buffer of the dies; or as :func:`cosim.run.package.prepare`.
    """
    simulator = simulator or backend(request.sim)
    package = request.system.package
    check_dies("package", package.rows, package.cols)
    shape = _shape(request)
    rng = np.random.default_rng(request.seed)
    a, b = random_operands(rng, shape, dtype=request.system.die.dtype, operands=request.operands)
    places = Places()
    parts = gemm_parts(request.system, shape, a, b, algorithm=request.algorithm, places=places)
    programs = package_run.prepare(
        request.system,
        GEMM_PHASES,
        [part.work for part in parts],
        places,
        simulator,
        observation,
        direct=request.direct,
        stall=request.stall,
        interval=request.interval,
        seed=request.seed,
        title=f"{request.m}x{request.k}x{request.n} {request.form}, {request.mesh} dies",
        links=request.links,
        links_die=GEMM_PHASES[0],
    )
    return PreparedPackageGemm(request=request, a=a, b=b, parts=parts, programs=programs)


def run_package_gemm(
    request: PackageGemmRequest,
    progress: Progress | None = None,
    observation: Observation = NOTHING,
) -> PackageGemmRecord:
    """Prepare and run a GEMM on a package; see :func:`prepare` and :meth:`PreparedPackageGemm.run`."""
    return prepare(request, observation).run(progress)


def _array_cycles(counters: dict[str, int]) -> int:
    """Cycles of an array, from its first operand row to its last sum."""
    return counters["array_last"] - counters["array_first"]


def _shape(request: PackageGemmRequest) -> Shape:
    return Shape(m=request.m, k=request.k, n=request.n, form=request.form)


def _mismatches(part: DiePart, expected: NDArray[Any], result: ResultWords, *, dtype: Dtype) -> int:
    values, undefined = (part.elements(image, dtype) for image in result)
    return int(np.count_nonzero((expected != values) | (undefined != 0)))
