"""Co-simulation of one GEMM: schedule, simulate, compare with the golden model, record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chiplet.layout.block_sizes import tile_cycles
from chiplet.machine.terms import DieTerms, floor_cycles
from cosim.backends.base import Backend
from cosim.backends.registry import backend
from cosim.golden.gemm import gemm
from cosim.golden.operands import random_operands
from cosim.observe.observation import NOTHING, Observation
from cosim.predict.die import predict
from cosim.program.gemm import GemmProgram, schedule_gemm
from cosim.program.layout import pack, unpack
from cosim.program.shape import Shape, gemm_forms
from cosim.records.gemm import GemmRecord, GemmRequest, spent_cycles
from cosim.run.die import DieRun
from cosim.run.simulation import Progress
from rtl.emit.emitter import Emitted

__all__ = ["PreparedGemm", "prepare", "run_gemm"]


@dataclass(frozen=True, kw_only=True)
class PreparedGemm:
    """A GEMM that was checked and is ready to run.

    Attributes
    ----------
    request
        What to run.
    program
        The program of the die.
    simulator, observation
        What runs it, and what else to keep of the run.
    """

    request: GemmRequest
    program: GemmProgram
    simulator: Backend
    observation: Observation

    @property
    def die_run(self) -> DieRun:
        """The run of the die's program."""
        request, program = self.request, self.program
        return DieRun(
            die=request.die,
            memory=request.memory,
            commands=program.commands,
            memory_words=program.memory_words,
            program_address=program.program_address,
            inputs=range(program.a.address, program.b.end),
            results=range(program.y.address, program.y.end),
            interval=request.interval,
            stall=request.stall,
            seed=request.seed,
        )

    def emit(self) -> Emitted:
        """Return the Verilog of the bench."""
        return self.die_run.emit()

    def run(self, terms: DieTerms | None = None, progress: Progress | None = None) -> GemmRecord:
        """Run the GEMM on the generated die and return the record.

        ``terms`` are those of the prediction: the design's unless given. ``progress`` is called periodically with
        the completed fraction of the predicted cycles.

        Raises
        ------
        ValueError
            If the program breaks what a program must keep.
        SimulationError
            If the simulator is missing, or the die does not finish.
        OSError
            If a file of the observation cannot be written.
        """
        request, program = self.request, self.program
        die, memory, shape = request.die, request.memory, program.shape
        run = self.die_run
        run.check()
        rng = np.random.default_rng(request.seed)
        a, b = random_operands(rng, shape, dtype=die.dtype, operands=request.operands)
        expected = gemm(*gemm_forms(a, b, form=request.form), rows=die.rows, dtype=die.dtype)
        timeline = predict(program, die, memory, terms or DieTerms.of_design(die), interval=request.interval)

        simulated = run.simulate(
            self.simulator,
            {
                program.a.address: pack(a, program.a, word_bytes=memory.word_bytes),
                program.b.address: pack(b, program.b, word_bytes=memory.word_bytes),
            },
            predicted=timeline.cycles,
            most_cycles=_most_cycles(request, program),
            title=f"{shape.m}x{shape.k}x{shape.n} {shape.form}, {die.rows}x{die.cols} {die.dtype}",
            observation=self.observation,
            progress=progress,
        )

        counters, result = simulated.outcome
        values, undefined = (unpack(image, program.y, dtype=die.dtype) for image in result)
        array_cycles = counters["array_last"] - counters["array_first"]
        ideal = -(-shape.m * shape.k * shape.n // die.macs_per_cycle)
        return GemmRecord(
            request=request,
            m=shape.m,
            k=shape.k,
            n=shape.n,
            form=shape.form,
            rows=die.rows,
            cols=die.cols,
            dtype=die.dtype,
            cycles=counters["cycles"],
            array_cycles=array_cycles,
            ideal_cycles=ideal,
            floor_cycles=floor_cycles(
                rows=die.rows, cols=die.cols, stages=die.stages, m=shape.m, k=shape.k, n=shape.n
            ),
            predicted_cycles=round(timeline.cycles),
            predicted_array_cycles=round(timeline.array_cycles),
            utilization=ideal / array_cycles,
            total_utilization=ideal / counters["cycles"],
            spent=spent_cycles(counters, macs_per_cycle=die.macs_per_cycle),
            mismatches=int(np.count_nonzero((expected != values) | (undefined != 0))),
            counters=counters,
            commands=len(program.commands),
            seed=request.seed,
            **simulated.provenance,
        )


def prepare(
    request: GemmRequest, observation: Observation = NOTHING, *, simulator: Backend | None = None
) -> PreparedGemm:
    """Check a request and make its program, so that what cannot run is refused before anything is built.

    ``simulator`` replaces the one that the request names.

    Raises
    ------
    ValueError
        If the simulator is unknown or does not write the requested waveforms, or the shape is out of range or does
        not fit the die.
    """
    simulator = simulator or backend(request.sim)
    memory = request.memory
    shape = Shape(m=request.m, k=request.k, n=request.n, form=request.form)
    stored = _stored_bytes(request, shape)
    if stored > memory.bench_bytes:
        raise ValueError(
            f"{shape.m}x{shape.k}x{shape.n} ({shape.form}) needs {stored} bytes of memory: "
            f"memory.bench_bytes must be at least that, is {memory.bench_bytes}"
        )
    program = schedule_gemm(request.die, memory, shape)
    return PreparedGemm(
        request=request,
        program=program,
        simulator=observation.instrument(simulator),
        observation=observation,
    )


def run_gemm(
    request: GemmRequest,
    terms: DieTerms | None = None,
    progress: Progress | None = None,
    observation: Observation = NOTHING,
) -> GemmRecord:
    """Prepare and run a GEMM; see :func:`prepare` and :meth:`PreparedGemm.run`."""
    return prepare(request, observation).run(terms, progress)


def _stored_bytes(request: GemmRequest, shape: Shape) -> int:
    """Bytes of operands and result in memory, each row padded to whole words."""
    word, element = request.memory.word_bytes, request.die.element_bytes
    return sum(
        rows * -(-cols * size // word) * word
        for (rows, cols), size in (
            (shape.stored_a, element),
            (shape.stored_b, element),
            ((shape.m, shape.n), 4),
        )
    )


def _most_cycles(request: GemmRequest, program: GemmProgram) -> int:
    """Cycles after which a run is given up: twice those of everything one after the other, with stalls."""
    die, memory = request.die, request.memory
    # A word alone: its request, its latency, and its elements one by one into a buffer of one bank.
    word = request.interval + memory.latency_cycles + memory.word_bytes
    cycles = 0
    for command in program.commands:
        fields = command.fields
        words = fields.get("words", fields.get("panels", 0) * (-(-4 * die.cols // memory.word_bytes) + 1))
        cycles += (fields.get("rows", 0) * words + memory.command_words) * word
        cycles += fields.get("panels", 0) * fields.get("k_tiles", 0) * tile_cycles(die, fields.get("m", 0))
        cycles += die.rows * (die.stages + 1) + die.cols
    return int(2 * cycles / (1 - request.stall)) + 10_000
