"""How the dies of a line carry out a schedule, as both their programs and the predicted cycles need it.

- *passed*: what comes goes straight on to the next die, through the adders in a reduce-scatter. In an all-gather the
  dies keep what they pass on. Sums that come to a die from both sides meet there.
- *stored*: what comes goes into the exchange buffer, and from there to the next die as soon as a word is whole.
- *copied*: each die sends its chunk once in each direction, and the dies on the way take copies.

A chunk that is passed on may have to wait at a die whose send unit is still busy with the chunk before. On a line the
waits go one way and end at the end die. Around a ring they would go round: all dies send their own chunk first and wait
until the next one has sent its own. So around a ring chunks are passed on if a receive unit has room for a whole one.
Longer ones are stored, which costs no time: the first word is there again before the chunk ahead of it has left.

In an all-reduce the chain copies: its dies have their own sums at different times, and copies go by dies that wait.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from nop.collectives import Algorithm, CollectivePart, LineOp
from nop.topology import folded_ring

__all__ = [
    "Forwarding",
    "SlotSequence",
    "first_up",
    "forwarding",
    "hands_over",
    "slot_sequence",
    "slots",
]

Forwarding = Literal["copied", "passed", "stored"]


def forwarding(
    op: LineOp, part: CollectivePart, algorithm: Algorithm, flits: int, queued_flits: int
) -> Forwarding:
    """How a part of an op on a line is carried out, with chunks of ``flits`` flits."""
    if algorithm == "ring":
        return "passed" if flits <= queued_flits else "stored"
    return "copied" if op == "all-reduce" and part == "all-gather" else "passed"


def slots(algorithm: Algorithm, nodes: int) -> list[int]:
    """Place of each die's chunk in the exchange buffers: for a ring they lie in its order."""
    if algorithm == "chain":
        return list(range(nodes))
    order = folded_ring(nodes)
    return [order.index(node) for node in range(nodes)]


def first_up(place: int, nodes: int) -> bool:
    """Whether the sum from lower places is added first to a die's own chunk: where it is the one that comes first."""
    return 2 * place >= nodes - 1


def hands_over(place: int, nodes: int, flits: int, queued_flits: int) -> bool:
    """Whether the receive unit of a chain whose sum is whole first hands it to the other one.

    Otherwise it writes it, and the other one adds to what is written, word by word. To hand over is quicker. But a unit
    that hands over waits for the other one, which may wait for a die that waits for this one; so it is done only where
    what is handed over fits the unit's queue, or at the middle die, for which nobody waits.
    """
    return flits <= queued_flits or 2 * place == nodes - 1


class SlotSequence(NamedTuple):
    """Slots one after the other: the first one, the step to the next, and behind how many of them it goes round.

    ``lap`` is 0 if it never does.
    """

    first: int
    step: int
    lap: int


def slot_sequence(places: list[int], nodes: int) -> SlotSequence:
    """The sequence through slots of ``nodes``, each of which is one further than the one before, or each one back."""
    if len(places) == 1:
        return SlotSequence(places[0], 0, 0)
    step = 1 if (places[1] - places[0]) % nodes == 1 else -1
    lap = next((number for number in range(1, len(places)) if places[number] - places[number - 1] != step), 0)
    return SlotSequence(places[0], step, lap)
