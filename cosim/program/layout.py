"""Layout of data in memory: matrices in words, element types, and allocation of words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import Dtype


@dataclass
class Places:
    """Allocates words of the memories behind the IO dies, one after the other.

    Attributes
    ----------
    used
        Words allocated so far, by the name of the IO die.
    """

    used: dict[str, int] = field(default_factory=dict)

    def take(self, io_die: str, words: int) -> int:
        """Allocate ``words`` words behind ``io_die``; return the address of the first one."""
        first = self.used.get(io_die, 0)
        self.used[io_die] = first + words
        return first


def pack(values: NDArray[Any], matrix: Matrix, *, word_bytes: int) -> bytes:
    """Return the memory contents of an operand: rows one after the other, each filled up to whole words."""
    width = matrix.pitch * word_bytes // values.dtype.itemsize
    padded = np.zeros((matrix.rows, width), dtype=values.dtype.newbyteorder("<"))
    padded[:, : matrix.cols] = values
    return padded.tobytes()


def unpack(image: bytes, matrix: Matrix, *, dtype: Dtype) -> NDArray[Any]:
    """Return the (rows, cols) 32-bit sums of a result that was read back."""
    element = np.dtype(RESULT_TYPE[dtype]).newbyteorder("<")
    return np.frombuffer(image, dtype=element).reshape(matrix.rows, -1)[:, : matrix.cols]


OPERAND_TYPE: dict[Dtype, type[np.generic]] = {"bf16": np.uint16, "int8": np.int8}
"""Element type of operand arrays: bf16 as bit patterns."""


RESULT_TYPE: dict[Dtype, type[np.generic]] = {"bf16": np.uint32, "int8": np.int32}
"""Element type of results: fp32 as bit patterns."""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A row-major matrix in memory: each row starts at a word.

    Attributes
    ----------
    address
        Word of the first element.
    rows, cols
        Elements.
    pitch
        Words from one row to the next.
    """

    address: int
    rows: int
    cols: int
    pitch: int

    @property
    def end(self) -> int:
        """First word behind the matrix."""
        return self.address + self.rows * self.pitch
