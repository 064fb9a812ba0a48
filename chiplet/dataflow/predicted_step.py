"""Predicted cycles of a training step: its operators, in the order of all programs, on the units of all dies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chiplet.dataflow.die_play import DiePlay, LineChunks
from chiplet.dataflow.die_units import DieUnits, MemoryWay, Shares
from chiplet.dataflow.line_play import SIDES, LineDie, play_line
from chiplet.dataflow.line_uses import LineUses
from chiplet.dataflow.memory_times import MemoryLink
from chiplet.dataflow.step_order import Bundle
from chiplet.graph.graph import Graph, Instance
from chiplet.graph.operators import Gather, Move, Product, Reduce, Scatter, VectorRun
from chiplet.graph.sharding import Along, DiePlace
from chiplet.graph.training.sizes import StepSizes
from chiplet.machine.memory_plane import io_links, io_place, memory_plane
from chiplet.machine.specs import SystemSpec
from chiplet.machine.terms import DieTerms
from nop.terms import NopTerms
from nop.topology import Mesh

__all__ = ["PredictedStep", "predicted_step"]

READ_CYCLES = 1
"""Cycles of a read and its word at the ends of the memory plane, besides links and flits."""
WRITTEN_CYCLES = 7
"""Cycles from the last write to its answer at the die, besides links and flits."""
UNITS = ("array", "feed_activation", "feed_weight", "feed_sums", "drain", "vector", "load", "store")
PLAYS = 2
"""The first play tells the next one how busy the units are."""


class PredictedStep(NamedTuple):
    """Prediction of a step.

    Attributes
    ----------
    cycles
        From the common start to the end of the last program.
    units
        Busy cycles of each kind of unit, those of the die where they are most: of the array those with an activation
        vector; of the links of an axis those with a flit, on the side and in the direction where they are most; of load
        and store those with a word; of all others those with a command that waits for no semaphore.
    """

    cycles: int
    units: Mapping[str, int]


def predicted_step(
    graph: Graph,
    order: Sequence[Bundle],
    sizes: StepSizes,
    system: SystemSpec,
    *,
    terms: DieTerms | None = None,
    nop: NopTerms | None = None,
    direct: bool = False,
) -> PredictedStep:
    """Predict a step whose programs have the operators in ``order``.

    Parameters
    ----------
    terms, nop
        Terms of dies and links; by default those of the design.
    direct
        Whether links have no adapters.
    """
    terms = terms or DieTerms()
    nop = nop or NopTerms(add_cycles=system.die.stages)
    shares = [Shares() for _ in system.package.places()]
    for _ in range(PLAYS):
        dies = _played(graph, order, sizes, system, terms, nop, shares, direct=direct)
        units = [die.units for die in dies]
        cycles = max(die.end for die in units)
        shares = [
            Shares(
                array_reads=die.array_reads,
                array_writes=die.units["array"].busy / cycles,
                scratchpad_reads=die.scratchpad_reads / cycles,
            )
            for die in units
        ]
    busy = {name: round(max(die.units[name].busy for die in units)) for name in UNITS}
    for axis in SIDES:
        names = [f"{way} {side}" for way in ("send", "receive") for side in SIDES[axis]]
        busy[f"{axis} links"] = round(max(die.units[name].busy for die in units for name in names))
    return PredictedStep(round(cycles), busy)


def _played(
    graph: Graph,
    order: Sequence[Bundle],
    sizes: StepSizes,
    system: SystemSpec,
    terms: DieTerms,
    nop: NopTerms,
    shares: Sequence[Shares],
    *,
    direct: bool,
) -> list[DiePlay]:
    package, uses = system.package, LineUses(graph)
    plane = memory_plane(system, Mesh(package.rows, package.cols), direct=direct)
    links: dict[object, tuple[MemoryLink, MemoryLink]] = {}
    shapes = sizes.tile_shapes
    largest = max(shapes, key=lambda shape: shape.sequences)
    dies = []
    for row, col in package.places():

        def place(tile: int | None, row: int = row, col: int = col) -> DiePlace:
            shape = largest if tile is None else shapes[tile]
            return DiePlace(sizes.rows, sizes.cols, row, col, sizes.algorithm, shape)

        io = io_place(package, row, col)
        words, writes = links.setdefault(
            io, (MemoryLink(plane.link_cycles(1, 0)), MemoryLink(plane.link_cycles(0, 1)))
        )
        way = plane.way_cycles(io_links(package, row, col, io.side))
        memory = MemoryWay(
            words,
            writes,
            system.memory.latency_cycles + terms.round_trip + way + READ_CYCLES,
            way + WRITTEN_CYCLES,
        )
        units = DieUnits(system, terms, memory, shares[len(dies)])
        dies.append(DiePlay(system, graph, uses, place, units))
    constants = {
        (operator.program.name, name)
        for section in graph.sections
        for operator in section.operators
        if isinstance(operator, VectorRun)
        for name in operator.program.constants
        if name not in operator.bind
    }
    for die in dies:
        die.units.load(1 + len(constants), ())
    for bundle in order:
        _play(bundle, dies, sizes, nop)
    return dies


def _play(bundle: Bundle, dies: Sequence[DiePlay], sizes: StepSizes, nop: NopTerms) -> None:
    instance = bundle[0]
    match operator := instance.operator:
        case Product():
            for die in dies:
                die.product(bundle)
        case VectorRun():
            for die in dies:
                die.run(instance)
        case Move():
            for die in dies:
                die.move(instance)
        case Gather() | Scatter():
            for carried in operator.carries:
                chunks = [
                    die.gather(instance, carried)
                    if isinstance(operator, Gather)
                    else die.scatter(instance, carried)
                    for die in dies
                ]
                op = "all-gather" if isinstance(operator, Gather) else "reduce-scatter"
                for line in _lines(sizes, operator.axis):
                    _collective([(dies[n], chunks[n]) for n in line], operator.axis, op, nop)
                if isinstance(operator, Scatter) and sizes_of_line(sizes, operator.axis) > 1:
                    for die in dies:
                        die.scattered(instance, carried)
        case Reduce():
            _replicas(instance, dies, sizes, nop)
        case _:
            raise TypeError(f"dataflow: operator {operator.name} is a {type(operator).__name__}")


def sizes_of_line(sizes: StepSizes, axis: Along) -> int:
    """Dies of a line along ``axis``."""
    return sizes.cols if axis == "row" else sizes.rows


def _lines(sizes: StepSizes, axis: Along) -> list[list[int]]:
    """Numbers of the dies of each line, in order."""
    numbers = [[row * sizes.cols + col for col in range(sizes.cols)] for row in range(sizes.rows)]
    return numbers if axis == "row" else [list(line) for line in zip(*numbers, strict=True)]


def _collective(
    dies: Sequence[tuple[DiePlay, LineChunks | None]], axis: Along, op: object, nop: NopTerms
) -> None:
    line = [LineDie(die.units, of.reads, of.writes) for die, of in dies if of is not None]
    flits = max((of.flits for _, of in dies if of is not None), default=0)
    if flits and len(line) > 1:
        play_line(line, axis, op, flits, nop)  # type: ignore[arg-type]


def _replicas(instance: Instance, dies: Sequence[DiePlay], sizes: StepSizes, nop: NopTerms) -> None:
    for line in _lines(sizes, "row"):
        going = {n: die.replicas(instance) for n, die in ((n, dies[n]) for n in line)}
        current = {n: next(of, None) for n, of in going.items()}
        while any(item is not None for item in current.values()):
            # Dies take their heads in order; the first one that all of its owners have come to is next.
            for item in [item for item in current.values() if item is not None]:
                owners, name, head = item[:3]
                members = [line[place] for place in owners]
                if all((other := current[n]) is not None and other[1:3] == (name, head) for n in members):
                    chunks = [(dies[n], current[n][3]) for n in members]  # type: ignore[index]
                    _collective(chunks, "row", "all-reduce", nop)
                    for n in members:
                        current[n][4]()  # type: ignore[index]
                        current[n] = next(going[n], None)
                    break
            else:
                raise ValueError("dataflow: dies of a row disagree in the order of their heads")
