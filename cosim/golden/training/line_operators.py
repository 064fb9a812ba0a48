"""Collectives of the graph in numpy, bit for bit: on every line of dies, in the order of the engine's sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.operators import Gather, Reduce, Scatter
from chiplet.graph.sharding import Along, DiePlace, KvHeads, ShardedTensor
from cosim.golden.collective import carried_out
from cosim.golden.vector import PATTERN_TYPE
from nop.forwarding import slots

__all__ = ["gather", "reduce_replicas", "scatter"]

Shards = Sequence[NDArray[Any]]
"""What each die holds of a tensor, in the order of the dies' numbers."""

Held = Callable[[str], Shards]


def _lines(dies: Sequence[DiePlace], axis: Along) -> Iterator[list[int]]:
    """Numbers of the dies of each line along ``axis``, in their order."""
    numbers = np.arange(len(dies)).reshape(dies[0].rows, dies[0].cols)
    yield from ([int(number) for number in line] for line in (numbers if axis == "row" else numbers.T))


def gather(
    operator: Gather, tensors: Mapping[str, ShardedTensor], held: Held, dies: Sequence[DiePlace]
) -> dict[str, list[NDArray[Any]]]:
    """Targets of an all-gather: every die of a line gets the rows of all."""
    results = {}
    for carried in operator.carries:
        source, target = tensors[carried.source], tensors[carried.target]
        shards = held(carried.source)
        result: list[NDArray[Any]] = [np.empty(0)] * len(dies)
        for line in _lines(dies, operator.axis):
            whole = np.zeros(target.shape(dies[line[0]]), PATTERN_TYPE[source.element])
            for number in line:
                part = source.rows.part(dies[number])
                whole[part.start : part.stop] = shards[number]
            for number in line:
                result[number] = whole.copy()
        results[carried.target] = result
    return results


def scatter(
    operator: Scatter, tensors: Mapping[str, ShardedTensor], held: Held, dies: Sequence[DiePlace]
) -> dict[str, list[NDArray[Any]]]:
    """Targets of a reduce-scatter: each die of a line gets the sums of its own rows."""
    results = {}
    for carried in operator.carries:
        target = tensors[carried.target]
        shards = held(carried.source)
        result: list[NDArray[Any]] = [np.empty(0)] * len(dies)
        for line in _lines(dies, operator.axis):
            parts = [target.rows.part(dies[number]) for number in line]
            chunk, cols = max(map(len, parts)), shards[line[0]].shape[1]
            given = np.zeros((len(line), len(line), chunk, cols), np.uint32)
            for place, number in enumerate(line):
                for c, part in enumerate(parts):
                    given[place, c, : len(part)] = shards[number][part.start : part.stop]
            after = carried_out("reduce-scatter", dies[0].algorithm, given)
            for place, number in enumerate(line):
                result[number] = after[place, place, : len(parts[place])]
        results[carried.target] = result
    return results


def reduce_replicas(
    operator: Reduce, tensors: Mapping[str, ShardedTensor], held: Held, dies: Sequence[DiePlace]
) -> dict[str, list[NDArray[Any]]]:
    """Tensors after the sums over all dies of a row that hold the same head, head by head."""
    results = {}
    for name in operator.tensors:
        heads = tensors[name].cols
        assert isinstance(heads, KvHeads)
        result = [shard.copy() for shard in held(name)]
        for line in _lines(dies, "row"):
            for head in range(heads.size // heads.unit):
                owners = heads.owners(head, dies[line[0]])
                if len(owners) == 1:
                    continue
                numbers = [line[place] for place in owners]
                where = [heads.unit_part(head, dies[number]) for number in numbers]
                rows = len(result[numbers[0]])
                chunk, nodes = -(-rows // len(owners)), len(owners)
                given = np.zeros((nodes, nodes * chunk, heads.unit), np.uint32)
                for place, (number, cols) in enumerate(zip(numbers, where, strict=True)):
                    given[place, :rows] = result[number][:, cols]
                # Chunks lie in the order of their slots.
                slot = slots(dies[0].algorithm, nodes)
                shaped = given.reshape(nodes, nodes, chunk, heads.unit)[:, slot]
                summed = carried_out("all-reduce", dies[0].algorithm, shaped)
                after = summed[:, np.argsort(slot)].reshape(given.shape)
                for place, (number, cols) in enumerate(zip(numbers, where, strict=True)):
                    result[number][:, cols] = after[place, :rows]
        results[name] = result
    return results
