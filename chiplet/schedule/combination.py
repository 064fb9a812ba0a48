"""The quickest way to run all blocks: out of every combination of their candidates, by a cost that the caller gives.

Blocks depend on each other only by their weights: those of the next one are loaded, and gradients of the last one
stored, behind the computation if both fit at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from chiplet.schedule.buffers import BlockMemory
from chiplet.schedule.double_buffers import double_buffered, pair_of
from chiplet.vectorized.elementwise import Number, choose, larger, one_of, smaller

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
    """The candidates of all blocks that together take least time: for one machine, or for many at once.

    Of those within :data:`TOLERANCE` the first is taken, in the order of the candidates. Without ``overlap`` nothing is
    double-buffered.
    """
    places = {of_block[0].memory.block.label: number for number, of_block in enumerate(blocks)}
    beside = [[places[label] for label in of_block[0].memory.block.neighbours] for of_block in blocks]
    names = [of_block[0].memory.block.name for of_block in blocks]
    layers = [number for number, name in enumerate(names) if name in ("attention", "ffn")]
    ends = [number for number, name in enumerate(names) if name not in ("attention", "ffn")]

    @cache
    def pair(number: int, place: int, other: int, its: int) -> Number:
        """The largest neighbouring sets of weights of a block and the one beside it."""
        return pair_of(blocks[number][place].memory, blocks[other][its].memory)

    @cache
    def seconds(number: int, place: int, others: tuple[int, ...]) -> Number:
        """Seconds of the candidate of block ``number``, with the candidates ``others`` beside it."""
        pairs = (pair(number, place, *other) for other in zip(beside[number], others, strict=True))
        return _seconds(blocks[number][place], larger(*pairs), overlap)

    @cache
    def end(number: int, its: int) -> tuple[Number, Number]:
        """Of an end, which depends on one block of the layers alone: its best place, and the seconds there."""
        of_end = [seconds(number, place, (its,)) for place in range(len(blocks[number]))]
        place = first_quickest(of_end)
        return place, one_of(of_end, place)

    totals = []
    for chosen in product(*(range(len(blocks[number])) for number in layers)):
        at = dict(zip(layers, chosen, strict=True))
        total: Number = 0.0
        for number in layers:
            total = total + seconds(number, at[number], tuple(at[other] for other in beside[number]))
        for number in ends:
            total = total + end(number, at[beside[number][0]])[1]
        totals.append(total)
    left = first_quickest(totals)
    found: dict[int, Number] = {}
    for number in reversed(layers):
        found[number], left = left % len(blocks[number]), left // len(blocks[number])
    for number in ends:
        (other,) = beside[number]
        found[number] = one_of([end(number, its)[0] for its in range(len(blocks[other]))], found[other])
    choices = []
    for number, of_block in enumerate(blocks):
        pairs = [
            one_of(
                [
                    one_of(
                        [pair(number, place, other, its) for its in range(len(blocks[other]))], found[other]
                    )
                    for place in range(len(of_block))
                ],
                found[number],
            )
            for other in beside[number]
        ]
        choices.append(Choice(found[number], *_buffered(of_block[0].memory, larger(*pairs), overlap)))
    return tuple(choices)


def _buffered(memory: BlockMemory, pair: Number, overlap: bool) -> tuple[Any, Any]:
    ahead, behind = double_buffered(memory, pair)
    return overlap & ahead, overlap & behind


def _seconds(candidate: Candidate, pair: Number, overlap: bool) -> Number:
    """Seconds of a candidate whose largest neighbouring sets of weights are ``pair``."""
    ahead, behind = _buffered(candidate.memory, pair, overlap)
    waiting = choose(ahead, 0.0, candidate.weights_wait) + choose(behind, 0.0, candidate.gradients_wait)
    return candidate.seconds + waiting


def first_quickest(seconds: Sequence[Number]) -> Number:
    """The place of the first of ``seconds`` that is within the tolerance of the least."""
    limit = smaller(*seconds) * (1 + TOLERANCE)
    place: Number = len(seconds) - 1
    for number in range(len(seconds) - 2, -1, -1):
        place = choose(seconds[number] <= limit, number, place)
    return place
