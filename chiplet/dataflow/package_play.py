"""A package at work on a training step: the units of all dies, operator after operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

from chiplet.dataflow.die_play import DiePlay, LineChunks
from chiplet.dataflow.die_tensors import CONSTANTS
from chiplet.dataflow.die_units import BusyShares, DieUnits, MemoryWay
from chiplet.dataflow.fused_operators import FusedOperators
from chiplet.dataflow.line_play import LineDie, play_line
from chiplet.dataflow.memory_times import MemoryLink
from chiplet.graph.graph import Graph, Instance
from chiplet.graph.operators import Gather, Move, Product, Reduce, Scatter, VectorRun
from chiplet.graph.sharding import Along
from chiplet.graph.training.sizes import StepSizes
from chiplet.layout.line_uses import LineUses
from chiplet.machine.calibration import Calibration
from chiplet.machine.memory_plane import io_links, io_place, memory_plane
from chiplet.machine.specs import SystemSpec
from chiplet.machine.terms import DieTerms, StepUnitTerms
from nop.collectives import LineOp
from nop.terms import NopTerms
from nop.topology import Mesh

__all__ = ["PackagePlay", "StepTerms"]


@dataclass(frozen=True, kw_only=True)
class StepTerms:
    """Terms of dies, links and units in a step; those of the design, or of a calibration."""

    die: DieTerms
    nop: NopTerms
    units: StepUnitTerms = field(default_factory=StepUnitTerms)

    @classmethod
    def of_design(cls, system: SystemSpec) -> StepTerms:
        """Those that follow from the design."""
        return cls(die=DieTerms(), nop=NopTerms(add_cycles=system.die.stages))

    @classmethod
    def of(cls, system: SystemSpec, calibration: Calibration | None) -> StepTerms:
        """Those of a calibration; what it leaves out, and all of them without one, are the design's."""
        design = cls.of_design(system)
        if calibration is None:
            return design
        return cls(
            die=calibration.terms,
            nop=calibration.nop or design.nop,
            units=calibration.step or design.units,
        )

    def with_units(self, units: StepUnitTerms) -> StepTerms:
        """The same with other terms of units."""
        return replace(self, units=units)


class PackagePlay:
    """All dies of a package, which go through the operators in one order.

    Parameters
    ----------
    graph, sizes, system, terms
        The step, the package, and its terms.
    shares
        Of each die, what its units leave to each other; nothing is known at first.
    direct
        Whether links have no adapters.

    Attributes
    ----------
    units
        The units of each die, in the order of the dies' numbers.
    """

    def __init__(
        self,
        graph: Graph,
        sizes: StepSizes,
        system: SystemSpec,
        terms: StepTerms,
        *,
        shares: Sequence[BusyShares] = (),
        direct: bool = False,
    ) -> None:
        self._sizes, self._nop = sizes, terms.nop
        package, uses = system.package, LineUses(graph)
        plane = memory_plane(system, Mesh(package.rows, package.cols), direct=direct)
        links: dict[object, tuple[MemoryLink, MemoryLink, MemoryLink]] = {}
        self._dies = []
        for number, (row, col) in enumerate(package.places()):
            io = io_place(package, row, col)
            word, write = (terms.units.memory_flit * plane.link_cycles(*way) for way in ((1, 0), (0, 1)))
            ways = links.setdefault(io, (MemoryLink(word), MemoryLink(word), MemoryLink(write)))
            own = shares[number] if shares else BusyShares()
            ways[1].expect(own.fetched)
            way = plane.way_cycles(io_links(package, row, col, io.side))
            memory = MemoryWay(
                *ways,
                system.memory.latency_cycles + terms.die.round_trip + way + terms.units.memory_read,
                way + terms.units.memory_written,
            )
            units = DieUnits(system, terms.die, terms.units, memory, own)
            self._dies.append(DiePlay(system, graph, uses, partial(sizes.place, row, col), units))
        self.units = [die.units for die in self._dies]
        for units in self.units:
            units.load(1 + len(graph.constants), (CONSTANTS,))  # and the one that clears words

    @property
    def cycles(self) -> float:
        """When the last program ends."""
        return max(units.end for units in self.units)

    def alone(self) -> float:
        """Let the next operator begin when all before it have ended: then."""
        cycles = self.cycles
        for units in self.units:
            units.places.floor = cycles
        return cycles

    def shares(self, *, meets: bool = True) -> list[BusyShares]:
        """What the units of each die leave to each other; without ``meets`` all words of the scratchpad."""
        cycles = self.cycles if meets else inf
        return [
            BusyShares(
                array_reads=units.array_reads,
                scratchpad_reads=units.scratchpad_reads / cycles,
                scratchpad_writes=units.scratchpad_writes / cycles,
                fetched=units.fetched,
            )
            for units in self.units
        ]

    def play(self, fused: FusedOperators) -> None:
        """The next operator of all dies."""
        instance = fused[0]
        match operator := instance.operator:
            case Product():
                for die in self._dies:
                    die.product(fused)
            case VectorRun():
                for die in self._dies:
                    die.run(instance)
            case Move():
                for die in self._dies:
                    die.move(instance)
            case Gather() | Scatter():
                self._line_operator(instance)
            case Reduce():
                for line in self._lines("row"):
                    self._replicas(instance, line)
            case _:
                raise TypeError(f"dataflow: operator {operator.name} is a {type(operator).__name__}")

    def _lines(self, axis: Along) -> list[list[DiePlay]]:
        """The dies of each line, in order."""
        cols = self._sizes.cols
        rows = [self._dies[first : first + cols] for first in range(0, len(self._dies), cols)]
        return rows if axis == "row" else [list(line) for line in zip(*rows, strict=True)]

    def _line_operator(self, instance: Instance) -> None:
        operator = instance.operator
        assert isinstance(operator, (Gather, Scatter))
        gathers = isinstance(operator, Gather)
        for carried in operator.carries:
            for line in self._lines(operator.axis):
                chunks = [
                    die.gather(instance, carried) if gathers else die.scatter(instance, carried)
                    for die in line
                ]
                self._collective(line, chunks, operator.axis, "all-gather" if gathers else "reduce-scatter")
                if not gathers and len(line) > 1:
                    for die in line:
                        die.scattered(instance, carried)

    def _collective(
        self, line: Sequence[DiePlay], chunks: Sequence[LineChunks | None], axis: Along, op: LineOp
    ) -> None:
        there = [
            (LineDie(die.units, of.reads, of.lower, of.higher, of.rows), of.flits)
            for die, of in zip(line, chunks, strict=True)
            if of is not None
        ]
        if len(there) > 1:
            play_line([die for die, _ in there], axis, op, there[0][1], self._nop)

    def _replicas(self, instance: Instance, line: Sequence[DiePlay]) -> None:
        """Dies take their heads in order; the first one that all of its owners have come to is next."""
        going = [die.replicas(instance) for die in line]
        current = [next(of, None) for of in going]
        while any(item is not None for item in current):
            ready = next(
                item
                for item in current
                if item is not None
                and all(
                    (other := current[place]) is not None and other.what == item.what for place in item.owners
                )
            )
            members = [(place, item) for place in ready.owners if (item := current[place]) is not None]
            self._collective(
                [line[place] for place, _ in members],
                [item.chunks for _, item in members],
                "row",
                "all-reduce",
            )
            for place, item in members:
                item.finish()
                current[place] = next(going[place], None)
