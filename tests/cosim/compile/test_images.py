"""Tensors as words of memory: what is packed comes back, at the words that the storage says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.graph.vector_pass import Element
from chiplet.layout.storage import Storage, matrix_storage, value_storage
from cosim.compile.images import packed, stored_words, unpacked

KINDS: dict[str, Any] = {"bf16": np.uint16, "fp32": np.uint32, "int32": np.uint32}


@st.composite
def storages(draw: st.DrawFn) -> Storage:
    """Matrices of some pieces, and values of rows."""
    element: Element = draw(st.sampled_from(["bf16", "fp32", "int32"]))
    word_bytes = draw(st.sampled_from([4, 16, 64]))
    rows, word = draw(st.integers(0, 5)), draw(st.integers(0, 9))
    if draw(st.booleans()):
        return value_storage(element, word_bytes, rows, word)
    pieces = draw(st.lists(st.integers(1, 40), min_size=1, max_size=4))
    return matrix_storage(element, word_bytes, rows, pieces, word)


@given(storages(), st.integers(0, 99))
def test_what_is_packed_comes_back(storage: Storage, seed: int) -> None:
    kind = KINDS[storage.element]
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 1 << 8 * kind().itemsize, (storage.rows, storage.cols), kind)
    image = packed(values, storage)
    assert len(image) == stored_words(storage) * storage.word_bytes
    again = unpacked(image, storage)
    assert again.dtype == kind
    assert np.array_equal(again, values)
    # Nothing else is in the words: what fills them up is zero.
    assert np.count_nonzero(np.frombuffer(image, kind)) == values.size
    for row, piece in ((row, piece) for row in range(storage.rows) for piece in storage.pieces):
        if storage.values:
            first = row * storage.element_bytes
        else:
            first = (row * storage.pitch + piece.word) * storage.word_bytes
        taken = np.frombuffer(image, kind, piece.cols, first)
        assert np.array_equal(taken, values[row, piece.start : piece.start + piece.cols])


def test_bits_beyond_a_piece_do_not_matter() -> None:
    storage = matrix_storage("bf16", 8, 2, [3, 1])
    image = np.arange(16, dtype=np.uint16)
    assert unpacked(image.tobytes(), storage).tolist() == [[0, 1, 2, 4], [8, 9, 10, 12]]


def test_other_patterns_are_refused() -> None:
    storage = matrix_storage("bf16", 8, 2, [3])
    with pytest.raises(ValueError, match=r"image: patterns are uint32 of shape \(2, 3\): must be uint16"):
        packed(np.zeros((2, 3), np.uint32), storage)
    with pytest.raises(ValueError, match=r"image: patterns are uint16 of shape \(3, 2\): must be uint16"):
        packed(np.zeros((3, 2), np.uint16), storage)
