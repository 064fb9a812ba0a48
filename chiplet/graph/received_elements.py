"""What the collectives of a graph move: elements and flits that dies receive, by purpose, from their schedules.

Each tensor has a collective of its own. Its chunks are rows of one number, each in whole words as the pieces of its
columns are; values of rows (one column) share words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chiplet.graph.graph import Graph
from chiplet.graph.operators import Gather, Operator, Purpose, Reduce, Scatter
from chiplet.graph.sharding import ONE, Along, DiePlace, KvHeads, ShardedTensor, TileShape
from chiplet.graph.vector_program import ELEMENT_BYTES
from nop.collectives import LineOp, line
from nop.forwarding import slots

__all__ = ["Received", "ReceivedFlits", "chunk_flits", "flits_in_step", "received", "received_in_step"]


class Received(NamedTuple):
    """Elements that all dies together receive: those of tensors, and those that fill up chunks."""

    elements: int = 0
    padding: int = 0


class ReceivedFlits(NamedTuple):
    """Flits that all dies together receive: those of rows that are there, and those that fill up chunks."""

    flits: int = 0
    padding: int = 0


class _Columns(NamedTuple):
    """What a chunk has of each row: pieces, bytes of an element; ``values``: one element."""

    pieces: Sequence[int]
    element_bytes: int
    values: bool

    def elements(self, rows: int) -> int:
        """Elements of ``rows`` rows."""
        return rows * sum(self.pieces)

    def flits(self, rows: int, word_bytes: int, flit_bits: int) -> int:
        """Flits of ``rows`` rows."""
        rows, pieces = (1, [rows]) if self.values else (rows, self.pieces)
        words = rows * sum(-(-length * self.element_bytes // word_bytes) for length in pieces)
        return -(-words * word_bytes * 8 // flit_bits)


@dataclass(frozen=True)
class _Moved:
    """A collective on one line: rows of each chunk, and those that the longest chunk has."""

    op: LineOp
    purpose: Purpose
    chunks: Sequence[int]
    longest: int
    columns: _Columns


def _on_line(die: DiePlace, axis: Along) -> list[DiePlace]:
    nodes, _ = die.line(axis)
    return [die.at(axis, place) for place in range(nodes)]


def _columns(tensor: ShardedTensor, die: DiePlace) -> _Columns:
    return _Columns(tensor.cols.pieces(die), ELEMENT_BYTES[tensor.element], tensor.cols == ONE)


def _moved(operator: Operator, tensors: Mapping[str, ShardedTensor], first: DiePlace) -> list[_Moved]:
    """What ``operator`` moves on the line of ``first``, which is its first die."""
    moved = []
    if isinstance(operator, (Gather, Scatter)):
        gathers = isinstance(operator, Gather)
        for part in operator.carries:
            split = tensors[part.source if gathers else part.target]
            chunks = [len(split.rows.part(die)) for die in _on_line(first, operator.axis)]
            op: LineOp = "all-gather" if gathers else "reduce-scatter"
            moved.append(_Moved(op, part.purpose, chunks, split.rows.chunk(first), _columns(split, first)))
    elif isinstance(operator, Reduce):
        for name in operator.tensors:
            heads = tensors[name].cols
            assert isinstance(heads, KvHeads)
            columns = _columns(tensors[name], first)._replace(pieces=heads.unit_pieces)
            rows = len(tensors[name].rows.part(first))
            for head in range(heads.size // heads.unit):
                nodes = len(heads.owners(head, first))
                size = -(-rows // nodes)
                starts = [size * slot for slot in slots(first.algorithm, nodes)]
                chunks = [max(0, min(size, rows - start)) for start in starts]
                moved.append(_Moved("all-reduce", operator.purpose, chunks, size, columns))
    return moved


def _axis(operator: Operator) -> Along | None:
    if isinstance(operator, (Gather, Scatter)):
        return operator.axis
    return "row" if isinstance(operator, Reduce) else None


_Measure = Callable[[_Columns, int], int]
"""What so many rows of a chunk take."""


def _received(
    operator: Operator, graph: Graph, tile: TileShape, measure: _Measure
) -> dict[Purpose, tuple[int, int]]:
    """What all dies receive for ``operator``, by purpose: rows that are there, and those that fill up chunks."""
    axis, result = _axis(operator), dict[Purpose, tuple[int, int]]()
    if axis is None:
        return result
    for number in range(graph.rows if axis == "row" else graph.cols):
        place = (number, 0) if axis == "row" else (0, number)
        for moved in _moved(
            operator, graph.tensors, DiePlace(graph.rows, graph.cols, *place, graph.algorithm, tile)
        ):
            carried = Counter(t.chunk for t in line(moved.op, len(moved.chunks), graph.algorithm).transfers)
            own = sum(times * measure(moved.columns, moved.chunks[chunk]) for chunk, times in carried.items())
            all_of_it = carried.total() * measure(moved.columns, moved.longest)
            so_far = result.get(moved.purpose, (0, 0))
            result[moved.purpose] = so_far[0] + own, so_far[1] + all_of_it - own
    return result


def _received_in_step(
    graph: Graph, tiles: Sequence[TileShape], measure: _Measure
) -> dict[Purpose, tuple[int, int]]:
    total = dict[Purpose, tuple[int, int]]()
    for instance in graph.order(len(tiles)):
        for purpose, more in _received(instance.operator, graph, tiles[instance.tile or 0], measure).items():
            so_far = total.get(purpose, (0, 0))
            total[purpose] = so_far[0] + more[0], so_far[1] + more[1]
    return total


def received(operator: Operator, graph: Graph, tile: TileShape) -> dict[Purpose, Received]:
    """Elements that all dies receive for ``operator``, by purpose; nothing if it is no collective.

    A die of a reduce-scatter also receives the sums that it passes on.
    """
    found = _received(operator, graph, tile, _Columns.elements)
    return {purpose: Received(*counts) for purpose, counts in found.items()}


def received_in_step(graph: Graph, tiles: Sequence[TileShape]) -> dict[Purpose, Received]:
    """Elements that all dies receive in a step of these token tiles, by purpose."""
    found = _received_in_step(graph, tiles, _Columns.elements)
    return {purpose: Received(*counts) for purpose, counts in found.items()}


def flits_in_step(
    graph: Graph, tiles: Sequence[TileShape], *, word_bytes: int, flit_bits: int
) -> dict[Purpose, ReceivedFlits]:
    """Flits that all dies receive in a step of these token tiles, with those that they pass on, by purpose."""

    def measure(columns: _Columns, rows: int) -> int:
        return columns.flits(rows, word_bytes, flit_bits)

    found = _received_in_step(graph, tiles, measure)
    return {purpose: ReceivedFlits(*counts) for purpose, counts in found.items()}


def chunk_flits(tensor: ShardedTensor, die: DiePlace, *, word_bytes: int, flit_bits: int) -> int:
    """Flits of a chunk of ``tensor``, whose rows the dies of a line share, on the line of ``die``."""
    return _columns(tensor, die).flits(tensor.rows.chunk(die), word_bytes, flit_bits)
