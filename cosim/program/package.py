"""Work of a die of a package: its programs, and the contents of the memory behind its IO die; its part of a GEMM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import Dtype
from cosim.jobs.package import Region
from cosim.program.command import Command
from cosim.program.layout import Matrix, unpack


@dataclass(kw_only=True)
class DieWork:
    """Work of a die.

    Attributes
    ----------
    io_die
        The IO die that serves the die.
    image
        Contents of the memory behind it, by the address of the first word.
    programs
        Commands of each phase. A list that is there several times is one program in memory.
    writes, reads
        Contents of the memory that the host writes before each phase, as ``image``, and words that it reads behind it.
        A shorter list: none in later phases.
    """

    io_die: str
    image: dict[int, bytes]
    programs: list[list[Command]]
    writes: list[dict[int, bytes]] = field(default_factory=list)
    reads: list[list[Region]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class DiePart:
    """The part of a GEMM that one die does.

    Attributes
    ----------
    work
        The die's program, memory contents and result.
    y
        Layout of its result in memory.
    rows
        Its rows of the result: for each row in memory that of the whole result, or -1 for one of zeros.
    cols
        Its columns of the whole result.
    macs
        Its multiply-adds of the whole GEMM.
    """

    work: DieWork
    y: Matrix
    rows: NDArray[np.int64]
    cols: range
    macs: int

    def elements(self, image: bytes, dtype: Dtype) -> NDArray[Any]:
        """The die's 32-bit sums in a memory image that was read back: its rows of the whole result, in their order."""
        return unpack(image, self.y, dtype=dtype)[self.rows >= 0, : len(self.cols)]
