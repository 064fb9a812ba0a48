"""Programs on a generated package, phase after phase: memory images of the IO dies, simulation, outcome by phase."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chiplet.machine.specs import SystemSpec
from cosim.backends.base import Backend, SimulationError
from cosim.jobs.folder import ResultWords, save_image
from cosim.jobs.mesh import LinkJob
from cosim.jobs.package import LinkOutcome, PackageJob, PackageOutcome, Phase, PhaseOutcome, Program
from cosim.observe.observation import Observation, ObservedDie
from cosim.program.checker.die_checker import CheckedDie, refuse
from cosim.program.checker.package_checker import check_package, memory_violations
from cosim.program.checker.package_run import Grid
from cosim.program.command import Command, program_image
from cosim.program.layout import Places
from cosim.program.line_commands import PACKAGE_ORIGIN
from cosim.program.package import DieWork
from cosim.program.tiling import tile_cycles
from cosim.records.base import Provenance
from cosim.records.link_ends import LinkEnds, link_ends
from cosim.records.links import FaultyLinks, LinkFaults, death_in_words
from cosim.run.designs import emitted_once
from cosim.run.simulation import (
    Progress,
    Simulation,
    bench_depth,
    built_memory,
    nonzero_seed,
    stall_threshold,
    with_inferred_sram,
)
from rtl.bench.package import AXI_COUNTERS, PackageBench, contents_name
from rtl.emit.emitter import Emitted
from rtl.interface.io_dies import io_die_names
from rtl.interface.isa import SEMAPHORES, Opcode
from rtl.interface.link_shape import LinkShape
from rtl.interface.register_map import SIDES
from rtl.package.package import link_count

__all__ = ["PackageRun", "PreparedPackage", "emit_package_bench", "prepare"]

PATIENCE = 20
"""Cycles before a run is given up, relative to those of everything one after the other."""


def emit_package_bench(
    system: SystemSpec, memory_words: int, *, direct: bool, faulty: bool = False
) -> Emitted:
    """Return the Verilog of a package with memories of at least ``memory_words``, and with wires that have faults.

    Raises
    ------
    ValueError
        If the package cannot be made, see :class:`rtl.package.package.Package`.
    """
    memory = system.memory
    return emitted_once(
        PackageBench,
        system=system.model_copy(
            update={"die": with_inferred_sram(system.die), "memory": built_memory(memory)}
        ),
        memory_depth=bench_depth(memory_words, memory, memories=len(io_die_names(system))),
        direct=direct,
        faulty=faulty,
    )


@dataclass(frozen=True, kw_only=True)
class PackageRun:
    """A package that has run.

    Attributes
    ----------
    phases
        Outcome of each phase, by its name; phases without commands are left out.
    results
        The words that each die's work names as its result.
    link_faults
        Faults of the links, or None if they had none.
    link_ends
        What the dies' ends of the links said at the end of the run, or None without adapters.
    provenance
        Where they come from.
    """

    phases: dict[str, PhaseOutcome]
    link_faults: LinkFaults | None
    link_ends: LinkEnds | None
    results: list[ResultWords]
    provenance: Provenance


@dataclass(frozen=True, kw_only=True)
class PreparedPackage:
    """Programs on a package that were checked and are ready to run.

    Attributes
    ----------
    system
        The package.
    work
        The programs of each die, with the images of programs and operands.
    phases
        What the host does.
    memory_words
        Words that each memory must have.
    direct
        Whether the routers are joined without link adapters.
    link_job
        Faults of the links, or None.
    stall, interval, seed
        Settings of the memories, see :mod:`cosim.records.base`.
    simulator, observation, title
        What runs it, what else to keep of the run, and the name of the run in traces.
    """

    system: SystemSpec
    work: Sequence[DieWork]
    phases: list[Phase]
    memory_words: int
    direct: bool
    link_job: LinkJob | None
    stall: float
    interval: int
    seed: int
    simulator: Backend
    observation: Observation
    title: str

    def run(self, progress: Progress | None = None) -> PackageRun:
        """Run the phases one after the other.

        ``progress`` is called periodically with the completed fraction of the phases.

        Raises
        ------
        ValueError
            If the package cannot be made, see :class:`rtl.package.package.Package`.
        SimulationError
            If the simulator is missing, the package does not finish, a link is dead, or was to die after the run.
        OSError
            If a file of the observation cannot be written.
        """
        memory = self.system.memory
        io_dies = list(io_die_names(self.system).values())

        def write_inputs(folder: Path, observed: list[str]) -> None:
            for io_die in io_dies:
                (folder / io_die).mkdir()
            for die in self.work:
                save_image(folder / die.io_die, die.image)
            PackageJob(
                word_bytes=memory.word_bytes,
                memory_words=bench_depth(self.memory_words, memory, memories=len(io_dies)),
                contents={io_die: contents_name(io_die) for io_die in io_dies},
                counts={io_die: {count: f"{io_die}_{count}" for count in AXI_COUNTERS} for io_die in io_dies},
                phases=self.phases,
                results=[die.result for die in self.work],
                link_job=self.link_job,
                link_start=0 if self.direct else LinkShape.of(self.system).start_cycles,
                latency=memory.latency_cycles,
                interval=self.interval,
                stall=stall_threshold(self.stall),
                seed=nonzero_seed(self.seed, 31),
                observed=observed,
            ).save(folder)

        simulated = Simulation(
            bench="cosim.benches.package",
            emit=lambda: emit_package_bench(
                self.system, self.memory_words, direct=self.direct, faulty=self.link_job is not None
            ),
            write_inputs=write_inputs,
            load_outcome=lambda folder: PackageOutcome.load(folder, len(self.work)),
            total_progress=len(self.phases),
            dies=[_observed(self.system, number, die) for number, die in enumerate(self.work)],
            command_words=memory.command_words,
            title=self.title,
        ).run(self.simulator, observation=self.observation, progress=progress)
        outcome = simulated.outcome
        self._check_deaths(outcome.links)
        names = [phase.name for phase in self.phases]
        return PackageRun(
            phases=dict(zip(names, outcome.phases, strict=True)),
            results=outcome.results,
            link_faults=None if self.link_job is None else _link_faults(outcome),
            link_ends=None if self.direct else link_ends(self.system.package, outcome.links.ends),
            provenance=simulated.provenance,
        )

    def _check_deaths(self, links: LinkOutcome) -> None:
        """Raise SimulationError if links have died, or were to die."""
        if self.link_job is None or not self.link_job.cuts:
            return
        bound = self.link_job.dead_cycles
        late = dict(enumerate(links.late))
        raise SimulationError(
            "; ".join(
                death_in_words(cut.name, cut.cycle, late.get(number), number in late, bound)
                for number, cut in enumerate(self.link_job.cuts)
            )
        )


def _link_faults(outcome: PackageOutcome) -> LinkFaults:
    counters = [die for phase in outcome.phases for die in phase.counters]
    replayed, errors = (
        sum(die[f"link_{name}_{side}"] for die in counters for side in SIDES)
        for name in ("replays", "errors")
    )
    return LinkFaults(
        flips=outcome.links.flips, stalls=outcome.links.stalls, replayed=replayed, crc_errors=errors
    )


def prepare(
    system: SystemSpec,
    names: Sequence[str],
    work: Sequence[DieWork],
    places: Places,
    simulator: Backend,
    observation: Observation,
    *,
    direct: bool,
    stall: float,
    interval: int,
    seed: int,
    title: str,
    posts: Mapping[str, int] | None = None,
    links: FaultyLinks | None = None,
    links_die: str = "",
) -> PreparedPackage:
    """Place the programs of ``work`` in the memories and check that these are large enough.

    Phases in which no die has a command are left out.

    Parameters
    ----------
    names
        Names of the phases.
    work
        The programs of each die, in the order of the dies' numbers. Their images get the programs.
    places
        Where operands and results are; the programs are placed behind them.
    posts
        Semaphores that the host posts in a phase, once every die has issued its commands.
    links, links_die
        Links with faults; and the phase in which they die, if they do.

    Raises
    ------
    ValueError
        If the links have faults and ``direct`` leaves out their adapters, or a link that is to die does not join two
        dies; if the memories of a bench are too small, the simulator does not write the requested waveforms, or the
        programs break what a program must keep.
    """
    link_job = _link_job(system, links, direct=direct)
    memory = system.memory
    word = _word_cycles(system, interval) / (1 - stall)
    phases = []
    for number, name in enumerate(names):
        programs = [die.programs[number] for die in work]
        if not any(programs):
            continue
        placed = []
        for die, program in zip(work, programs, strict=True):
            address = places.take(die.io_die, len(program) * memory.command_words)
            if program:
                die.image[address] = program_image(program, memory)
            placed.append(Program(address=address, commands=len(program)))
        mask = (posts or {}).get(name, 0)
        _check(system, work, programs, placed, mask, first=number == 0)
        fetch = round(word * memory.command_words * _max_commands(work, programs))
        cycles = 1000 + fetch + sum(_cycles(system, program, word) for program in programs)
        phases.append(
            Phase(
                name=name,
                programs=placed,
                most_cycles=PATIENCE * cycles,
                posts=mask,
                post_after=fetch if mask else 0,
                links_die=name == links_die,
            )
        )
    words = max(places.used.values())
    if words * memory.word_bytes > memory.bench_bytes:
        raise ValueError(
            f"package: {words * memory.word_bytes} bytes behind an IO die: memory.bench_bytes must be at least that, "
            f"is {memory.bench_bytes}"
        )
    return PreparedPackage(
        system=system,
        work=work,
        phases=phases,
        memory_words=words,
        direct=direct,
        link_job=link_job,
        stall=stall,
        interval=interval,
        seed=seed,
        simulator=observation.instrument(simulator),
        observation=observation,
        title=title,
    )


def _link_job(system: SystemSpec, links: FaultyLinks | None, *, direct: bool) -> LinkJob | None:
    """The faults of all links of a package, if they have any."""
    if links is None or not links.faulty:
        return None
    if direct:
        raise ValueError("links without adapters have no faults: leave out --direct, or the faults")
    package = system.package
    job = links.job(system.nop, package.rows, package.cols)
    return replace(job, links=2 * link_count(package))


def _check(
    system: SystemSpec,
    work: Sequence[DieWork],
    programs: Sequence[Sequence[Command]],
    placed: Sequence[Program],
    posts: int,
    *,
    first: bool,
) -> None:
    """Check the programs of a phase. The first one finds no data in the scratchpads."""
    memory = system.memory
    lies = [
        range(program.address, program.address + program.commands * memory.command_words)
        for program in placed
    ]
    checked = [
        CheckedDie(
            die=system.die,
            memory=memory,
            nop=system.nop,
            program_words=words,
            inputs=[
                range(address, address + len(image) // memory.word_bytes)
                for address, image in die.image.items()
                if address != words.start
            ],
            host_posts=[number for number in range(SEMAPHORES) if posts >> number & 1],
            scratchpad_written=not first,
        )
        for die, words in zip(work, lies, strict=True)
    ]
    package = system.package
    check_package(Grid(package.rows, package.cols, PACKAGE_ORIGIN), checked, programs)
    refuse(memory_violations([die.io_die for die in work], programs, lies))


def _observed(system: SystemSpec, number: int, work: DieWork) -> ObservedDie:
    row, col = divmod(number, system.package.cols)
    commands = [command for program in work.programs for command in program]
    return ObservedDie(
        path=f"chiplets.die_{row}_{col}.die", commands=commands, name=f"die {row},{col}", engine=True
    )


def _max_commands(work: Sequence[DieWork], programs: Sequence[Sequence[Command]]) -> int:
    """Maximum number of commands in the memory behind one IO die."""
    commands: dict[str, int] = defaultdict(int)
    for die, program in zip(work, programs, strict=True):
        commands[die.io_die] += len(program)
    return max(commands.values())


def _word_cycles(system: SystemSpec, interval: int) -> int:
    """Upper bound on the cycles of a memory word alone: its request, its way through the package and back, and its
    elements one by one into a buffer."""
    memory = system.memory
    flits = -(-8 * memory.word_bytes // system.nop.flit_bits) + 1
    longest = max(system.package.rows, system.package.cols)
    return interval + memory.latency_cycles + flits * (longest + 2) + memory.word_bytes


def _cycles(system: SystemSpec, program: Sequence[Command], word: float) -> int:
    """Upper bound on the cycles of the commands of a program one after the other."""
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
