"""Tensors as words of memory: pieces of rows, or values side by side, filled up to whole words with zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.layout.storage import Storage

__all__ = ["packed", "stored_words", "unpacked"]


def stored_words(storage: Storage) -> int:
    """Words of a tensor with a single run."""
    return storage.taken(storage.rows)


def packed(values: NDArray[Any], storage: Storage) -> bytes:
    """The words of (rows, cols) patterns in a storage with a single run.

    Raises
    ------
    ValueError
        If the patterns are not as many, or not as wide, as the storage's.
    """
    kind = _pattern_type(storage)
    shape = (storage.rows, storage.cols)
    if values.shape != shape or values.dtype.itemsize != kind.itemsize:
        raise ValueError(
            f"image: patterns are {values.dtype} of shape {values.shape}: must be {kind} of shape {shape}"
        )
    image = np.zeros(stored_words(storage) * storage.word_bytes // kind.itemsize, kind)
    if storage.values:
        image[: storage.rows] = values[:, 0]
    else:
        rows = image.reshape(storage.rows, storage.pitch * storage.word_bytes // kind.itemsize)
        for first, cols, place in _pieces(storage):
            rows[:, place : place + cols] = values[:, first : first + cols]
    return image.tobytes()


def unpacked(image: bytes, storage: Storage) -> NDArray[Any]:
    """The (rows, cols) patterns in the words of a storage with a single run; bits beyond them do not matter."""
    kind = _pattern_type(storage)
    elements = np.frombuffer(image, kind)
    values = np.zeros((storage.rows, storage.cols), kind.newbyteorder("="))
    if storage.values:
        values[:, 0] = elements[: storage.rows]
    elif storage.rows:
        rows = elements.reshape(storage.rows, -1)
        for first, cols, place in _pieces(storage):
            values[:, first : first + cols] = rows[:, place : place + cols]
    return values


def _pattern_type(storage: Storage) -> np.dtype[Any]:
    return np.dtype(f"<u{storage.element_bytes}")


def _pieces(storage: Storage) -> list[tuple[int, int, int]]:
    """First column and number of columns of each piece, and the element of a row's words that it begins."""
    per_word = storage.word_bytes // storage.element_bytes
    return [(piece.start, piece.cols, piece.word * per_word) for piece in storage.pieces]
