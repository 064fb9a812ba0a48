"""Commands that bring parts of a stored operand from memory through the scratchpad into its operand buffer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cosim.program.command import Command
from cosim.program.layout import Matrix
from cosim.program.staging import Part, Staging, parts_of
from rtl.interface.isa import Opcode

__all__ = ["OperandFeed", "Region", "feed_in_turn"]


@dataclass(frozen=True, kw_only=True)
class OperandFeed:
    """How parts of a stored operand come into its buffer.

    Attributes
    ----------
    opcode
        The feed command: FEED_ACTIVATION or FEED_WEIGHT.
    matrix
        The operand in memory.
    staging
        Its places in the scratchpad.
    lanes
        Banks of the buffer.
    turned
        Whether the operand is stored as the transpose of what the array multiplies.
    width
        Elements at whose multiples a row can be cut: whole words, and whole panels of the buffer.
    per_word
        Elements of a memory word.
    loaded, place_free, fed, free
        Semaphores: a row is in the scratchpad; a place there is free again; a region is in the buffer; a block of the
        buffer is free again.
    """

    opcode: Opcode
    matrix: Matrix
    staging: Staging
    lanes: int
    turned: bool
    width: int
    per_word: int
    loaded: int
    place_free: int
    fed: int
    free: int

    def region(
        self,
        block: tuple[tuple[int, int], tuple[int, int]],
        rows: tuple[int, int],
        cols: tuple[int, int],
        *,
        base: int,
        wait: bool,
    ) -> Region:
        """A part of a block, both as the array multiplies them.

        Parameters
        ----------
        block
            Start and number of the block's rows, then of its columns, in the matrix.
        rows, cols
            Start and number of those of the part, in the block.
        base, wait
            As in :class:`Region`.
        """
        if self.turned:
            block, rows, cols = block[::-1], cols, rows
        (top, height), (left, _) = block
        return Region(
            feed=self,
            top=top,
            left=left,
            row=rows[0],
            rows=rows[1],
            col=cols[0],
            cols=cols[1],
            base=base,
            pitch=height,
            wait=wait,
        )


@dataclass(frozen=True, kw_only=True)
class Region:
    """A part of a block that a GEMM command needs.

    Attributes
    ----------
    feed
        The operand.
    top, left
        First row and column of the block in the matrix.
    row, rows, col, cols
        The part, counted from the first element of the block.
    base, pitch
        Where the block lies in the buffer.
    wait
        Whether the block's place in the buffer has to be free first.
    """

    feed: OperandFeed
    top: int
    left: int
    row: int
    rows: int
    col: int
    cols: int
    base: int
    pitch: int
    wait: bool

    def parts(self) -> list[Part]:
        """The region in parts that pass the scratchpad."""
        feed = self.feed
        return list(
            parts_of(
                self.row,
                self.rows,
                self.col,
                self.cols,
                lanes=feed.lanes,
                width=feed.width,
                per_word=feed.per_word,
                most_words=feed.staging.most_words,
            )
        )


def feed_in_turn(regions: list[Region]) -> Iterator[Command]:
    """Commands that load and feed regions of different operands, part by part in turn; the last of a region posts."""
    cut = [(region, region.parts()) for region in regions]
    # The smaller one first: the array then waits for the larger one only.
    cut.sort(key=lambda pair: sum(part.rows * part.words for part in pair[1]))
    for turn in range(max((len(parts) for _, parts in cut), default=0)):
        for region, parts in cut:
            if turn < len(parts):
                yield from _pass(region, parts[turn], first=turn == 0, last=turn == len(parts) - 1)


def _pass(region: Region, part: Part, *, first: bool, last: bool) -> Iterator[Command]:
    """A LOAD and a feed of a part: the first and the last one of its region."""
    feed, matrix = region.feed, region.feed.matrix
    place = feed.staging.take(part.rows * part.words)
    word = (region.left + part.col) // feed.per_word
    yield Command(
        Opcode.LOAD,
        {
            "wait_0": feed.place_free if place.wait else 0,
            "row_post": feed.loaded,
            "base": place.base,
            "pitch": part.words,
            "rows": part.rows,
            "words": part.words,
            "address": matrix.address + (region.top + part.row) * matrix.pitch + word,
            "memory_pitch": matrix.pitch,
        },
    )
    yield Command(
        feed.opcode,
        {
            "wait_0": feed.free if region.wait and first else 0,
            "post_0": feed.fed if last else 0,
            "post_1": feed.place_free if place.ring else 0,
            "row_wait": feed.loaded,
            "base": region.base + part.col // feed.lanes * region.pitch + part.row,
            "pitch": region.pitch,
            "lane": part.row % feed.lanes,
            "rows": part.rows,
            "cols": part.cols,
            "words": part.words,
            "source": place.base,
            "source_pitch": part.words,
        },
    )
