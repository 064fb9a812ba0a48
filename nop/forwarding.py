"""How the dies of a line forward chunks. Their programs and the predicted cycles both follow it.

- *passed*: an arriving chunk goes straight on to the next die (cut-through), in a reduce-scatter through the adders. In
  an all-gather a die keeps a copy of what it passes on. Sums that arrive from both sides meet at the die.
- *stored*: an arriving chunk goes into the scratchpad (store-and-forward), and leaves for the next die as soon as
  a word is complete.
- *copied*: each die sends its chunk once in each direction, and the dies on the way take copies (multicast).

A chunk that is passed on may have to wait at a die whose send unit is still busy with the previous chunk. On a line
these waits point one way and end at the last die. Around a ring they could form a circle: every die sends its own chunk
first and waits until the next die has sent its own. So around a ring a chunk is passed on only if a receive unit has
room for all of it. Longer chunks are stored, which costs no time: their first word can be read back before the previous
chunk has left.

In an all-reduce the chain copies: its dies finish their own sums at different times, and copies pass dies that still
wait.
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
    """How the dies of a line forward the chunks of ``flits`` flits in one part of a collective."""
    if algorithm == "ring":
        return "passed" if flits <= queued_flits else "stored"
    return "copied" if op == "all-reduce" and part == "all-gather" else "passed"


def slots(algorithm: Algorithm, nodes: int) -> list[int]:
    """Slot of each die's chunk in the scratchpads. For a ring the slots follow the ring."""
    if algorithm == "chain":
        return list(range(nodes))
    order = folded_ring(nodes)
    return [order.index(node) for node in range(nodes)]


def first_up(place: int, nodes: int) -> bool:
    """Whether a die adds the sum from lower places to its own chunk first: true where that sum arrives first."""
    return 2 * place >= nodes - 1


def hands_over(place: int, nodes: int, flits: int, queued_flits: int) -> bool:
    """Whether, in a chain, the receive unit that finishes its sum first hands it directly to the other receive unit.

    Otherwise it writes its sum to the scratchpad, and the other unit adds to that word by word. Handing over is
    faster. But a unit that hands over waits for the other unit, which may wait for a die that in turn waits for this
    one. So a unit hands over only if the chunk fits the unit's queue, or at the middle die, for which no die waits.
    """
    return flits <= queued_flits or 2 * place == nodes - 1


class SlotSequence(NamedTuple):
    """Consecutive slots: the first one, the step to the next, and after how many of them they wrap around.

    ``lap`` is 0 if they never do.
    """

    first: int
    step: int
    lap: int


def slot_sequence(places: list[int], nodes: int) -> SlotSequence:
    """The sequence of the slots ``places`` out of ``nodes``, each the next one up, or each the next one down."""
    if len(places) == 1:
        return SlotSequence(places[0], 0, 0)
    step = 1 if (places[1] - places[0]) % nodes == 1 else -1
    lap = next((number for number in range(1, len(places)) if places[number] - places[number - 1] != step), 0)
    return SlotSequence(places[0], step, lap)
