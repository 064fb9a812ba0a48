"""Collectives on a mesh of generated dies: programs, simulation, comparison with the golden result, record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.chunks import chunk_words
from chiplet.machine.specs import DieSpec, scratchpad_banks, scratchpad_depth
from cosim.backends.base import Backend, SimulationError
from cosim.backends.registry import backend
from cosim.golden.collective import SUMS, scratchpads
from cosim.jobs.collective import CollectiveJob, node_folder, scratchpad_path
from cosim.jobs.folder import ResultWords, load_result, save_image
from cosim.jobs.mesh import LinkJob, MeshCounters
from cosim.observe.observation import NOTHING, Observation, ObservedDie
from cosim.predict.collective import floor_collective, predict_collective
from cosim.program.checker.die_checker import CheckedDie
from cosim.program.checker.package_checker import check_package
from cosim.program.checker.package_run import Grid
from cosim.program.collective import mesh_programs
from cosim.program.command import program_image
from cosim.program.line_commands import LineCollective
from cosim.records.collective import CollectiveRecord, CollectiveRequest
from cosim.records.links import LinkTotals, deaths_in_words
from cosim.run.designs import emitted_once
from cosim.run.simulation import Simulation, built_memory, check_dies, nonzero_seed, stall_threshold
from rtl.bench.collective import CollectiveMesh
from rtl.bench.faulty_link import LINK_COUNTERS
from rtl.emit.emitter import Emitted
from rtl.interface.isa import SEMAPHORES
from rtl.interface.register_map import SIDES

__all__ = [
    "PreparedCollective",
    "bench_die",
    "line_collectives",
    "measured_fields",
    "prepare",
    "run_collective",
    "title",
]

MAX_COMMANDS = 64
"""Commands for which the memory of a die has room."""
SETTLING = 32
"""Cycles in which a die that has read its program hands out the commands, and all send units get their first word,
even if all of them want the same bank of the scratchpad."""


def bench_die(die: DieSpec) -> DieSpec:
    """The die with an array of one PE and small buffers, which no collective uses."""
    element = die.element_bytes
    return die.model_copy(
        update={
            "rows": 1,
            "cols": 1,
            "weight_bytes": 16 * element,
            "activation_bytes": 16 * element,
            "accumulator_bytes": 64,
            "sram": "inferred",
        }
    )


def line_collectives(request: CollectiveRequest) -> dict[str, LineCollective]:
    """Return the collective on the lines of each axis.

    Raises
    ------
    ValueError
        If neither words hold whole flits nor flits whole words, the mesh is too long for coordinates or too large to be
        simulated, or the scratchpad is too small.
    """
    pitch = chunk_words(request.flits, request.nop, request.memory)
    for name, value in (("rows", request.rows), ("cols", request.cols)):
        if value > request.nop.longest_side:
            raise ValueError(
                f"mesh: {name} = {value}: must be at most {request.nop.longest_side}, which nop.coordinate_bits = "
                f"{request.nop.coordinate_bits} can address"
            )
    check_dies("mesh", request.rows, request.cols)
    lines, base = {}, 0
    for axis in request.axes:
        nodes = request.nodes(axis)
        lines[axis] = LineCollective(request.op, request.algorithm, nodes, request.flits, base, pitch)
        base += nodes * pitch
    words = scratchpad_depth(request.die, request.memory, request.nop)
    if base > words:
        raise ValueError(
            f"collective: {base} words for the chunks: must be at most the {words} of die.scratchpad_bytes = "
            f"{request.die.scratchpad_bytes}"
        )
    return lines


def title(request: CollectiveRequest) -> str:
    """Name of the run in traces."""
    return f"{request.op}, {request.algorithm}, {request.flits} flits a die, {request.mesh} dies"


def measured_fields(
    request: CollectiveRequest,
    lines: dict[str, LineCollective],
    counters: Sequence[dict[str, int]],
    results: Sequence[ResultWords],
    expected: NDArray[np.uint32],
    defined: NDArray[np.bool_],
) -> dict[str, Any]:
    """The fields of a record that follow from the request, the dies' counters and their scratchpads.

    Parameters
    ----------
    counters, results
        Counters of each die while the collective ran, and what its scratchpad held afterwards.
    expected, defined
        The golden result, dies x words, and the words in which it is defined.
    """
    sent, received = (
        {side: sum(die[f"flits_{direction}_{side}"] for die in counters) for side in SIDES}
        for direction in ("sent", "received")
    )
    senders = [die for die in counters if any(die[f"flits_sent_{side}"] for side in SIDES)]
    cycles = 0
    if senders:
        cycles = max(die["nop_last"] for die in counters) - min(die["nop_first"] for die in senders)
    floor = floor_collective(request, lines)
    values = np.array([np.frombuffer(result.values, SUMS) for result in results])
    undefined = np.array([np.frombuffer(result.undefined, SUMS) for result in results])
    return {
        "request": request,
        "op": request.op,
        "mesh": request.mesh,
        "axis": request.axis,
        "algorithm": request.algorithm,
        "flits": request.flits,
        "dtype": request.die.dtype,
        "nop": request.nop,
        "cycles": cycles,
        "floor_cycles": floor,
        "predicted_cycles": predict_collective(request, lines),
        "utilization": floor / cycles if cycles else 1.0,
        "mismatches": int(np.count_nonzero(((values != expected) | (undefined != 0)) & defined)),
        "flits_sent": sent,
        "flits_received": received,
        "counters": tuple(counters),
        "seed": request.seed,
    }


@dataclass(frozen=True, kw_only=True)
class PreparedCollective:
    """A collective that was checked and is ready to run.

    Attributes
    ----------
    request
        What to run.
    lines
        The collective on the lines of each axis.
    link_job
        The bench's settings for links with adapters, or None.
    simulator, observation
        What runs it, and what else to keep of the run.
    """

    request: CollectiveRequest
    lines: dict[str, LineCollective]
    link_job: LinkJob | None
    simulator: Backend
    observation: Observation

    def emit(self) -> Emitted:
        """Return the Verilog of the mesh."""
        request = self.request
        return emitted_once(
            CollectiveMesh,
            die=bench_die(request.die),
            nop=request.nop,
            memory=built_memory(request.memory),
            memory_depth=MAX_COMMANDS * request.memory.command_words,
            rows=request.rows,
            cols=request.cols,
            links=request.links and request.links.mesh_links(request.nop),
        )

    def run(self) -> CollectiveRecord:
        """Run the collective on the generated dies and return the record.

        Raises
        ------
        ValueError
            If the programs break what a program must keep.
        SimulationError
            If the simulator is missing, a link is dead, or the dies do not finish.
        OSError
            If a file of the observation cannot be written.
        """
        request = self.request
        memory, nop = request.memory, request.nop
        initial, expected, defined = scratchpads(request, self.lines)
        programs, gates = mesh_programs(self.lines, request.rows, request.cols)
        checked = CheckedDie(
            die=bench_die(request.die),
            memory=memory,
            nop=nop,
            host_posts=[number for number in range(SEMAPHORES) if gates >> number & 1],
            scratchpad_written=True,
        )
        check_package(Grid(request.rows, request.cols), [checked] * len(programs), programs)
        commands = max(map(len, programs))

        def write_inputs(folder: Path, observed: list[str]) -> None:
            CollectiveJob(
                word_bytes=memory.word_bytes,
                memory_words=MAX_COMMANDS * memory.command_words,
                banks=scratchpad_banks(memory, nop),
                commands=[len(program) for program in programs],
                words=initial.shape[1] * 4 // memory.word_bytes,
                posts=gates,
                # Dies whose memories stall begin when their commands are there.
                post_after=0
                if request.stall
                else SETTLING + commands * memory.command_words + memory.latency_cycles,
                latency=memory.latency_cycles,
                interval=1,
                stall=stall_threshold(request.stall),
                seed=nonzero_seed(request.seed, 31),
                most_cycles=self._most_cycles(),
                link_job=self.link_job,
                link_counters=list(LINK_COUNTERS),
                observed=observed,
            ).save(folder)
            for node, (program, chunks) in enumerate(zip(programs, initial, strict=True)):
                node_folder(folder, node).mkdir()
                save_image(node_folder(folder, node), {0: program_image(program, memory)})
                scratchpad_path(folder, node).write_bytes(chunks.astype(SUMS).tobytes())

        def load_outcome(folder: Path) -> tuple[MeshCounters, list[ResultWords]]:
            return MeshCounters.load(folder), [load_result(folder, node) for node in range(len(programs))]

        dies = [
            ObservedDie(
                path=f"node_{node}.die",
                commands=program,
                name="die {},{}".format(*divmod(node, request.cols)),
                engine=True,
            )
            for node, program in enumerate(programs)
        ]
        simulated = Simulation(
            bench="cosim.benches.collective",
            emit=self.emit,
            write_inputs=write_inputs,
            load_outcome=load_outcome,
            dies=dies,
            command_words=memory.command_words,
            title=title(request),
        ).run(self.simulator, observation=self.observation)
        counters, results = simulated.outcome
        totals = _link_totals(request, counters)
        if counters.state != "done":
            cycles = max(die["cycles"] for die in counters.nodes)
            raise SimulationError(f"collective: the dies are {counters.state} after {cycles} cycles")
        return CollectiveRecord(
            **measured_fields(request, self.lines, counters.nodes, results, expected, defined),
            commands=commands,
            link_totals=totals,
            **simulated.provenance,
        )

    def _most_cycles(self) -> int:
        """Cycles after which a run is given up."""
        request = self.request
        cycles = sum(20 * line.nodes * (line.flits + 20) for line in self.lines.values()) + 2000
        if request.links is None or self.link_job is None:
            return cycles
        frame_cycles = request.links.mesh_links(request.nop).shape.frame.longest_cycles
        cycles *= frame_cycles + request.links.hop_cycles(request.nop)
        return cycles + self.link_job.dead_cycles


def _link_totals(request: CollectiveRequest, counters: MeshCounters) -> LinkTotals | None:
    """Totals of the links, if they have adapters. Raises SimulationError if a link is dead, or was to die later."""
    if request.links is None:
        return None
    totals = LinkTotals.count(request.links, request.nop, request.rows, request.cols, counters.links)
    deaths = deaths_in_words(request.links.deaths, totals)
    if deaths:
        raise SimulationError(deaths)
    return totals


def prepare(request: CollectiveRequest, observation: Observation = NOTHING) -> PreparedCollective:
    """Check a request, so that what cannot run is refused before anything is built.

    Raises
    ------
    ValueError
        As :func:`line_collectives`; or if the simulator is unknown or does not write the requested waveforms, or the
        link that is to die is not a link of the mesh.
    """
    simulator = backend(request.sim)
    lines = line_collectives(request)
    links = request.links
    link_job = None if links is None else links.job(request.nop, request.rows, request.cols)
    return PreparedCollective(
        request=request,
        lines=lines,
        link_job=link_job,
        simulator=observation.instrument(simulator),
        observation=observation,
    )


def run_collective(request: CollectiveRequest, observation: Observation = NOTHING) -> CollectiveRecord:
    """Prepare and run a collective; see :func:`prepare` and :meth:`PreparedCollective.run`."""
    return prepare(request, observation).run()
