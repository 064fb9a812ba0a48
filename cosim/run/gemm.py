"""Co-simulation of one GEMM: schedule, simulate, compare with the golden model, record."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import DieSpec, MemorySpec
from chiplet.machine.terms import DieTerms, floor_cycles
from cosim.backends.base import Backend
from cosim.backends.registry import backend
from cosim.golden.gemm import gemm
from cosim.golden.operands import random_operands
from cosim.jobs.die import FOLDER_VARIABLE, DieJob, Outcome, save_image
from cosim.observe.observation import NOTHING, Observation, ObservedDie
from cosim.predict.die import predict
from cosim.program.command import program_image
from cosim.program.gemm import GemmProgram, schedule_gemm
from cosim.program.layout import pack, unpack
from cosim.program.shape import Shape, gemm_forms
from cosim.program.tiling import tile_cycles
from cosim.records.gemm import GemmRecord, GemmRequest
from cosim.run.designs import emitted_once
from cosim.run.simulation import bench_depth, watch, with_inferred_sram
from rtl.bench.die import DieBench
from rtl.emit.emitter import Emitted

__all__ = [
    "die_bench",
    "emit_bench",
    "prepare",
    "run_gemm",
]


def emit_bench(die: DieSpec, memory: MemorySpec, memory_words: int) -> Emitted:
    """Return the Verilog of :func:`die_bench`."""
    return emitted_once(
        DieBench, die=with_inferred_sram(die), memory=memory, memory_depth=bench_depth(memory_words)
    )


def die_bench(die: DieSpec, memory: MemorySpec, memory_words: int) -> DieBench:
    """Return a die with a memory of at least ``memory_words``.

    The memory is a power of two, so that few designs serve many shapes. SRAMs are inferred ones, which do what is
    asked of a macro: a macro has no contents here.
    """
    return DieBench(die=with_inferred_sram(die), memory=memory, memory_depth=bench_depth(memory_words))


def prepare(request: GemmRequest) -> GemmProgram:
    """Return the program of a request, so that what cannot run is refused before anything does.

    Raises
    ------
    ValueError
        If the simulator is unknown, or the shape is out of range or does not fit the die.
    """
    backend(request.sim)
    memory = request.memory
    shape = Shape(m=request.m, k=request.k, n=request.n, form=request.form)
    stored = _stored_bytes(request, shape)
    if stored > memory.bench_bytes:
        raise ValueError(
            f"{shape.m}x{shape.k}x{shape.n} ({shape.form}) needs {stored} bytes of memory: "
            f"memory.bench_bytes must be at least that, is {memory.bench_bytes}"
        )
    return schedule_gemm(request.die, memory, shape)


def _stored_bytes(request: GemmRequest, shape: Shape) -> int:
    """Bytes of operands and result in memory, each row filled up to whole words."""
    word, element = request.memory.word_bytes, request.die.element_bytes
    return sum(
        rows * -(-cols * size // word) * word
        for (rows, cols), size in (
            (shape.stored_a, element),
            (shape.stored_b, element),
            ((shape.m, shape.n), 4),
        )
    )


def run_gemm(
    request: GemmRequest,
    terms: DieTerms | None = None,
    progress: Callable[[float], None] | None = None,
    observation: Observation = NOTHING,
    *,
    simulator: Backend | None = None,
) -> GemmRecord:
    """Run a GEMM on the generated die and return the record.

    ``terms`` are those of the prediction: the design's, unless a calibration is at hand. ``progress`` is told, now
    and then, which part of the predicted cycles has passed. ``observation`` says what else to keep of the run.
    ``simulator`` takes the place of the one that the request names.

    Raises
    ------
    ValueError
        If the shape is out of range or does not fit the die, or the simulator does not write such waveforms.
    SimulationError
        If the simulator is missing, or the die does not end.
    OSError
        If a file of the observation cannot be written.
    """
    program = prepare(request)
    simulator = observation.prepare(simulator or backend(request.sim))
    die, memory, shape = request.die, request.memory, program.shape
    rng = np.random.default_rng(request.seed)
    a, b = random_operands(rng, shape, dtype=die.dtype, operands=request.operands)

    timeline = predict(program, die, memory, terms or DieTerms(), interval=request.interval)
    emitted = emit_bench(die, memory, program.memory_words)
    model = simulator.build(emitted)
    dies = [ObservedDie(path="die", commands=program.commands)]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="hecaton-") as name:
        folder = Path(name)
        with watch(folder, timeline.cycles, progress):
            outcome, result, undefined = _simulate(
                simulator, model, emitted.top, folder, request, program, a, b, observation.signals(dies)
            )
        wall_seconds = time.perf_counter() - start
        observation.keep(
            folder,
            simulator,
            emitted,
            dies,
            command_words=memory.command_words,
            title=f"{shape.m}x{shape.k}x{shape.n} {shape.form}, {die.rows}x{die.cols} {die.dtype}",
        )

    expected = gemm(*gemm_forms(a, b, form=request.form), rows=die.rows, dtype=die.dtype)
    found = unpack(result, program.y, dtype=die.dtype)
    unknown = unpack(undefined, program.y, dtype=die.dtype)
    mismatches = int(np.count_nonzero((expected != found) | (unknown != 0)))
    counters = outcome.counters
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
        floor_cycles=_floor(die, shape),
        predicted_cycles=round(timeline.cycles),
        predicted_array_cycles=round(timeline.array_cycles),
        utilization=ideal / array_cycles,
        mismatches=mismatches,
        counters=counters,
        commands=len(program.commands),
        seed=request.seed,
        sim=request.sim,
        simulator_version=simulator.version(),
        hecaton_version=version("hecaton"),
        verilog_sha256=emitted.sha256,
        wall_seconds=wall_seconds,
    )


def _simulate(
    simulator: Backend,
    model: Path,
    top: str,
    folder: Path,
    request: GemmRequest,
    program: GemmProgram,
    a: NDArray[Any],
    b: NDArray[Any],
    observed: list[str],
) -> tuple[Outcome, bytes, bytes]:
    memory = request.memory
    word = memory.word_bytes
    job = DieJob(
        word_bytes=word,
        program_address=program.program_address,
        commands=len(program.commands),
        result_address=program.y.address,
        result_words=program.y.end - program.y.address,
        latency=memory.latency_cycles,
        interval=request.interval,
        stall=round(request.stall * 65536),
        seed=request.seed % ((1 << 32) - 1) + 1,
        most_cycles=_most_cycles(request, program),
        observed=observed,
    )
    job.save(folder)
    save_image(
        folder,
        {
            program.a.address: pack(a, program.a, word_bytes=word),
            program.b.address: pack(b, program.b, word_bytes=word),
            program.program_address: program_image(program.commands, memory),
        },
    )
    simulator.run(model, top, "cosim.benches.die", folder, {FOLDER_VARIABLE: str(folder)})
    return Outcome.load(folder)


def _floor(die: DieSpec, shape: Shape) -> int:
    return floor_cycles(rows=die.rows, cols=die.cols, stages=die.stages, m=shape.m, k=shape.k, n=shape.n)


def _most_cycles(request: GemmRequest, program: GemmProgram) -> int:
    """Cycles after which a run is given up: twice those of everything one after the other, with stalls."""
    die, memory = request.die, request.memory
    # A word alone: its request, its way, and its elements one by one into a buffer of one bank.
    word = request.interval + memory.latency_cycles + memory.word_bytes
    cycles = 0
    for command in program.commands:
        fields = command.fields
        words = fields.get("words", fields.get("panels", 0) * (-(-4 * die.cols // memory.word_bytes) + 1))
        cycles += (fields.get("rows", 0) * words + memory.command_words) * word
        cycles += fields.get("panels", 0) * fields.get("k_tiles", 0) * tile_cycles(die, fields.get("m", 0))
        cycles += die.rows * (die.stages + 1) + die.cols
    return int(2 * cycles / (1 - request.stall)) + 10_000
