"""Collectives on the engines of a line of dies: when each die sends, and when what it receives is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from chiplet.dataflow.die_units import DieUnits
from chiplet.dataflow.place_times import Use
from chiplet.graph.sharding import Along
from chiplet.machine.chunks import chunk_words
from nop.collectives import LineOp
from nop.terms import NopTerms

__all__ = ["LineDie", "play_line"]

SIDES: dict[Along, tuple[str, str]] = {"row": ("east", "west"), "column": ("south", "north")}
"""Side of a die towards the next place of its line, and towards the one before."""


@dataclass(frozen=True)
class LineDie:
    """A die of a line: its units, what it sends, and where what comes from lower, and from higher places, lies.

    ``rows``: those of a chunk, if chunks are sent as soon as their rows are there; otherwise 0.
    """

    units: DieUnits
    reads: tuple[Use, ...]
    lower: Use
    higher: Use
    rows: int = 0

    def ready(self, unit: str, place: int) -> float:
        """When the chunk of the die at ``place`` is there."""
        places = self.units.places
        if not self.rows:
            return places.ready(unit, self.reads, ())
        rows = range(place * self.rows, (place + 1) * self.rows)
        return max(places.rows_ready(unit, use, rows) for use in self.reads)


def play_line(dies: Sequence[LineDie], axis: Along, op: LineOp, flits: int, terms: NopTerms) -> None:
    """A collective with the algorithm chain on chunks of ``flits`` flits; dies in the order of their places."""
    nodes = len(dies)
    ops: list[LineOp] = ["reduce-scatter", "all-gather"] if op == "all-reduce" else [op]
    up, down = SIDES[axis]
    sends: list[dict[str, float]] = []
    receives: list[dict[str, float]] = []
    for place, die in enumerate(dies):
        leaving = [side for side, there in ((up, place < nodes - 1), (down, place > 0)) if there]
        begins = {}
        for side in leaving:
            unit = f"send {side}"
            taken = die.units.command(unit) + terms.command_cycles
            # The first chunk that leaves: the die's own, or the sums of the farthest one.
            first = place if ops[0] == "all-gather" else nodes - 1 if side == up else 0
            begins[side] = max(taken, die.ready(unit, first)) + terms.send_cycles
        sends.append(begins)
        come = {}
        for side in leaving:  # a die has neighbours on the same sides
            unit = f"receive {side}"
            taken = die.units.command(unit) + terms.command_cycles
            for _ in ops[1:]:  # that of copies
                die.units.command(unit)
            writes = (die.higher if side == up else die.lower,)
            come[side] = max(taken, die.units.places.ready(unit, (), writes))
        receives.append(come)
    there: list[dict[str, float]] = [{} for _ in dies]
    for each in ops:
        if each != ops[0]:
            for place, begins in enumerate(sends):
                sends[place] = {side: max(time, *there[place].values()) for side, time in begins.items()}
        there = _play(dies, sends, receives, up, down, each, flits, terms)
    for place, die in enumerate(dies):
        for side in sends[place]:
            die.units.places.use(f"send {side}", die.reads, (), die.units.units[f"send {side}"].end)
        for side, time in there[place].items():
            writes = (die.higher if side == up else die.lower,)
            die.units.places.use(f"receive {side}", (), writes, time + terms.post_cycles)


def _play(
    dies: Sequence[LineDie],
    sends: Sequence[dict[str, float]],
    receives: Sequence[dict[str, float]],
    up: str,
    down: str,
    op: LineOp,
    flits: int,
    terms: NopTerms,
) -> list[dict[str, float]]:
    """When each die has what it receives, by side. Chunks go straight on, and those of sums through an adder."""
    nodes = len(dies)
    there: list[dict[str, float]] = [{} for _ in dies]
    hop = terms.hop_cycles + (terms.add_cycles if op == "reduce-scatter" else 0.0)
    for side, back, order in ((up, down, range(nodes)), (down, up, range(nodes - 1, -1, -1))):
        before: list[float] = []  # when chunks on the link behind begin
        path = list(order)
        for position, (place, following) in enumerate(pairwise(path)):
            count = position + 1 if op == "all-gather" else nodes - 1 - position
            free = max(sends[place][side], receives[following][back] - terms.hop_cycles)
            starts = []
            for number in range(count):
                source = number - 1 if op == "all-gather" else number
                if op == "reduce-scatter":
                    chunk = nodes - 1 - number if side == up else number
                    free = max(free, dies[place].ready(f"send {side}", chunk) + terms.send_cycles)
                if 0 <= source < len(before):
                    free = max(free, before[source] + hop + terms.pass_cycles)
                starts.append(free)
                free += flits * terms.link_cycles
            unit = dies[place].units.units[f"send {side}"]
            unit.busy += count * flits
            unit.takes = unit.end = free
            system = dies[place].units.system
            words = count * chunk_words(flits, system.nop, system.memory)
            dies[place].units.scratchpad_reads += words
            dies[following].units.scratchpad_writes += words
            unit = dies[following].units.units[f"receive {back}"]
            unit.busy += count * flits
            unit.takes = unit.end = free + hop
            there[following][back] = free + hop
            if op == "reduce-scatter":
                own = dies[following].ready(f"receive {back}", following)
                there[following][back] = max(free + hop, own + flits * terms.link_cycles)
            before = starts
    if op == "reduce-scatter":  # sums of both sides meet
        there = [dict.fromkeys(sides, max(sides.values(), default=0.0)) for sides in there]
    return there
