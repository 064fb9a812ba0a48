"""Passes over words, whatever tensors these hold: they clear, copy, and move values apart and together again."""

from __future__ import annotations

from chiplet.graph.vector_pass import PassOperand, VectorPass
from chiplet.graph.vector_program import ELEMENT_BYTES
from chiplet.layout.storage import Storage

__all__ = ["CLEAR", "COPY", "PACK", "UNPACK", "copied_cols", "word_cols"]

CLEAR = VectorPass(PassOperand("fp32", "value"))
"""Words become the value at a word, which is +0."""
COPY = VectorPass(PassOperand("fp32", "matrix"))
"""Rows of words, as fp32."""
UNPACK = VectorPass(PassOperand("fp32", "column"))
"""Values of a run of words, each into a word of its own, as a pass can begin with a word only."""
PACK = VectorPass(PassOperand("fp32", "matrix"), reduction="max", result=None)
"""Values of a word each, side by side into words."""


def word_cols(words: int, word_bytes: int) -> int:
    """Columns of a pass over rows of so many words."""
    return words * word_bytes // ELEMENT_BYTES["fp32"]


def copied_cols(storage: Storage) -> int:
    """Columns of a copy of the rows of ``storage``: those of the words of all pieces."""
    return word_cols(storage.row_words, storage.word_bytes)
