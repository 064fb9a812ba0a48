"""Where a die's part of a tensor lies, in words: rows, and the pieces of a row that each begin a word.

Rows of a matrix follow each other at one pitch. In a row the pieces of the columns' dimension (a head, or half of one)
are filled up to whole words each, so that a command can take one alone. Values of rows (one column) lie side by side.
What was gathered has a run of rows for each die of the line: the die's own rows stay where they were made.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Self

from chiplet.graph.sharding import ONE, DiePlace, ShardedTensor
from chiplet.graph.vector_pass import Element
from chiplet.graph.vector_program import ELEMENT_BYTES

__all__ = [
    "Piece",
    "RowRun",
    "Storage",
    "joined_pieces",
    "joined_runs",
    "layout_of",
    "matrix_storage",
    "value_storage",
]


class Piece(NamedTuple):
    """Columns that begin a word together: the first one, how many, and the word of a row that they begin."""

    start: int
    cols: int
    word: int


class RowRun(NamedTuple):
    """Rows one after the other: the first one, how many, and the word that they begin."""

    row: int
    rows: int
    word: int


@dataclass(frozen=True)
class Storage:
    """A tensor's part in words.

    Attributes
    ----------
    element, word_bytes
        Type of its elements, and bytes of a word.
    pieces
        Of each row.
    pitch
        Words from one row to the next.
    runs
        Of its rows, in ascending order.
    values
        One value a row, side by side in words: no pitch.
    """

    element: Element
    word_bytes: int
    pieces: tuple[Piece, ...]
    pitch: int
    runs: tuple[RowRun, ...]
    values: bool = False

    @property
    def rows(self) -> int:
        """Rows, or values."""
        return sum(run.rows for run in self.runs)

    @property
    def cols(self) -> int:
        """Elements of a row."""
        return sum(piece.cols for piece in self.pieces)

    @property
    def element_bytes(self) -> int:
        """Bytes of an element."""
        return ELEMENT_BYTES[self.element]

    @property
    def run(self) -> RowRun:
        """Its only run. Raises ValueError if it has several."""
        (run,) = self.runs
        return run

    @property
    def dense(self) -> bool:
        """Whether a row has no gaps between its pieces."""
        before = self.pieces[:-1]
        return all(piece.cols * self.element_bytes % self.word_bytes == 0 for piece in before)

    @property
    def row_words(self) -> int:
        """Words of a row that its pieces take."""
        return sum(self.words_of(piece.cols) for piece in self.pieces)

    def words_of(self, elements: int) -> int:
        """Words that so many elements take."""
        return -(-elements * self.element_bytes // self.word_bytes)

    def taken(self, rows: int) -> int:
        """Words of so many rows in a run."""
        return self.words_of(rows) if self.values else rows * self.pitch

    def at(self, word: int) -> Self:
        """The same with its only run at ``word``."""
        return type(self)(
            self.element,
            self.word_bytes,
            self.pieces,
            self.pitch,
            (self.run._replace(word=word),),
            self.values,
        )

    def rows_of(self, first: int, rows: int) -> Self:
        """Rows of a matrix from ``first`` on, counted from 0 again."""
        cut = []
        for run in self.runs:
            start, stop = max(first, run.row), min(first + rows, run.row + run.rows)
            if start < stop:
                cut.append(RowRun(start - first, stop - start, run.word + (start - run.row) * self.pitch))
        return type(self)(self.element, self.word_bytes, self.pieces, self.pitch, tuple(cut), self.values)

    def cols_of(self, first: int, cols: int) -> Self:
        """Columns from ``first`` on, counted from 0 again; they are whole pieces.

        Raises
        ------
        ValueError
            If the columns begin or end within a piece.
        """
        cut = [piece for piece in self.pieces if first <= piece.start < first + cols]
        if sum(piece.cols for piece in cut) != cols or cut[0].start != first:
            raise ValueError(f"columns {first} to {first + cols - 1} are no whole pieces of {self.pieces}")
        skipped = cut[0].word
        runs = tuple(run._replace(word=run.word + skipped) for run in self.runs)
        pieces = tuple(Piece(p.start - first, p.cols, p.word - skipped) for p in cut)
        return type(self)(self.element, self.word_bytes, pieces, self.pitch, runs, self.values)


def matrix_storage(element: Element, word_bytes: int, rows: int, pieces: list[int], word: int = 0) -> Storage:
    """A matrix of ``rows`` rows from ``word`` on; ``pieces`` are the columns of each piece."""
    words = [-(-cols * ELEMENT_BYTES[element] // word_bytes) for cols in pieces]
    starts, firsts = [0, *accumulate(pieces)], [0, *accumulate(words)]
    cut = tuple(Piece(*of) for of in zip(starts, pieces, firsts, strict=False))
    return Storage(element, word_bytes, cut, sum(words), (RowRun(0, rows, word),))


def value_storage(element: Element, word_bytes: int, count: int, word: int = 0) -> Storage:
    """``count`` values of rows, from ``word`` on."""
    return Storage(element, word_bytes, (Piece(0, 1, 0),), 0, (RowRun(0, count, word),), values=True)


def joined_pieces(storage: Storage) -> list[Piece]:
    """Pieces of a row; those that follow each other without gaps are one."""
    joined: list[Piece] = []
    for piece in storage.pieces:
        if joined:
            last = joined[-1]
            size = last.cols * storage.element_bytes
            if size % storage.word_bytes == 0 and piece.word == last.word + size // storage.word_bytes:
                joined[-1] = last._replace(cols=last.cols + piece.cols)
                continue
        joined.append(piece)
    return joined


def joined_runs(storage: Storage) -> list[RowRun]:
    """Runs of rows; those that follow each other at the pitch are one."""
    joined: list[RowRun] = []
    for run in storage.runs:
        if joined and run.word == joined[-1].word + joined[-1].rows * storage.pitch:
            joined[-1] = joined[-1]._replace(rows=joined[-1].rows + run.rows)
        else:
            joined.append(run)
    return joined


def layout_of(tensor: ShardedTensor, die: DiePlace, word_bytes: int) -> Storage:
    """Layout of what ``die`` holds of a tensor."""
    rows, _ = tensor.shape(die)
    if tensor.cols == ONE:
        return value_storage(tensor.element, word_bytes, rows)
    return matrix_storage(tensor.element, word_bytes, rows, tensor.cols.pieces(die))
