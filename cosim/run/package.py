"""Programs on a generated package, phase after phase: memory images of the IO dies, simulation, outcome by phase."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chiplet.machine.specs import SystemSpec
from cosim.backends.base import Backend, SimulationError
from cosim.jobs.folder import ResultWords, load_changes, save_image
from cosim.jobs.mesh import LinkJob
from cosim.jobs.package import (
    LinkOutcome,
    PackageJob,
    PackageOutcome,
    Phase,
    PhaseOutcome,
    Program,
    Region,
    phase_folder,
)
from cosim.observe.intervals import Change
from cosim.observe.observation import Observation, ObservedDie
from cosim.program.command import program_image
from cosim.program.layout import Places
from cosim.program.package import DieWork
from cosim.records.base import Provenance
from cosim.records.link_ends import LinkEnds, link_ends
from cosim.records.links import FaultyLinks, LinkFaults, death_in_words
from cosim.run.cycle_bound import CycleBound
from cosim.run.designs import emitted_once
from cosim.run.phase_check import check_phase
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
from rtl.interface.isa import Opcode
from rtl.interface.link_shape import LinkShape
from rtl.interface.register_map import SIDES
from rtl.package.package import link_count

__all__ = ["PackageRun", "PreparedPackage", "die_path", "emit_package_bench", "prepare"]


def emit_package_bench(
    system: SystemSpec, memory_words: int, *, direct: bool, faulty: bool = False, vector: bool = False
) -> Emitted:
    """Return the Verilog of a package with memories of at least ``memory_words``, with wires that have faults, and with
    vector units.

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
        vector=vector,
    )


