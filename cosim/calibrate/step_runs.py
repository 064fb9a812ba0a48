"""A step of few operators on a generated package of one die: its programs, its cycles, and its words compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from chiplet.dataflow.fused_operators import fused_operators
from chiplet.dataflow.package_play import StepTerms
from chiplet.dataflow.predicted_step import busy_cycles, played_step
from chiplet.graph.graph import Graph
from chiplet.graph.operators import Move
from chiplet.machine.specs import SystemSpec
from cosim.backends.registry import backend
from cosim.calibrate.step_graphs import SIZES, StepWork
from cosim.compile.compiled_step import CompiledStep
from cosim.compile.compiler import compile_graph
from cosim.compile.images import packed, stored_words
from cosim.compile.inspection.check import check_step
from cosim.golden.interpreter import Interpreter
from cosim.golden.package_interpreter import run_package
from cosim.jobs.folder import ResultWords
from cosim.jobs.package import Region
from cosim.observe.observation import NOTHING
from cosim.program.layout import Places
from cosim.program.package import DieWork
from cosim.records.base import Provenance
from cosim.run import package as package_run
from cosim.run.training.training_record import measured_busy

__all__ = ["StepRun", "StepRunRequest", "run_step"]

CYCLES = "cycles"


@dataclass(frozen=True, kw_only=True)
class StepRunRequest:
    """``work`` on a package of one die, with links without adapters, on random operands."""

    work: StepWork
    system: SystemSpec
    seed: int
    sim: str

    @cached_property
    def compiled(self) -> CompiledStep:
        """Its programs, in the order of the graph's operators.

        Raises ValueError if it does not fit the die, or the check of compiled steps finds a fault.
        """
        graph: Graph = self.work.graph()
        compiled = compile_graph(graph, SIZES, self.system, fused_operators(graph.order(1)))
        check_step(compiled)
        return compiled

    def predicted(self, terms: StepTerms) -> dict[str, float]:
        """Predicted cycles, and busy cycles by unit. Operators follow each other here: none meets another in a bank."""
        compiled = self.compiled
        play = played_step(
            compiled.graph, SIZES, self.system, terms, compiled.order, direct=True, meets=False
        )
        return {CYCLES: play.cycles, **busy_cycles(play)}


@dataclass(frozen=True, kw_only=True)
class StepRun:
    """A measured step: its cycles, and busy cycles by unit; and bytes stored that differ from the interpreter's.

    ``provenance`` is None if it was not simulated.
    """

    request: StepRunRequest
    measured: Mapping[str, int]
    mismatches: int
    provenance: Provenance | None = field(repr=False)


def run_step(request: StepRunRequest) -> StepRun:
    """Run a step on the generated package, and compare what it stores with the same programs in numpy.

    Raises
    ------
    ValueError, SimulationError, OSError
        As :func:`cosim.run.package.prepare` and :meth:`cosim.run.package.PreparedPackage.run`.
    """
    compiled, system = request.compiled, request.system
    (die,) = compiled.dies
    rng = np.random.default_rng(request.seed)
    image = {}
    for tensor in die.memory.values():
        values = rng.standard_normal((tensor.storage.rows, tensor.storage.cols)).astype(np.float32)
        bits = values.view(np.uint32)
        bf16 = tensor.storage.element == "bf16"
        patterns = (bits >> 16).astype(np.uint16) if bf16 else bits
        image[tensor.storage.run.word] = packed(patterns, tensor.storage)
    image |= {word: bytes(system.memory.word_bytes) for word in die.constants.values()}
    stored = {
        name
        for operator, _, _ in compiled.graph.order(1)
        if isinstance(operator, Move) and operator.direction == "store"
        for name in operator.tensors
    }
    regions = [
        Region(io_die=die.io_die, address=tensor.storage.run.word, words=stored_words(tensor.storage))
        for tensor in die.memory.values()
        if tensor.name in stored
    ]
    program = [*die.commands]
    expected = Interpreter(
        die=system.die, memory=system.memory, words=compiled.memory_words, vector=system.vector
    )
    for address, content in image.items():
        expected.write_memory(address, content)
    run_package(system, [expected], [program])
    run = package_run.prepare(
        system,
        ["step"],
        [DieWork(io_die=die.io_die, image=image, programs=[program], reads=[regions])],
        Places({**compiled.places.used}),
        backend(request.sim),
        NOTHING,
        direct=True,
        stall=0.0,
        interval=1,
        seed=request.seed,
        title=f"step of {request.work}",
    ).run()
    mismatches = sum(
        _differences(read, expected.result(region.address, region.words))
        for region, read in zip(regions, run.reads["step"][0], strict=True)
    )
    phase = run.phases["step"]
    measured = {CYCLES: phase.cycles, **measured_busy(phase.counters)}
    return StepRun(request=request, measured=measured, mismatches=mismatches, provenance=run.provenance)


def _differences(read: ResultWords, wanted: ResultWords) -> int:
    """Bytes with a bit that is not the wanted one, or not defined, where it has to be."""
    values, undefined = (np.frombuffer(part, np.uint8) for part in read)
    right, free = (np.frombuffer(part, np.uint8) for part in wanted)
    return int(np.count_nonzero((values ^ right | undefined) & ~free))
