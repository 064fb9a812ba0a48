"""The quickest way to run all blocks: out of every combination of their candidates, by a cost that the caller gives.

Blocks depend on each other only by their weights: those of the next one are loaded, and gradients of the last one
stored, behind the computation if both fit at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chiplet.schedule.buffers import BlockMemory
from chiplet.schedule.double_buffers import double_buffered, largest_pair
from chiplet.vectorized.elementwise import Number, choose, one_of, smaller

TOLERANCE = 1e-3
"""What a combination may take longer than the quickest if it comes first: fewer parts cause less DRAM traffic."""


@dataclass(frozen=True)
class Candidate:
    """A way to run a block: its buffers, the seconds of a step in it, and what it adds if weights are not loaded ahead
    or gradients not stored behind.
    """

    memory: BlockMemory
    seconds: Number
    weights_wait: Number
    gradients_wait: Number


@dataclass(frozen=True)
class Choice:
    """The candidate of a block by its place, and what is double-buffered with it."""

    place: Number
    weights_ahead: Any
    gradients_behind: Any


def quickest(blocks: Sequence[Sequence[Candidate]], *, overlap: bool) -> tuple[Choice, ...]:
    """The candidates of attention, FFN and head that together take least time: for one machine, or for many at once.

    Of those within :data:`TOLERANCE` the first is taken, in the order of the candidates. Without ``overlap`` nothing is
    double-buffered.
    """
    attentions, ffns, heads = blocks
    # The head depends on the FFN alone: first its best for each of these.
    pairs_of_head = [
        [largest_pair(head.memory.units, ffn.memory.units[-1:]) for head in heads] for ffn in ffns
    ]
    places_of_head = []
    seconds_of_head = []
    for pairs in pairs_of_head:
        seconds = [_seconds((head,), pair, overlap) for head, pair in zip(heads, pairs, strict=True)]
        places_of_head.append(_first_quickest(seconds))
        seconds_of_head.append(one_of(seconds, places_of_head[-1]))
    pairs_of_layers = []
    totals = []
    for attention in attentions:
        for number, ffn in enumerate(ffns):
            pair = largest_pair(attention.memory.units, ffn.memory.units)
            pairs_of_layers.append(pair)
            totals.append(_seconds((attention, ffn), pair, overlap) + seconds_of_head[number])
    chosen = _first_quickest(totals)
    first, second = chosen // len(ffns), chosen % len(ffns)
    third = one_of(places_of_head, second)
    of_layers = _buffered(attentions[0].memory, one_of(pairs_of_layers, chosen), overlap)
    pair_of_head = one_of([one_of(pairs, third) for pairs in pairs_of_head], second)
    of_head = _buffered(heads[0].memory, pair_of_head, overlap)
    return Choice(first, *of_layers), Choice(second, *of_layers), Choice(third, *of_head)


def _buffered(memory: BlockMemory, pair: Number, overlap: bool) -> tuple[Any, Any]:
    ahead, behind = double_buffered(memory, pair)
    return overlap & ahead, overlap & behind


def _seconds(candidates: Sequence[Candidate], pair: Number, overlap: bool) -> Number:
    """Seconds of candidates whose largest neighbouring sets of weights are ``pair``."""
    ahead, behind = _buffered(candidates[0].memory, pair, overlap)
    total: Number = 0.0
    for one in candidates:
        waiting = choose(ahead, 0.0, one.weights_wait) + choose(behind, 0.0, one.gradients_wait)
        total = total + one.seconds + waiting
    return total


def _first_quickest(seconds: Sequence[Number]) -> Number:
    """The place of the first of ``seconds`` that is within the tolerance of the least."""
    limit = smaller(*seconds) * (1 + TOLERANCE)
    place: Number = len(seconds) - 1
    for number in range(len(seconds) - 2, -1, -1):
        place = choose(seconds[number] <= limit, number, place)
    return place
