"""How the dies of a line forward chunks. Their programs and the predicted cycles both follow it.

- *passed*: an arriving chunk goes straight on to the next die (cut-through), where sums are made through the adders. A
  die keeps a copy of what it passes on if it is to have it. Sums that arrive from both sides meet at the die.
- *stored*: an arriving chunk goes into the scratchpad (store-and-forward), and leaves for the next die as soon as
  a word is complete.

A chunk that is passed on may have to wait at a die whose send unit is still busy with the previous chunk. On a line
these waits point one way and end at the last die. Where chunks come back they could form a circle: around a ring, every
die sends its own chunk first and waits until the next die has sent its own; in the all-reduce of a chain, either end
sends its own chunks before the sums that it returns. So chunks are passed on there only if the queues of the receive
units have room for what waits. Longer ones are stored, which costs no time: their first word can be read back before
the previous chunk has left. In the all-reduce of a chain, only the ends store.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from nop.collectives import Algorithm, CollectiveSchedule, LineOp, summed_up
from nop.topology import folded_ring

__all__ = [
    "Forwarding",
    "Sending",
    "SlotSequence",
    "first_up",
    "forwarding",
    "hands_over",
    "sendings",
    "slot_sequence",
    "slots",
]

Forwarding = Literal["passed", "stored"]


def forwarding(op: LineOp, algorithm: Algorithm, nodes: int, flits: int, queued_flits: int) -> Forwarding:
    """How the dies of a line forward chunks of ``flits`` flits where these could wait in a circle.

    Both ends of a chain wait for each other only if the queues of all its dies are full in both directions. And an end
    whose queue is full holds up sums that are not complete yet. Its queue fills with those that arrive before its own
    chunks have left: from the first sum on, two cycles or more for each die, one flit a cycle.
    """
    if algorithm == "ring":
        return "passed" if flits <= queued_flits else "stored"
    if op != "all-reduce":
        return "passed"
    others = nodes - 1
    room = min(queued_flits + 2 * others, queued_flits * others)
    return "passed" if summed_up(nodes) * flits <= room else "stored"


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


class Sending(NamedTuple):
    """What one SEND sends to the die at ``receiver``.

    First ``own`` chunks of the die, then what one RECEIVE forwards, that of the part ``received`` of the schedule: for
    each chunk ``forwarded``, the part in which it is sent, and its number. A sum that is complete at the die comes with
    one part and is sent in the next.
    """

    receiver: int
    own: tuple[int, ...]
    forwarded: tuple[tuple[int, int], ...]
    received: int


def sendings(schedule: CollectiveSchedule, place: int, up: bool) -> list[Sending]:
    """What the die at ``place`` of a line sends towards higher places (``up``) or lower ones, SEND after SEND."""
    found: list[Sending] = []
    for part, of in enumerate(schedule.parts()):
        came = {transfer.chunk for transfer in of.transfers if transfer.receiver == place}
        for _, sender, receiver, chunk in of.transfers:
            if sender != place or (receiver > place) != up:
                continue
            if part == 0 and chunk not in came:
                if not found:
                    found.append(Sending(receiver, (), (), -1))
                found[0] = found[0]._replace(own=(*found[0].own, chunk))
                continue
            received = part if chunk in came else part - 1
            if not found or found[-1].received not in (-1, received):
                found.append(Sending(receiver, (), (), received))
            last = found[-1]
            found[-1] = last._replace(forwarded=(*last.forwarded, (part, chunk)), received=received)
    return found
