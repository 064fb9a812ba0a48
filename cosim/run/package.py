"""Runs programs on a generated package: memory images of the IO dies, phases, and what came out."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chiplet.machine.specs import SystemSpec
from cosim.backends.base import Backend
from cosim.jobs.base import FOLDER_VARIABLE
from cosim.jobs.folder import save_image
from cosim.jobs.package import PackageJob, PackageOutcome, Phase, Program
from cosim.observe.observation import NOTHING, Observation, ObservedDie
from cosim.program.command import Command, program_image
from cosim.program.layout import Places
from cosim.program.package import DieWork
from cosim.program.tiling import tile_cycles
from cosim.run.designs import emitted_once
from cosim.run.simulation import _watched as watch
from rtl.bench.package import AXI_COUNTERS, PackageBench, contents_name
from rtl.emit.emitter import Emitted
from rtl.interface.io_dies import io_die_names
from rtl.interface.isa import Opcode

__all__ = ["PackageRun", "emit_package_bench", "run_phases"]

LEAST_MEMORY_WORDS = 4096
PATIENCE = 20
"""Cycles before a run is given up, over those of everything one after the other."""


def emit_package_bench(system: SystemSpec, memory_words: int, *, direct: bool) -> Emitted:
    """Return the Verilog of a package with memories of at least ``memory_words``, a power of two.

    SRAMs are inferred ones: a macro has no contents here.

    Raises
    ------
    ValueError
        If the package cannot be made, see :class:`rtl.package.package.Package`.
    """
    die = system.die.model_copy(update={"sram": "inferred"})
    return emitted_once(
        PackageBench,
        system=system.model_copy(update={"die": die}),
        memory_depth=max(LEAST_MEMORY_WORDS, 1 << (memory_words - 1).bit_length()),
        direct=direct,
    )


@dataclass(frozen=True, kw_only=True)
class PackageRun:
    """A package that has run: its Verilog, what the bench found, seconds of the simulation without building."""

    emitted: Emitted
    outcome: PackageOutcome
    wall_seconds: float


def run_phases(
    system: SystemSpec,
    names: Sequence[str],
    work: Sequence[DieWork],
    places: Places,
    simulator: Backend,
    *,
    direct: bool = False,
    stall: float = 0.0,
    interval: int = 1,
    seed: int = 0,
    posts: dict[str, int] | None = None,
    progress: Callable[[float], None] | None = None,
    observation: Observation = NOTHING,
    title: str = "",
) -> PackageRun:
    """Run the programs of ``work``, phase after phase, on the dies in the order of their numbers.

    Phases in which no die has a command are left out.

    Parameters
    ----------
    names
        Names of the phases.
    places
        Where programs and results are; the programs get places behind them.
    direct
        Without link adapters.
    stall, interval, seed
        Of the memories, see :class:`cosim.records.gemm.GemmRequest`.
    posts
        Semaphores that the host posts in phases, once every die has handed out its commands.
    progress
        Is told, now and then, which part of the phases is over.
    observation, title
        What else to keep of the run, and how its trace is called.

    Raises
    ------
    ValueError
        If the memories of a bench are too small, the package cannot be made, or the simulator does not write such
        waveforms.
    SimulationError
        If the simulator is missing, or the package does not end.
    OSError
        If a file of the observation cannot be written.
    """
    memory = system.memory
    simulator = observation.instrument(simulator)
    phases = []
    for number, name in enumerate(names):
        commands = [die.programs[number] for die in work]
        if not any(commands):
            continue
        programs = []
        for die, program in zip(work, commands, strict=True):
            address = places.take(die.io_die, len(program) * memory.command_words)
            if program:
                die.image[address] = program_image(program, memory)
            programs.append(Program(address=address, commands=len(program)))
        word = _word_cycles(system, interval) / (1 - stall)
        fetch = round(word * memory.command_words * _most_commands(work, commands))
        mask = (posts or {}).get(name, 0)
        phases.append(
            Phase(
                name=name,
                programs=programs,
                most_cycles=PATIENCE
                * (1000 + fetch + sum(_cycles(system, program, word) for program in commands)),
                posts=mask,
                post_after=fetch if mask else 0,
            )
        )
    words = max(places.used.values())
    if words * memory.word_bytes > memory.bench_bytes:
        raise ValueError(
            f"package: {words * memory.word_bytes} bytes behind an IO die: memory.bench_bytes must be at least that, "
            f"is {memory.bench_bytes}"
        )
    emitted = emit_package_bench(system, words, direct=direct)
    model = simulator.build(emitted)
    start = time.perf_counter()
    io_dies = list(io_die_names(system).values())
    dies = [_observed(system, number, die) for number, die in enumerate(work)]
    with tempfile.TemporaryDirectory(prefix="hecaton-") as name:
        folder = Path(name)
        for io_die in io_dies:
            (folder / io_die).mkdir()
        for die in work:
            save_image(folder / die.io_die, die.image)
        PackageJob(
            word_bytes=memory.word_bytes,
            contents={io_die: contents_name(io_die) for io_die in io_dies},
            counts={io_die: {count: f"{io_die}_{count}" for count in AXI_COUNTERS} for io_die in io_dies},
            phases=phases,
            results=[die.result for die in work],
            latency=memory.latency_cycles,
            interval=interval,
            stall=round(stall * 65536),
            seed=seed % ((1 << 31) - 1) + 1,
            observed=observation.signals(dies),
        ).save(folder)
        with watch(folder, len(phases), progress):
            simulator.run(model, emitted.top, "cosim.benches.package", folder, {FOLDER_VARIABLE: name})
        outcome = PackageOutcome.load(folder, len(work))
        observation.keep(folder, simulator, emitted, dies, command_words=memory.command_words, title=title)
    return PackageRun(emitted=emitted, outcome=outcome, wall_seconds=time.perf_counter() - start)


def _observed(system: SystemSpec, number: int, work: DieWork) -> ObservedDie:
    row, col = divmod(number, system.package.cols)
    commands = [command for program in work.programs for command in program]
    return ObservedDie(
        path=f"chiplets.die_{row}_{col}.die", commands=commands, name=f"die {row},{col}", engine=True
    )


def _most_commands(work: Sequence[DieWork], programs: Sequence[Sequence[Command]]) -> int:
    """Commands that come from the memory behind one IO die, at most."""
    found: dict[str, int] = defaultdict(int)
    for die, program in zip(work, programs, strict=True):
        found[die.io_die] += len(program)
    return max(found.values())


def _word_cycles(system: SystemSpec, interval: int) -> int:
    """More cycles than a memory word takes alone: its request, its way through the package and back, and its elements
    one by one into a buffer."""
    memory = system.memory
    flits = -(-8 * memory.word_bytes // system.nop.flit_bits) + 1
    longest = max(system.package.rows, system.package.cols)
    return interval + memory.latency_cycles + flits * (longest + 2) + memory.word_bytes


def _cycles(system: SystemSpec, program: Sequence[Command], word: float) -> int:
    """More cycles than the commands of a program take one after the other."""
    die, memory = system.die, system.memory
    cycles = 0.0
    for command in program:
        opcode, fields = command.opcode, command.fields
        if opcode == Opcode.GEMM:
            cycles += fields["panels"] * fields["k_tiles"] * tile_cycles(die, fields["m"])
        elif opcode in (Opcode.SEND, Opcode.RECEIVE):
            cycles += 4 * fields["chunks"] * fields["flits"] * (die.stages + 1)
        elif opcode != Opcode.SET:
            words = fields.get("words", -(-4 * die.cols // memory.word_bytes) + 1)
            cycles += fields["rows"] * fields.get("panels", 1) * words * word
    return round(cycles)
