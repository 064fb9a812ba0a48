"""What a die holds of a tensor while programs are made: its layout, and the buffers that its rows lie in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from chiplet.layout.storage import RowRun, Storage
from cosim.compile.places.buffers import Buffer

__all__ = ["Held", "HeldRun", "held_in"]


class HeldRun(NamedTuple):
    """Rows one after the other: the first one, how many, and where in a buffer they begin."""

    row: int
    rows: int
    buffer: Buffer
    offset: int = 0

    @property
    def root(self) -> tuple[Buffer, int]:
        """The outermost buffer, and the word of it that they begin at."""
        buffer, offset = self.buffer, self.offset
        while buffer.inside is not None:
            offset += buffer.offset
            buffer = buffer.inside
        return buffer, offset


@dataclass(frozen=True)
class Held:
    """A tensor's part on a die.

    Attributes
    ----------
    layout
        Its layout; the words of its runs say nothing before buffers are placed.
    runs
        Where its rows are.
    """

    layout: Storage
    runs: tuple[HeldRun, ...]

    @property
    def buffers(self) -> Iterator[Buffer]:
        """The buffers that it lies in."""
        return (run.buffer for run in self.runs)

    @property
    def storage(self) -> Storage:
        """Where it lies, once buffers are placed."""
        runs = (RowRun(run.row, run.rows, run.buffer.start + run.offset) for run in self.runs)
        return replace(self.layout, runs=tuple(runs))

    @property
    def rows(self) -> int:
        """Its rows, or values."""
        return sum(run.rows for run in self.runs)

    def joined(self) -> Held | None:
        """The same values in one run if they lie one behind the other from the start of a word on, else None."""
        layout, runs = self.layout, [run for run in self.runs if run.rows]
        if len(runs) <= 1:
            return replace(self, runs=tuple(runs) or self.runs[:1])
        (first, start), per_word = runs[0].root, layout.word_bytes // layout.element_bytes
        for run in runs[1:]:
            root, offset = run.root
            if root is not first or (offset - start) * per_word != run.row - runs[0].row:
                return None
        return Held(layout, (HeldRun(runs[0].row, self.rows, first, start),))


def held_in(buffer: Buffer, layout: Storage, offset: int = 0) -> Held:
    """A tensor of one run in ``buffer``."""
    return Held(layout, (HeldRun(0, layout.rows, buffer, offset),))
