"""Collectives on a mesh of generated dies: programs, the golden result, and the measurement."""

from __future__ import annotations

import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import DieSpec, exchange_depth, flits_per_word
from cosim.backends.base import SimulationError
from cosim.backends.registry import backend
from cosim.golden.collective import SUMS, exchange_buffers
from cosim.jobs.collective import CollectiveJob, exchange_path, load_counters, load_result, save_program
from cosim.jobs.die import FOLDER_VARIABLE
from cosim.observe.observation import NOTHING, Observation, ObservedDie
from cosim.predict.collective import floor_collective, predict_collective
from cosim.program.collective import mesh_programs
from cosim.program.command import program_image
from cosim.program.line_commands import LineCollective
from cosim.records.collective import CollectiveRecord, CollectiveRequest, collective_request
from cosim.records.links import LinkTotals
from cosim.run.designs import emitted_once
from rtl.bench.collective import CollectiveMesh
from rtl.bench.faulty_link import LINK_COUNTERS
from rtl.emit.emitter import Emitted
from rtl.interface.register_map import SIDES

__all__ = [
    "CollectiveRecord",
    "CollectiveRequest",
    "bench_die",
    "collective_request",
    "prepare",
    "run_collective",
]

MOST_COMMANDS = 64
MOST_DIES = 256
"""Larger meshes take hours to build, and show nothing that smaller ones do not."""


def bench_die(die: DieSpec) -> DieSpec:
    """The die with an array of one PE and small buffers, which no collective touches."""
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


def _emit(request: CollectiveRequest) -> Emitted:
    memory = request.memory
    return emitted_once(
        CollectiveMesh,
        die=bench_die(request.die),
        nop=request.nop,
        memory=memory,
        memory_depth=MOST_COMMANDS * memory.command_words,
        rows=request.rows,
        cols=request.cols,
        links=request.links and request.links.mesh_links(request.nop),
    )