@dataclass(frozen=True, kw_only=True)
class PackageRun:
    """A package that has run.

    Attributes
    ----------
    phases
        Outcome of each phase, by its name; phases without commands are left out.
    reads
        What was read behind each phase, by its name: for each die the words of each of its regions.
    link_faults
        Faults of the links, or None if they had none.
    link_ends
        What the dies' ends of the links said at the end of the run, or None without adapters.
    changes
        Of the signals that were watched.
    provenance
        Where they come from.
    """

    phases: dict[str, PhaseOutcome]
    link_faults: LinkFaults | None
    link_ends: LinkEnds | None
    reads: dict[str, list[list[ResultWords]]]
    changes: list[Change]
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
    phases, numbers
        What the host does, and the number of each phase in the programs of ``work``.
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
    watched
        Signals of the bench whose changes the run returns.
    """

    system: SystemSpec
    work: Sequence[DieWork]
    phases: list[Phase]
    numbers: list[int]
    memory_words: int
    direct: bool
    link_job: LinkJob | None
    stall: float
    interval: int
    seed: int
    simulator: Backend
    observation: Observation
    title: str
    watched: Sequence[str]

    @property
    def vector(self) -> bool:
        """Whether the dies need their vector units, which take long to emit and to simulate."""
        return any(
            command.opcode == Opcode.VECTOR
            for die in self.work
            for program in die.programs
            for command in program
        )

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
        vector = self.vector

        def write_inputs(folder: Path, observed: list[str]) -> None:
            for io_die in io_dies:
                (folder / io_die).mkdir()
            for die in self.work:
                save_image(folder / die.io_die, die.image)
            for place, number in enumerate(self.numbers):
                for die in self.work:
                    if number < len(die.writes) and die.writes[number]:
                        images = phase_folder(folder, place) / die.io_die
                        images.mkdir(parents=True, exist_ok=True)
                        save_image(images, die.writes[number])
            PackageJob(
                word_bytes=memory.word_bytes,
                memory_words=bench_depth(self.memory_words, memory, memories=len(io_dies)),
                contents={io_die: contents_name(io_die) for io_die in io_dies},
                counts={io_die: {count: f"{io_die}_{count}" for count in AXI_COUNTERS} for io_die in io_dies},
                phases=self.phases,
                link_job=self.link_job,
                link_start=0 if self.direct else LinkShape.of(self.system).start_cycles,
                latency=memory.latency_cycles,
                interval=self.interval,
                stall=stall_threshold(self.stall),
                seed=nonzero_seed(self.seed, 31),
                observed=[*dict.fromkeys((*observed, *self.watched))],
            ).save(folder)

        def load(folder: Path) -> tuple[PackageOutcome, list[Change]]:
            outcome = PackageOutcome.load(folder, self.phases)
            return outcome, load_changes(folder) if self.watched and not outcome.links.late else []

        simulated = Simulation(
            bench="cosim.benches.package",
            emit=lambda: emit_package_bench(
                self.system,
                self.memory_words,
                direct=self.direct,
                faulty=self.link_job is not None,
                vector=vector,
            ),
            write_inputs=write_inputs,
            load_outcome=load,
            total_progress=len(self.phases),
            dies=[_observed(self.system, number, die, vector=vector) for number, die in enumerate(self.work)],
            command_words=memory.command_words,
            title=self.title,
        ).run(self.simulator, observation=self.observation, progress=progress)
        outcome, changes = simulated.outcome
        self._check_deaths(outcome.links)
        names = [phase.name for phase in self.phases]
        return PackageRun(
            phases=dict(zip(names, outcome.phases, strict=True)),
            reads=dict(zip(names, self._reads(outcome), strict=True)),
            link_faults=None if self.link_job is None else _link_faults(outcome),
            link_ends=None if self.direct else link_ends(self.system.package, outcome.links.ends),
            changes=changes,
            provenance=simulated.provenance,
        )

    def _reads(self, outcome: PackageOutcome) -> Iterator[list[list[ResultWords]]]:
        """What was read behind each phase, for each die."""
        for number, words in zip(self.numbers, outcome.reads, strict=True):
            there = iter(words)
            yield [[next(there) for _ in _of_phase(die.reads, number)] for die in self.work]

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
    watched: Sequence[str] = (),
) -> PreparedPackage:
    """Place the programs of ``work`` in the memories and check that these are large enough.

    Phases in which no die has a command, and nothing is read, are left out. A program is placed once, and programs that
    come again are checked once: with what their first phase finds.

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
    watched
        Signals of the bench whose changes the run returns.

    Raises
    ------
    ValueError
        If the links have faults and ``direct`` leaves out their adapters, or a link that is to die does not join two
        dies; if the memories of a bench are too small, the simulator does not write the requested waveforms, or the
        programs break what a program must keep.
    """
    link_job = _link_job(system, links, direct=direct)
    memory = system.memory
    bound = CycleBound(system, interval=interval, stall=stall)
    addresses: dict[tuple[int, int], int] = {}
    checked: dict[tuple[int, ...], int] = {}
    phases, numbers = [], []
    for number, name in enumerate(names):
        programs = [die.programs[number] for die in work]
        reads = [region for die in work for region in _of_phase(die.reads, number)]
        if not any(programs) and not reads:
            continue
        placed = []
        for place, (die, program) in enumerate(zip(work, programs, strict=True)):
            if (place, id(program)) not in addresses:
                address = places.take(die.io_die, len(program) * memory.command_words)
                addresses[place, id(program)] = address
                if program:
                    die.image[address] = program_image(program, memory)
            placed.append(Program(address=addresses[place, id(program)], commands=len(program)))
        mask = (posts or {}).get(name, 0)
        key = (mask, *map(id, programs))
        if key not in checked:
            check_phase(system, work, programs, placed, mask, number=number)
            checked[key] = bound.most(work, programs)
        phases.append(
            Phase(
                name=name,
                programs=placed,
                most_cycles=checked[key],
                posts=mask,
                post_after=bound.fetch(work, programs) if mask else 0,
                links_die=name == links_die,
                reads=reads,
            )
        )
        numbers.append(number)
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
        numbers=numbers,
        memory_words=words,
        direct=direct,
        link_job=link_job,
        stall=stall,
        interval=interval,
        seed=seed,
        simulator=observation.instrument(simulator),
        observation=observation,
        title=title,
        watched=watched,
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


def _of_phase(lists: Sequence[list[Region]], number: int) -> list[Region]:
    """The regions of a phase; lists may be shorter than the phases."""
    return lists[number] if number < len(lists) else []


def die_path(system: SystemSpec, number: int) -> str:
    """Hierarchical name of a die in the bench."""
    row, col = divmod(number, system.package.cols)
    return f"chiplets.die_{row}_{col}.die"


def _observed(system: SystemSpec, number: int, work: DieWork, *, vector: bool) -> ObservedDie:
    row, col = divmod(number, system.package.cols)
    commands = [command for program in work.programs for command in program]
    return ObservedDie(
        path=die_path(system, number),
        commands=commands,
        name=f"die {row},{col}",
        engine=True,
        vector=vector,
    )
