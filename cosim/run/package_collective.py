"""Collectives on the package itself: IO dies, links and all, operands and results in the memories behind the IO dies.

The same programs of the dies as on the bench of :mod:`cosim.run.collective`. Programs come over the memory plane, to some
dies later than to others, so the host lets all dies begin: it posts the semaphores that their send units wait for, in
the same cycle.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from chiplet.machine.specs import PackageSpec, SystemSpec
from cosim.backends.registry import backend
from cosim.golden.collective import SUMS, exchange_buffers
from cosim.jobs.package import Region
from cosim.observe.observation import NOTHING, Observation
from cosim.predict.collective import floor_collective, predict_collective
from cosim.program.collective import COLLECTIVE_PHASES, package_program
from cosim.program.exchange_copies import words_from_exchange, words_to_exchange
from cosim.program.layout import Places
from cosim.program.package import DieWork, io_die_of
from cosim.records.collective import CollectiveRequest
from cosim.records.links import FaultyLinks
from cosim.records.package import PackageCollectiveRecord
from cosim.run.collective import bench_die, prepare
from cosim.run.package import run_phases
from rtl.interface.register_map import SIDES

__all__ = ["on_package", "run_package_collective"]


def on_package(request: CollectiveRequest, system: SystemSpec) -> CollectiveRequest:
    """The request with the links of ``system``, as the package has them: adapters, and wires without flight.

    Raises
    ------
    ValueError
        If it asks for faults: the wires of a package have none.
    """
    clean = FaultyLinks.of(system)
    direct = clean.model_copy(update={"flight_cycles": 0})
    if request.links not in (None, clean, direct):
        raise ValueError(
            "a package has no faulty wires: leave out --flips, --burst, --stalls and --dead-link"
        )
    return request.model_copy(update={"links": direct})


def _package(request: CollectiveRequest, system: SystemSpec) -> SystemSpec:
    """The package of the request; arrays of one PE and small buffers, which no collective touches."""
    shape = PackageSpec(rows=request.rows, cols=request.cols, io=system.package.io)
    return system.model_copy(
        update={"die": bench_die(request.die), "package": shape, "nop": request.nop, "memory": request.memory}
    )


def run_package_collective(
    request: CollectiveRequest,
    system: SystemSpec,
    *,
    direct: bool = False,
    observation: Observation = NOTHING,
) -> PackageCollectiveRecord:
    """Run a collective on a generated package and return the record.

    Parameters
    ----------
    request
        See :func:`on_package`.
    system
        Its links, and which ends of the rows have IO dies.
    direct
        Without link adapters.
    observation
        What else to keep of the run.

    Raises
    ------
    ValueError
        As :func:`cosim.run.collective.prepare` and :func:`cosim.run.package.run_phases`.
    SimulationError
        If the simulator is missing, a link is dead, or the dies do not end.
    OSError
        If a file of the observation cannot be written.
    """
    request = request.model_copy(update={"links": None}) if direct else on_package(request, system)
    lines = prepare(request)
    simulator = backend(request.sim)
    package = _package(request, system)
    word_bytes = request.memory.word_bytes
    before, after, promised = exchange_buffers(request, lines)
    words = before.shape[1] * 4 // word_bytes
    places = Places()
    work = []
    gates = 0
    for number, content in enumerate(before):
        row, col = divmod(number, request.cols)
        io_die = io_die_of(package, row, col)
        address, result = places.take(io_die, words), places.take(io_die, words)
        program, own_gates = package_program(lines, row, col, opened=False)
        gates |= own_gates
        work.append(
            DieWork(
                io_die=io_die,
                image={address: content.astype(SUMS).tobytes()},
                programs=[
                    words_to_exchange(
                        address=address,
                        base=0,
                        words=words,
                        word_elements=word_bytes // package.die.element_bytes,
                    ),
                    program,
                    words_from_exchange(address=result, base=0, words=words),
                ],
                result=Region(io_die=io_die, address=result, words=words),
            )
        )
    run = run_phases(
        package,
        COLLECTIVE_PHASES,
        work,
        places,
        simulator,
        direct=direct,
        stall=request.stall,
        seed=request.seed,
        posts={"collective": gates},
        observation=observation,
        title=f"{request.op}, {request.algorithm}, {request.flits} flits a die, {request.rows}x{request.cols} dies",
    )
    names = [
        name for number, name in enumerate(COLLECTIVE_PHASES) if any(die.programs[number] for die in work)
    ]
    outcomes = dict(zip(names, run.outcome.phases, strict=True))
    counters = outcomes["collective" if "collective" in outcomes else "load"].counters
    moving = [c for c in counters if any(c[f"flits_sent_{side}"] for side in SIDES)]
    cycles = 0
    if moving:
        cycles = max(c["nop_last"] for c in counters) - min(c["nop_first"] for c in moving)
    found = np.array([np.frombuffer(image, SUMS) for image, _ in run.outcome.results])
    undefined = np.array([np.frombuffer(bits, SUMS) for _, bits in run.outcome.results])
    floor = floor_collective(request, lines)
    sent, received = (
        {side: sum(c[f"flits_{way}_{side}"] for c in counters) for side in SIDES}
        for way in ("sent", "received")
    )
    return PackageCollectiveRecord(
        request=request,
        op=request.op,
        mesh=f"{request.rows}x{request.cols}",
        axis=request.axis,
        algorithm=request.algorithm,
        flits=request.flits,
        dtype=request.die.dtype,
        nop=request.nop,
        io=package.package.io,
        cycles=cycles,
        phase_cycles={name: phase.cycles for name, phase in outcomes.items()},
        floor_cycles=floor,
        predicted_cycles=predict_collective(request, lines),
        utilization=floor / cycles if cycles else 1.0,
        mismatches=int(np.count_nonzero(((found != after) | (undefined != 0)) & promised)),
        flits_sent=sent,
        flits_received=received,
        commands=max(len(program) for die in work for program in die.programs),
        counters=tuple(counters),
        link_totals=None,
        seed=request.seed,
        sim=request.sim,
        simulator_version=simulator.version(),
        hecaton_version=version("hecaton"),
        verilog_sha256=run.emitted.sha256,
        wall_seconds=run.wall_seconds,
    )
