"""Collectives on a whole package, with IO dies and links: operands and results are in the memories behind the IO dies.

The dies run the programs of the bench in :mod:`cosim.run.collective`. Programs arrive over the memory plane, at some
dies later than at others. So the host starts all dies: it posts the semaphores that their send units wait for in the
same cycle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import PackageSpec, SystemSpec
from cosim.backends.registry import backend
from cosim.golden.collective import SUMS, scratchpads
from cosim.jobs.package import Region
from cosim.observe.observation import NOTHING, Observation
from cosim.program.collective import COLLECTIVE_PHASES, package_program
from cosim.program.layout import Places
from cosim.program.line_commands import LineCollective
from cosim.program.package import DieWork
from cosim.program.scratchpad_copies import words_from_scratchpad, words_to_scratchpad
from cosim.records.collective import CollectiveRequest
from cosim.records.links import FaultyLinks
from cosim.records.package import PackageCollectiveRecord
from cosim.run import package as package_run
from cosim.run.collective import bench_die, line_collectives, measured_fields, title
from cosim.run.package import PreparedPackage
from rtl.interface.io_dies import io_die_of

__all__ = ["PreparedPackageCollective", "on_package", "prepare", "run_package_collective"]


def on_package(request: CollectiveRequest, system: SystemSpec) -> CollectiveRequest:
    """The request with the links of the package ``system``: adapters, and wires without latency; faults stay."""
    links = request.links or FaultyLinks.of(system)
    return request.model_copy(update={"links": links.model_copy(update={"flight_cycles": 0})})


def _package(request: CollectiveRequest, system: SystemSpec) -> SystemSpec:
    """The package of the request, with arrays of one PE and small buffers, which no collective uses."""
    shape = PackageSpec(rows=request.rows, cols=request.cols, io=system.package.io)
    return system.model_copy(
        update={"die": bench_die(request.die), "package": shape, "nop": request.nop, "memory": request.memory}
    )


@dataclass(frozen=True, kw_only=True)
class PreparedPackageCollective:
    """A collective on a package that was checked and is ready to run.

    Attributes
    ----------
    request
        What to run.
    lines
        The collective on the lines of each axis.
    expected, defined
        The golden scratchpads, dies x words, and the words in which they are defined.
    programs
        The programs of the package.
    """

    request: CollectiveRequest
    lines: dict[str, LineCollective]
    expected: NDArray[np.uint32]
    defined: NDArray[np.bool_]
    programs: PreparedPackage

    def run(self) -> PackageCollectiveRecord:
        """Run the collective on the generated package and return the record.

        Raises
        ------
        ValueError, SimulationError, OSError
            As :meth:`cosim.run.package.PreparedPackage.run`.
        """
        run = self.programs.run()
        # Without a flit to send, no die has a command in the phase of the collective.
        measured = run.phases["collective" if "collective" in run.phases else "load"]
        results = [words for (words,) in run.reads[COLLECTIVE_PHASES[-1]]]
        return PackageCollectiveRecord(
            **measured_fields(
                self.request, self.lines, measured.counters, results, self.expected, self.defined
            ),
            io=self.programs.system.package.io,
            phase_cycles={name: phase.cycles for name, phase in run.phases.items()},
            commands=max(len(program) for die in self.programs.work for program in die.programs),
            link_totals=None,
            link_faults=run.link_faults,
            link_ends=run.link_ends,
            **run.provenance,
        )


def prepare(
    request: CollectiveRequest,
    system: SystemSpec,
    observation: Observation = NOTHING,
    *,
    direct: bool = False,
) -> PreparedPackageCollective:
    """Check a request and make the programs of all dies, so that what cannot run is refused before anything is built.

    Parameters
    ----------
    request
        See :func:`on_package`.
    system
        Its links, and the ends of the rows that have IO dies.
    observation
        What else to keep of the run.
    direct
        Whether the routers are joined without link adapters.

    Raises
    ------
    ValueError
        If the simulator is unknown; or as :func:`cosim.run.collective.line_collectives`
        and :func:`cosim.run.package.prepare`.
    """
    links = request.links
    request = request.model_copy(update={"links": None}) if direct else on_package(request, system)
    simulator = backend(request.sim)
    lines = line_collectives(request)
    package = _package(request, system)
    word_bytes = request.memory.word_bytes
    initial, expected, defined = scratchpads(request, lines)
    words = initial.shape[1] * 4 // word_bytes
    places = Places()
    work = []
    gates = 0
    for number, chunks in enumerate(initial):
        row, col = divmod(number, request.cols)
        io_die = io_die_of(package, row, col)
        address, result = places.take(io_die, words), places.take(io_die, words)
        program, own_gates = package_program(lines, row, col)
        gates |= own_gates
        work.append(
            DieWork(
                io_die=io_die,
                image={address: chunks.astype(SUMS).tobytes()},
                programs=[
                    words_to_scratchpad(address=address, base=0, words=words),
                    program,
                    words_from_scratchpad(address=result, base=0, words=words),
                ],
                reads=[[], [], [Region(io_die=io_die, address=result, words=words)]],
            )
        )
    programs = package_run.prepare(
        package,
        COLLECTIVE_PHASES,
        work,
        places,
        simulator,
        observation,
        direct=direct,
        stall=request.stall,
        interval=1,
        seed=request.seed,
        title=title(request),
        posts={"collective": gates},
        links=links if direct else request.links,
        links_die="collective",
    )
    return PreparedPackageCollective(
        request=request, lines=lines, expected=expected, defined=defined, programs=programs
    )


def run_package_collective(
    request: CollectiveRequest,
    system: SystemSpec,
    *,
    direct: bool = False,
    observation: Observation = NOTHING,
) -> PackageCollectiveRecord:
    """Prepare and run a collective; see :func:`prepare` and :meth:`PreparedPackageCollective.run`."""
    return prepare(request, system, observation, direct=direct).run()
