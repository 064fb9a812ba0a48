"""What the collectives of a graph move: elements and flits that dies receive, by purpose, from their schedules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chiplet.graph.graph import Graph
from chiplet.graph.operators import Gather, Operator, Purpose, Reduce, Scatter
from chiplet.graph.sharding import ONE, Along, DiePlace, KvHeads, ShardedTensor, TileShape
from chiplet.graph.vector_program import ELEMENT_BYTES
from nop.collectives import LineOp, line
from nop.forwarding import slots

__all__ = ["Received", "chunk_flits", "received", "received_in_step"]


class Received(NamedTuple):
    """Elements that all dies together receive: those of tensors, and those that fill up chunks."""

    elements: int = 0
    padding: int = 0


@dataclass(frozen=True)
class _Moved:
    """One tensor in a collective on one line: elements of each chunk, and those that the longest chunk has."""

    op: LineOp
    purpose: Purpose
    chunks: Sequence[int]
    longest: int


def _on_line(die: DiePlace, axis: Along) -> list[DiePlace]:
    nodes, _ = die.line(axis)
    return [die.at(axis, place) for place in range(nodes)]


def _moved(operator: Operator, tensors: Mapping[str, ShardedTensor], first: DiePlace) -> list[_Moved]:
    """What ``operator`` moves on the line of ``first``, which is its first die."""
    moved = []
    if isinstance(operator, (Gather, Scatter)):
        gathers = isinstance(operator, Gather)
        for part in operator.carries:
            split = tensors[part.source if gathers else part.target]
            cols = len(split.cols.part(first))
            chunks = [len(split.rows.part(die)) * cols for die in _on_line(first, operator.axis)]
            op: LineOp = "all-gather" if gathers else "reduce-scatter"
            moved.append(_Moved(op, part.purpose, chunks, split.rows.chunk(first) * cols))
    elif isinstance(operator, Reduce):
        for name in operator.tensors:
            heads = tensors[name].cols
            assert isinstance(heads, KvHeads)
            rows = len(tensors[name].rows.part(first))
            for head in range(heads.size // heads.unit):
                nodes = len(heads.owners(head, first))
                size = -(-rows // nodes)
                starts = [size * slot for slot in slots(first.algorithm, nodes)]
                lengths = [max(0, min(size, rows - start)) * heads.unit for start in starts]
                moved.append(_Moved("all-reduce", operator.purpose, lengths, size * heads.unit))
    return moved


def _axis(operator: Operator) -> Along | None:
    if isinstance(operator, (Gather, Scatter)):
        return operator.axis
    return "row" if isinstance(operator, Reduce) else None


def received(operator: Operator, graph: Graph, tile: TileShape) -> dict[Purpose, Received]:
    """Elements that all dies receive for ``operator``, by purpose; nothing if it is no collective.

    A die of a reduce-scatter also receives the sums that it passes on.
    """
    axis, result = _axis(operator), dict[Purpose, Received]()
    if axis is None:
        return result
    for number in range(graph.rows if axis == "row" else graph.cols):
        place = (number, 0) if axis == "row" else (0, number)
        for moved in _moved(
            operator, graph.tensors, DiePlace(graph.rows, graph.cols, *place, graph.algorithm, tile)
        ):
            carried = Counter(t.chunk for t in line(moved.op, len(moved.chunks), graph.algorithm).transfers)
            elements = sum(times * moved.chunks[chunk] for chunk, times in carried.items())
            so_far = result.get(moved.purpose, Received())
            all_of_it = carried.total() * moved.longest
            result[moved.purpose] = Received(
                so_far.elements + elements, so_far.padding + all_of_it - elements
            )
    return result


def received_in_step(graph: Graph, tiles: Sequence[TileShape]) -> dict[Purpose, Received]:
    """Elements that all dies receive in a step of these token tiles, by purpose."""
    total = dict[Purpose, Received]()
    for instance in graph.order(len(tiles)):
        for purpose, more in received(instance.operator, graph, tiles[instance.tile or 0]).items():
            so_far = total.get(purpose, Received())
            total[purpose] = Received(so_far.elements + more.elements, so_far.padding + more.padding)
    return total


def chunk_flits(
    operator: Gather | Scatter,
    tensors: Mapping[str, ShardedTensor],
    die: DiePlace,
    *,
    word_bytes: int,
    flit_bits: int,
) -> int:
    """Flits of a chunk of ``operator`` on the line of ``die``.

    Its tensors lie one after the other; each row of a matrix begins a word, and values of rows share words.
    """
    words = 0
    for part in operator.carries:
        split = tensors[part.source if isinstance(operator, Gather) else part.target]
        rows, cols = split.rows.chunk(die), len(split.cols.part(die))
        if split.cols == ONE:
            rows, cols = 1, rows
        words += rows * -(-cols * ELEMENT_BYTES[split.element] // word_bytes)
    return -(-words * word_bytes * 8 // flit_bits)
