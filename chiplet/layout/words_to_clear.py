"""Words of a tensor that no row fills, which are cleared before a collective sends them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from chiplet.graph.vector_program import ELEMENT_BYTES
from chiplet.layout.block_sizes import MOST_COUNT
from chiplet.layout.storage import Storage

__all__ = ["WordBlock", "words_behind", "words_of_ends", "words_of_gaps"]


class WordBlock(NamedTuple):
    """Words of the scratchpad: the first one, how many follow it in each row, rows, and words from one to the next."""

    word: int
    words: int
    rows: int = 1
    pitch: int = 0


def words_behind(storage: Storage, rows: int, words: int) -> Iterator[WordBlock]:
    """What lies behind the first ``rows``, up to ``words`` from the tensor's first word on, for a command each."""
    most = MOST_COUNT * ELEMENT_BYTES["fp32"] // storage.word_bytes
    for start in range(storage.taken(rows), words, most):
        yield WordBlock(storage.runs[0].word + start, min(most, words - start))


def words_of_ends(storage: Storage) -> Iterator[WordBlock]:
    """The words of a tensor of one run that rows fill in part."""
    if not storage.rows or not storage.cols:
        return
    word, size = storage.run.word, storage.element_bytes
    if storage.values:
        if storage.rows * size % storage.word_bytes:
            yield WordBlock(word + storage.words_of(storage.rows) - 1, 1)
        return
    for piece in storage.pieces:
        if piece.cols * size % storage.word_bytes:
            last = word + piece.word + storage.words_of(piece.cols) - 1
            yield WordBlock(last, 1, storage.rows, storage.pitch)


def words_of_gaps(storage: Storage) -> Iterator[WordBlock]:
    """The words behind the last piece of each row, which fill it up to whole flits."""
    if storage.values or not storage.rows or not storage.cols:
        return
    last = storage.pieces[-1]
    used = last.word + storage.words_of(last.cols)
    if used < storage.pitch:
        yield WordBlock(storage.run.word + used, storage.pitch - used, storage.rows, storage.pitch)
