"""Co-simulation of a package: a GEMM on every die at once, operands and results behind the shared IO dies."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from chiplet.specs import SystemSpec
from chiplet.timing import DieTerms
from cosim import golden
from cosim.backends.registry import backend
from cosim.designs import emitted_once
from cosim.job import FOLDER_VARIABLE, save_image
from cosim.operands import Operands, pack, random_operand, unpack
from cosim.package_job import PackageJob, PackageOutcome, Program, Region
from cosim.scheduler import GemmProgram, Matrix, schedule_gemm
from cosim.tiling import Form, Shape
from cosim.timeline import predict
from rtl.bench.package import PackageBench, contents_name
from rtl.emit import Emitted
from rtl.isa import Opcode
from rtl.package import io_die_names

__all__ = ["PackageGemmRecord", "PackageGemmRequest", "emit_package_bench", "moved", "run_package_gemm"]

LEAST_MEMORY_WORDS = 4096
PATIENCE = 20
"""Cycles before a run is given up, over those of the programs one after the other on a port of their own."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PackageGemmRequest(_Model):
    """A GEMM for every die of a package, each with operands of its own.

    ``stall`` and ``interval`` are those of each memory, see :class:`cosim.record.GemmRequest`. With ``direct`` there
    are no link adapters between the routers.
    """

    m: int
    k: int
    n: int
    form: Form = "nn"
    system: SystemSpec
    seed: Annotated[int, Field(ge=0, lt=1 << 31)] = 0
    stall: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    interval: Annotated[int, Field(ge=1, le=1 << 15)] = 1
    operands: Operands = "normal"
    sim: str = "icarus"
    direct: bool = False


class PackageGemmRecord(_Model):
    """Measured GEMMs of a package.

    Attributes
    ----------
    request
        What was run.
    cycles
        From the common start to the end of the last program.
    mismatches
        Result elements of each die that differ from the golden model, or are undefined, in any bit.
    counters
        Of each die.
    sim, simulator_version, hecaton_version, verilog_sha256
        What ran it, and the design that ran.
    wall_seconds
        Time of the simulation, without building.
    """

    request: PackageGemmRequest
    cycles: int
    mismatches: tuple[int, ...]
    counters: tuple[dict[str, int], ...]
    sim: str
    simulator_version: str
    hecaton_version: str
    verilog_sha256: str
    wall_seconds: float


def emit_package_bench(system: SystemSpec, memory_words: int, *, direct: bool) -> Emitted:
    """Return the Verilog of a package with memories of at least ``memory_words``, a power of two.

    SRAMs are inferred ones: a macro has no contents here.

    Raises
    ------
    ValueError
        If the package cannot be made, see :class:`rtl.package.Package`.
    """
    die = system.die.model_copy(update={"sram": "inferred"})
    return emitted_once(
        PackageBench,
        system=system.model_copy(update={"die": die}),
        memory_depth=max(LEAST_MEMORY_WORDS, 1 << (memory_words - 1).bit_length()),
        direct=direct,
    )


