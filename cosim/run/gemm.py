"""Co-simulation of one GEMM: schedule, simulate, compare with the golden model, record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chiplet.machine.specs import DieSpec, MemorySpec
from chiplet.machine.terms import DieTerms, floor_cycles
from cosim.backends.base import Backend
from cosim.backends.registry import backend
from cosim.golden.gemm import gemm
from cosim.golden.operands import random_operands
from cosim.jobs.die import DieJob, DieOutcome
from cosim.jobs.folder import ResultWords, load_result, save_image
from cosim.observe.observation import NOTHING, Observation, ObservedDie
from cosim.predict.die import predict
from cosim.program.checker.die_checker import CheckedDie, check_program
from cosim.program.command import program_image
from cosim.program.gemm import GemmProgram, schedule_gemm
from cosim.program.layout import pack, unpack
from cosim.program.shape import Shape, gemm_forms
from cosim.program.tiling import tile_cycles
from cosim.records.gemm import GemmRecord, GemmRequest, spent_cycles
from cosim.run.designs import emitted_once
from cosim.run.simulation import (
    Progress,
    Simulation,
    bench_depth,
    built_memory,
    least_depth,
    nonzero_seed,
    stall_threshold,
    with_inferred_sram,
)
from rtl.bench.die import DieBench
from rtl.emit.emitter import Emitted

__all__ = ["PreparedGemm", "die_bench", "emit_bench", "prepare", "run_gemm"]


def emit_bench(die: DieSpec, memory: MemorySpec, memory_words: int) -> Emitted:
    """Return the Verilog of a die with a memory of at least ``memory_words``."""
    return emitted_once(
        DieBench,
        die=with_inferred_sram(die),
        memory=built_memory(memory),
        memory_depth=bench_depth(memory_words, memory),
    )


def die_bench(die: DieSpec, memory: MemorySpec, memory_words: int) -> DieBench:
    """Return a die with a memory of ``memory_words``, rounded up to a power of two, for tools that write all of it."""
    return DieBench(die=with_inferred_sram(die), memory=memory, memory_depth=least_depth(memory_words))


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

    def emit(self) -> Emitted:
        """Return the Verilog of the bench."""
        return emit_bench(self.request.die, self.request.memory, self.program.memory_words)

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
        checked = CheckedDie(
            die=die,
            memory=memory,
            memory_words=program.memory_words,
            program_words=range(program.program_address, program.memory_words),
            inputs=[range(program.a.address, program.b.end)],
        )
        check_program(checked, program.commands)
        rng = np.random.default_rng(request.seed)
        a, b = random_operands(rng, shape, dtype=die.dtype, operands=request.operands)
        expected = gemm(*gemm_forms(a, b, form=request.form), rows=die.rows, dtype=die.dtype)
        timeline = predict(program, die, memory, terms or DieTerms(), interval=request.interval)

        def write_inputs(folder: Path, observed: list[str]) -> None:
            word = memory.word_bytes
            _job(request, program, observed).save(folder)
            save_image(
                folder,
                {
                    program.a.address: pack(a, program.a, word_bytes=word),
                    program.b.address: pack(b, program.b, word_bytes=word),
                    program.program_address: program_image(program.commands, memory),
                },
            )

        simulated = Simulation(
            bench="cosim.benches.die",
            emit=self.emit,
            write_inputs=write_inputs,
            load_outcome=_load,
            total_progress=timeline.cycles,
            dies=[ObservedDie(path="die", commands=program.commands)],
            command_words=memory.command_words,
            title=f"{shape.m}x{shape.k}x{shape.n} {shape.form}, {die.rows}x{die.cols} {die.dtype}",
        ).run(self.simulator, observation=self.observation, progress=progress)

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


def _job(request: GemmRequest, program: GemmProgram, observed: list[str]) -> DieJob:
    memory = request.memory
    return DieJob(
        word_bytes=memory.word_bytes,
        memory_words=bench_depth(program.memory_words, memory),
        program_address=program.program_address,
        commands=len(program.commands),
        result_address=program.y.address,
        result_words=program.y.end - program.y.address,
        latency=memory.latency_cycles,
        interval=request.interval,
        stall=stall_threshold(request.stall),
        seed=nonzero_seed(request.seed, 32),
        most_cycles=_most_cycles(request, program),
        observed=observed,
    )


def _load(folder: Path) -> tuple[dict[str, int], ResultWords]:
    return DieOutcome.load(folder).counters, load_result(folder)


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