def prepare(request: CollectiveRequest) -> dict[str, LineCollective]:
    """Return the collective on the lines of each axis, so that what cannot run is refused before anything does.

    Raises
    ------
    ValueError
        If the simulator is unknown, flits and words do not go together, the mesh is too long for coordinates or too
        large to be simulated, or the exchange buffer too small.
    """
    backend(request.sim)
    per_word = flits_per_word(request.nop, request.memory)
    for name, value in (("rows", request.rows), ("cols", request.cols)):
        if value > request.nop.longest_side:
            raise ValueError(
                f"mesh: {name} = {value}: must be at most {request.nop.longest_side}, which nop.coordinate_bits = "
                f"{request.nop.coordinate_bits} can address"
            )
    if request.rows * request.cols > MOST_DIES:
        raise ValueError(
            f"mesh: {request.rows} x {request.cols} dies: must be at most {MOST_DIES} for a simulation"
        )
    pitch = -(-request.flits // per_word)
    lines, base = {}, 0
    for axis in request.axes:
        nodes = request.nodes(axis)
        lines[axis] = LineCollective(request.op, request.algorithm, nodes, request.flits, base, pitch)
        base += nodes * pitch
    words = exchange_depth(request.nop, request.memory)
    if base > words:
        raise ValueError(
            f"collective: {base} words for the chunks: must be at most the {words} of nop.exchange_bytes = "
            f"{request.nop.exchange_bytes}"
        )
    return lines


def _mismatches(
    results: list[tuple[bytes, bytes]],
    expected: NDArray[np.uint32],
    defined: NDArray[np.bool_],
) -> int:
    """Words that are not as expected, where something is: those with an undefined bit never are."""
    found = np.array([np.frombuffer(values, SUMS) for values, _ in results])
    known = np.array([np.frombuffer(flags, bool) for _, flags in results])
    return int(np.count_nonzero(((found != expected) | ~known) & defined))


def run_collective(request: CollectiveRequest, observation: Observation = NOTHING) -> CollectiveRecord:
    """Run a collective on the generated dies and return the record.

    ``observation`` says what else to keep of the run.

    Raises
    ------
    ValueError
        As :func:`prepare`, or if the simulator does not write such waveforms.
    SimulationError
        If the simulator is missing, a link is dead, or the dies do not end.
    OSError
        If a file of the observation cannot be written.
    """
    lines = prepare(request)
    simulator = observation.prepare(backend(request.sim))
    memory, nop = request.memory, request.nop
    emitted = _emit(request)
    model = simulator.build(emitted)
    contents, expected, defined = exchange_buffers(request, lines)
    places = [(row, col) for row in range(request.rows) for col in range(request.cols)]
    programs = mesh_programs(lines, request.rows, request.cols)
    observed = [
        ObservedDie(
            path=f"node_{number}.die",
            commands=program,
            name=f"die {row},{col}",
            engine=True,
        )
        for number, ((row, col), program) in enumerate(zip(places, programs, strict=True))
    ]
    most = sum(20 * work.nodes * (work.flits + 20) for work in lines.values()) + 2000
    link_job = None
    if request.links is not None:
        link_job = request.links.job(nop, request.rows, request.cols)
        frame = request.links.mesh_links(nop).shape.frame_cycles
        most = most * (frame + request.links.hop_cycles(nop)) + link_job.dead_cycles
        most += 0 if link_job.cut_link is None else link_job.cut_cycle
    start_time = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="hecaton-") as name:
        folder = Path(name)
        CollectiveJob(
            word_bytes=memory.word_bytes,
            banks=nop.exchange_banks(memory.word_bytes),
            commands=[len(program) for program in programs],
            words=contents.shape[1] * 4 // memory.word_bytes,
            latency=memory.latency_cycles,
            stall=round(request.stall * 65536),
            seed=request.seed % ((1 << 31) - 1) + 1,
            most_cycles=most,
            link_job=link_job,
            link_counters=list(LINK_COUNTERS),
            observed=observation.signals(observed),
        ).save(folder)
        for die, (program, values) in enumerate(zip(programs, contents, strict=True)):
            save_program(folder, die, program_image(program, memory))
            exchange_path(folder, die).write_bytes(values.astype(SUMS).tobytes())
        simulator.run(model, emitted.top, "cosim.benches.collective", folder, {FOLDER_VARIABLE: str(folder)})
        state, counters, of_links = load_counters(folder)
        observation.keep(
            folder,
            simulator,
            emitted,
            observed,
            command_words=memory.command_words,
            title=f"{request.op}, {request.algorithm}, {request.flits} flits a die, {request.rows}x{request.cols} dies",
        )
        results = [load_result(folder, die) for die in range(len(places))]
    totals = None
    if request.links is not None:
        totals = LinkTotals.count(request.links, nop, request.rows, request.cols, of_links)
        if totals.deaths:
            death = totals.deaths[0]
            raise SimulationError(
                f"link {death.source}:{death.target} is dead, found {death.cycle - request.links.death.cycle} cycles "
                f"after it died (bound {totals.dead_cycles})"
                if request.links.death
                else f"link {death.source}:{death.target} is dead"
            )
    if state != "done":
        raise SimulationError(
            f"collective: the dies are {state} after {max(c['cycles'] for c in counters)} cycles"
        )
    sent, received = (
        {side: sum(c[f"flits_{way}_{side}"] for c in counters) for side in SIDES}
        for way in ("sent", "received")
    )
    cycles = 0
    if any(sent.values()):
        moving = [c for c in counters if any(c[f"flits_sent_{side}"] for side in SIDES)]
        cycles = max(c["nop_last"] for c in counters) - min(c["nop_first"] for c in moving)
    floor = floor_collective(request, lines)
    return CollectiveRecord(
        request=request,
        op=request.op,
        mesh=f"{request.rows}x{request.cols}",
        axis=request.axis,
        algorithm=request.algorithm,
        flits=request.flits,
        dtype=request.die.dtype,
        nop=nop,
        cycles=cycles,
        floor_cycles=floor,
        predicted_cycles=predict_collective(request, lines),
        utilization=floor / cycles if cycles else 1.0,
        mismatches=_mismatches(results, expected, defined),
        flits_sent=sent,
        flits_received=received,
        commands=max(map(len, programs)),
        counters=tuple(counters),
        link_totals=totals,
        seed=request.seed,
        sim=request.sim,
        simulator_version=simulator.version(),
        hecaton_version=version("hecaton"),
        verilog_sha256=emitted.sha256,
        wall_seconds=time.perf_counter() - start_time,
    )