def moved(program: GemmProgram, words: int) -> GemmProgram:
    """Return the same program with everything that it has in memory ``words`` words further on."""

    def move(matrix: Matrix) -> Matrix:
        return dataclasses.replace(matrix, address=matrix.address + words)

    return dataclasses.replace(
        program,
        a=move(program.a),
        b=move(program.b),
        y=move(program.y),
        commands=tuple(
            dataclasses.replace(
                command, fields={**command.fields, "address": command.fields["address"] + words}
            )
            if command.opcode in (Opcode.LOAD, Opcode.STORE)
            else command
            for command in program.commands
        ),
        program_address=program.program_address + words,
        memory_words=program.memory_words + words,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _DieWork:
    """What a die has to do: the IO die that serves it, its program and its operands as they are stored."""

    io_die: str
    program: GemmProgram
    a: NDArray[Any]
    b: NDArray[Any]


def _plan(request: PackageGemmRequest) -> list[_DieWork]:
    """Programs and operands of the dies, those of an IO die one after the other in its memory."""
    system = request.system
    die, package = system.die, system.package
    shape = Shape(m=request.m, k=request.k, n=request.n, form=request.form)
    program = schedule_gemm(die, system.memory, shape)
    names = io_die_names(system)
    rng = np.random.default_rng(request.seed)
    used = dict.fromkeys(names.values(), 0)
    work = []
    for row in range(package.rows):
        for col in range(package.cols):
            io_die = names[row, package.io_side(col)]
            a, b = (
                random_operand(rng, *stored, dtype=die.dtype, operands=request.operands)
                for stored in (shape.stored_a, shape.stored_b)
            )
            work.append(_DieWork(io_die=io_die, program=moved(program, used[io_die]), a=a, b=b))
            used[io_die] += program.memory_words
    stored = max(used.values()) * system.memory.word_bytes
    if stored > system.memory.bench_bytes:
        raise ValueError(
            f"{shape.m}x{shape.k}x{shape.n} ({shape.form}) needs {stored} bytes of memory behind an IO die: "
            f"memory.bench_bytes must be at least that, is {system.memory.bench_bytes}"
        )
    return work


def run_package_gemm(request: PackageGemmRequest) -> PackageGemmRecord:
    """Run a GEMM on every die of the generated package at once and return the record.

    Raises
    ------
    ValueError
        If the simulator is unknown, the shape does not fit the die, or the package cannot be made.
    SimulationError
        If the simulator is missing, or the package does not end.
    """
    simulator = backend(request.sim)
    system = request.system
    work = _plan(request)
    words = max(die.program.memory_words for die in work)
    emitted = emit_package_bench(system, words, direct=request.direct)
    model = simulator.build(emitted)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="hecaton-") as name:
        folder = Path(name)
        _write_job(folder, request, work)
        simulator.run(model, emitted.top, "cosim.benches.package", folder, {FOLDER_VARIABLE: name})
        outcome = PackageOutcome.load(folder)
    return PackageGemmRecord(
        request=request,
        cycles=max(counters["cycles"] for counters in outcome.counters),
        mismatches=tuple(
            _mismatches(request, die, *result) for die, result in zip(work, outcome.results, strict=True)
        ),
        counters=tuple(outcome.counters),
        sim=request.sim,
        simulator_version=simulator.version(),
        hecaton_version=version("hecaton"),
        verilog_sha256=emitted.sha256,
        wall_seconds=time.perf_counter() - start,
    )


def _write_job(folder: Path, request: PackageGemmRequest, work: list[_DieWork]) -> None:
    system = request.system
    memory = system.memory
    names = io_die_names(system).values()
    for io_die in names:
        (folder / io_die).mkdir()
    for die in work:
        program = die.program
        commands = program.program_words(memory)
        save_image(
            folder / die.io_die,
            {
                program.a.address: pack(die.a, program.a, word_bytes=memory.word_bytes),
                program.b.address: pack(die.b, program.b, word_bytes=memory.word_bytes),
                program.program_address: b"".join(
                    word.to_bytes(memory.word_bytes, "little") for word in commands
                ),
            },
        )
    alone = predict(work[0].program, system.die, memory, DieTerms(), interval=request.interval).cycles
    flits = -(-8 * memory.word_bytes // system.nop.flit_bits)
    PackageJob(
        word_bytes=memory.word_bytes,
        contents={name: contents_name(name) for name in names},
        programs=[
            Program(die=number, address=die.program.program_address, commands=len(die.program.commands))
            for number, die in enumerate(work)
        ],
        results=[
            Region(
                io_die=die.io_die,
                address=die.program.y.address,
                words=die.program.y.end - die.program.y.address,
            )
            for die in work
        ],
        latency=memory.latency_cycles,
        interval=request.interval,
        stall=round(request.stall * 65536),
        seed=request.seed + 1,
        most_cycles=round(PATIENCE * (flits + 1) * system.package.cols * alone / (1 - request.stall)),
    ).save(folder)


def _mismatches(request: PackageGemmRequest, die: _DieWork, result: bytes, undefined: bytes) -> int:
    spec = request.system.die
    expected = golden.gemm(
        *golden.gemm_forms(die.a, die.b, form=request.form), rows=spec.rows, dtype=spec.dtype
    )
    found = unpack(result, die.program.y, dtype=spec.dtype)
    unknown = unpack(undefined, die.program.y, dtype=spec.dtype)
    return int(np.count_nonzero((expected != found) | (unknown != 0)))
