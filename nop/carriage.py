"""How the dies of a line carry out a schedule, as both their programs and the predicted cycles need it.

What a schedule says decides it:

- *copied*: an all-gather whose chunks only ever go on to the next die. Each die sends its chunk once in each direction,
  and the dies on the way take copies.
- *passed*: a reduce-scatter of that kind. Sums go on from die to die through the adders of the receive units, and those
  from both sides meet at the chunk's own die.
- *stored*: any other, such as the folded ring. What comes in goes into the exchange buffer, and from there to the next
  die as soon as a word is whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from nop.collectives import Algorithm, Schedule
from nop.floor import LineOp
from nop.topology import folded_ring

__all__ = ["Carriage", "Part", "Run", "carriage", "first_up", "hands_over", "parts", "runs", "slots"]

Carriage = Literal["copied", "passed", "stored"]
Part = Literal["all-gather", "reduce-scatter"]


def carriage(schedule: Schedule) -> Carriage:
    """How a schedule on a line is carried out."""
    if any(abs(transfer.sender - transfer.receiver) != 1 for transfer in schedule.transfers):
        return "stored"
    return "copied" if schedule.op == "all-gather" else "passed"


def parts(op: LineOp) -> tuple[Part, ...]:
    """The ops that an op consists of, in their order."""
    return ("reduce-scatter", "all-gather") if op == "all-reduce" else (op,)


def slots(algorithm: Algorithm, nodes: int) -> list[int]:
    """Place of each die's chunk in the exchange buffers: for a ring they lie in its order."""
    if algorithm == "chain":
        return list(range(nodes))
    order = folded_ring(nodes)
    return [order.index(node) for node in range(nodes)]


def first_up(place: int, nodes: int) -> bool:
    """Whether the sum from lower places is added first to a die's own chunk: where it is the one that comes first."""
    return 2 * place >= nodes - 1


def hands_over(place: int, nodes: int, flits: int, handed_flits: int) -> bool:
    """Whether the receive unit whose sum is whole first hands it to the other one.

    Otherwise it writes it, and the other one adds to what is written, word by word. To hand over is quicker. But a unit
    that hands over waits for the other one, which may wait for a die that waits for this one; so it is done only where
    what is handed over fits the queue in between, or at the middle die, for which nobody waits.
    """
    return flits <= handed_flits or 2 * place == nodes - 1


class Run(NamedTuple):
    """Chunks one after the other that one command handles: their first slot, step and number, and their flag."""

    first: int
    step: int
    length: int
    flag: bool


def runs(items: Iterable[tuple[int, bool]]) -> list[Run]:
    """Group slots, each with a flag, into runs of equal flags and a constant step of -1 or 1."""
    found: list[Run] = []
    for slot, flag in items:
        if found and found[-1].flag == flag:
            first, step, length, _ = found[-1]
            expected = slot - first if length == 1 else step
            if abs(expected) == 1 and slot == first + length * expected:
                found[-1] = Run(first, expected, length + 1, flag)
                continue
        found.append(Run(slot, 0, 1, flag))
    return found
