"""Parts of a die's tensors that an operator works on at a time: a sequence, a head, or both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from chiplet.graph.operators import Product, VectorRun
from chiplet.graph.sharding import DiePlace, Features, KvHeads, ShardedTensor, Tokens
from chiplet.layout.storage import Storage

__all__ = ["Part", "head_of", "part_count", "part_of", "parts"]


class Part(NamedTuple):
    """A sequence of the die, or all; and a head, or all."""

    sequence: int | None = None
    head: int | None = None


def parts(
    operator: Product | VectorRun, tensors: Mapping[str, ShardedTensor], die: DiePlace
) -> Iterator[Part]:
    """The parts of an operator on ``die``, sequence after sequence and head after head."""
    if not operator.each:
        yield Part()
        return
    sequences, heads = _sequences_and_heads(operator, tensors, die)
    for sequence in sequences:
        for head in heads:
            yield Part(sequence, head)


def part_count(operator: Product | VectorRun, tensors: Mapping[str, ShardedTensor], die: DiePlace) -> int:
    """How many :func:`parts` has."""
    if not operator.each:
        return 1
    sequences, heads = _sequences_and_heads(operator, tensors, die)
    return len(sequences) * len(heads)


def _sequences_and_heads(
    operator: Product | VectorRun, tensors: Mapping[str, ShardedTensor], die: DiePlace
) -> tuple[Sequence[int | None], range]:
    names = (*operator.reads, *operator.writes)
    split = [c for c in (tensors[n].cols for n in names) if isinstance(c, Features) and c.axis == "row"]
    heads = split if operator.each == "kv-head" else [c for c in split if not isinstance(c, KvHeads)]
    sequences: Sequence[int | None] = (None,)
    if operator.each == "sequence-head":
        sequences = range(len(Tokens("column").part(die)) // die.tile.length)
    return sequences, heads[0].units(die)


def head_of(tensor: ShardedTensor, part: Part, each: str) -> int | None:
    """The head of a tensor that ``part`` takes: of keys and values, that of a query head's group."""
    heads = tensor.cols
    if part.head is None or not isinstance(heads, Features) or heads.axis != "row":
        return None
    grouped = isinstance(heads, KvHeads) and each != "kv-head"
    return part.head // heads.group if grouped and isinstance(heads, KvHeads) else part.head


def part_of(storage: Storage, tensor: ShardedTensor, part: Part, each: str, die: DiePlace) -> Storage:
    """What ``part`` takes of a tensor that the die holds in ``storage``."""
    if part.sequence is not None:
        storage = storage.rows_of(part.sequence * die.tile.length, die.tile.length)
    head = head_of(tensor, part, each)
    if head is not None:
        assert isinstance(tensor.cols, Features)
        where = tensor.cols.unit_part(head, die)
        storage = storage.cols_of(where.start, where.stop - where.start)
    return storage
