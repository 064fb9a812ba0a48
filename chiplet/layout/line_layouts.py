"""What is laid out anew for a collective: heads that several dies hold, and values whose chunks each begin a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from chiplet.graph.sharding import DiePlace, KvHeads
from chiplet.layout.storage import RowRun, Storage, matrix_storage
from chiplet.layout.words_to_clear import WordBlock, words_behind

__all__ = ["HeadSum", "head_sums", "slot_runs"]


class HeadSum(NamedTuple):
    """A head that several dies of a row hold, whose copies are added up in a buffer of its own.

    Attributes
    ----------
    head, owners
        Its number, and the places of the dies.
    columns
        Where it is among the columns that the die holds.
    copy
        Layout of the buffer, from word 0 on.
    stride
        Words of a chunk: there is one for each die.
    """

    head: int
    owners: range
    columns: slice
    copy: Storage
    stride: int

    @property
    def words(self) -> int:
        """Words of all chunks."""
        return len(self.owners) * self.stride

    def to_clear(self, word: int = 0) -> Iterator[WordBlock]:
        """Words of the buffer, which begins at ``word``, that are sent and not filled, before the head is copied.

        All of them where rows have gaps, as flits are wider than words: a command then takes the place of one a row.
        """
        rows = 0 if self.copy.pitch > self.copy.row_words else self.copy.rows
        return words_behind(self.copy.at(word), rows, self.words)


def head_sums(
    heads: KvHeads, die: DiePlace, layout: Storage, rows: int, whole_flits: Callable[[int], int]
) -> Iterator[HeadSum]:
    """The sums of heads over the dies of a row that hold them, of a tensor of ``rows`` rows in ``layout``.

    ``whole_flits`` fills words up to those of whole flits.
    """
    for head in heads.units(die):
        owners = heads.owners(head, die)
        if len(owners) < 2:
            continue
        columns = heads.unit_part(head, die)
        pieces = layout.cols_of(columns.start, heads.unit).pieces
        copy = matrix_storage(layout.element, layout.word_bytes, rows, [piece.cols for piece in pieces])
        copy = replace(copy, pitch=whole_flits(copy.pitch))
        yield HeadSum(head, owners, columns, copy, -(-rows // len(owners)) * copy.pitch)


def slot_runs(count: int, nodes: int, chunk: int, stride: int) -> Iterator[RowRun]:
    """``count`` values in ``nodes`` chunks of ``chunk``, ``stride`` words apart; the last ones may be short."""
    for slot in range(nodes):
        first = min(slot * chunk, count)
        yield RowRun(first, min(chunk, count - first), slot * stride)
