"""Places in the scratchpad that blocks pass on their way between memory and the buffers of a die.

Blocks of A, of B and of Y each have a region of the scratchpad. They pass it in parts. If all parts of a program fit a
region, each has words of its own there. Otherwise the region is a ring of places of equal size, which are taken in
order; a counting semaphore says that the oldest one is free again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cosim.program.command import MOST_COUNT

__all__ = ["Part", "Staging", "StagingPlace", "parts_of", "split_scratchpad"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows and columns of a block that pass the scratchpad together, counted from the first element of the block.

    Attributes
    ----------
    row, rows, col, cols
        First row, rows, first column, columns, in elements.
    words
        Memory words of a row.
    """

    row: int
    rows: int
    col: int
    cols: int
    words: int


@dataclass(frozen=True, kw_only=True)
class StagingPlace:
    """Where a part lies in the scratchpad.

    Attributes
    ----------
    base
        First word.
    wait
        Whether the place has to be free again first.
    ring
        Whether others take the place after this part, and so have to know when it is free.
    """

    base: int
    wait: bool
    ring: bool


class Staging:
    """Places of the parts of one matrix, in the order in which they are taken.

    Parameters
    ----------
    base : int
        First word of the region.
    words : int
        Words of the region.
    row_words : int
        Least words of a part, at most ``words``.
    total : int
        Words of all parts of the program.
    places : int
        Places that the ring has, if they hold ``row_words`` each.

    Attributes
    ----------
    most_words
        Most words of a part.
    """

    def __init__(self, *, base: int, words: int, row_words: int, total: int, places: int) -> None:
        self._base = base
        self._ring = total > words
        self.most_words = max(row_words, words // places) if self._ring else words
        self._places = words // self.most_words
        self._taken = 0  # places, or words if each part has its own

    def take(self, words: int) -> StagingPlace:
        """Return the place of the next part, of at most :attr:`most_words`."""
        taken = self._taken
        if not self._ring:
            self._taken += words
            return StagingPlace(base=self._base + taken, wait=False, ring=False)
        self._taken += 1
        base = self._base + taken % self._places * self.most_words
        return StagingPlace(base=base, wait=taken >= self._places, ring=True)


def split_scratchpad(words: int, *, least: tuple[int, ...], totals: tuple[int, ...]) -> tuple[int, ...]:
    """Words of the region of each matrix in a scratchpad of ``words``: at least ``least``, at most ``totals``.

    What a region does not need is left to the others.
    """
    regions = list(least)
    spare = words - sum(least)
    for left in range(len(regions), 0, -1):
        # The one that wants least beyond its least words comes first, so that what it leaves goes to the others.
        index = sorted(range(len(regions)), key=lambda n: totals[n] - least[n])[len(regions) - left]
        more = min(totals[index] - least[index], spare // left)
        regions[index] += max(0, more)
        spare -= max(0, more)
    return tuple(regions)


def parts_of(
    row: int, rows: int, col: int, cols: int, *, lanes: int, width: int, per_word: int, most_words: int
) -> Iterator[Part]:
    """Cut ``rows`` x ``cols`` of a block into parts of at most ``most_words`` words.

    Parameters
    ----------
    lanes
        Banks of the operand buffer: parts begin at their multiples where they can be that large.
    width
        Columns, a multiple of ``lanes`` and of ``per_word``, at whose multiples a row can be cut.
    per_word
        Elements of a memory word.
    """
    width = min(cols, max(1, most_words * per_word // width) * width)
    for first in range(0, cols, width):
        part_cols = min(width, cols - first)
        words = -(-part_cols // per_word)
        height = min(rows, most_words // words, MOST_COUNT)
        if lanes < height < rows:
            height -= height % lanes
        for top in range(0, rows, height):
            yield Part(
                row=row + top, rows=min(height, rows - top), col=col + first, cols=part_cols, words=words
            )
