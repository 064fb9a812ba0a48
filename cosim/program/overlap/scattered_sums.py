"""Commands that sum the partial results of a line, a tile of tokens at a time, and store them.

A die drains its sums of a tile to the scratchpad, sends those of other dies and adds what they send to its own ones,
and stores these. Tiles take two places in the scratchpad in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from cosim.program.command import Command
from cosim.program.layout import Matrix
from cosim.program.line_commands import (
    AXES,
    PACKAGE_ORIGIN,
    LineAxis,
    LineCollective,
    line_commands,
)
from cosim.program.overlap.token_tiles import COPIES, TokenTile
from nop.collectives import Algorithm
from nop.forwarding import slots
from rtl.interface.isa import Opcode

__all__ = ["ScatteredSums"]


class _Count(IntEnum):
    """What the semaphores of the sums count, from the first one; some are there for each direction of the line."""

    PLACE_FREE = 0
    PANEL_DONE = 1
    SLOT_FREE = 2
    ROW_DRAINED = 3
    DRAINED = 4
    SENT = 6
    SUMMED = 8
    GATES = 10


@dataclass(frozen=True, kw_only=True)
class ScatteredSums:
    """The sums of a die that are scattered along a line.

    Attributes
    ----------
    axis, nodes, place, algorithm
        The line, the die's place on it, and the algorithm of the reduce-scatter.
    matrix
        The die's rows of all tiles in memory, one tile behind the other.
    panels, last_cols
        Panels of the result, and columns of the last one.
    flits
        Flits of a chunk of so many words.
    base, words
        First word in the scratchpad, and words of each of its two places there.
    semaphore
        The first of its :data:`SEMAPHORES`.
    """

    axis: str
    nodes: int
    place: int
    algorithm: Algorithm
    matrix: Matrix
    panels: int
    last_cols: int
    flits: Callable[[int], int]
    base: int
    words: int
    semaphore: int

    SEMAPHORES = _Count.GATES + 4
    """Semaphores of sums."""

    @property
    def place_free(self) -> int:
        """Semaphore that has to be posted once for each place before the first tile."""
        return self.semaphore + _Count.PLACE_FREE

    @property
    def panel_done(self) -> int:
        """Semaphore that has to be posted when a panel of a tile is summed."""
        return self.semaphore + _Count.PANEL_DONE

    @property
    def slot_free(self) -> int:
        """Semaphore that is posted when a panel of a tile has left the accumulator buffer."""
        return self.semaphore + _Count.SLOT_FREE

    def line(self, tile: TokenTile) -> LineCollective:
        """The reduce-scatter of a tile."""
        chunk = tile.size // self.nodes * self.matrix.pitch
        base = self.base + tile.number % COPIES * self.words
        return LineCollective("reduce-scatter", self.algorithm, self.nodes, self.flits(chunk), base, chunk)

    def commands(self, tile: TokenTile, accumulator: int, first_row: int) -> Iterator[Command]:
        """Commands for a tile.

        Parameters
        ----------
        accumulator
            First accumulator address of its panels, which are ``tile.size`` addresses apart.
        first_row
            First of the die's rows of the tile in memory.
        """
        line, pitch = self.line(tile), self.matrix.pitch
        address = self.matrix.address + first_row * pitch
        if self.nodes == 1:
            rows = {"rows": tile.size, "base": line.base, "pitch": pitch}
            yield self._drain(
                tile, accumulator, 0, tile.size, row_post=self.semaphore + _Count.ROW_DRAINED, **self._whole
            )
            yield Command(
                Opcode.STORE,
                {
                    "row_wait": self.semaphore + _Count.ROW_DRAINED,
                    "post_0": self.place_free,
                    **rows,
                    "words": pitch,
                    "address": address,
                    "memory_pitch": pitch,
                },
            )
            return
        axis = AXES[self.axis]
        part, gates = line_commands(
            line,
            LineAxis(axis.up, axis.down, self.semaphore + _Count.GATES),
            self.place,
            origin=PACKAGE_ORIGIN,
        )
        sent, summed, drained = list[int](), list[int](), list[int]()
        engine = []
        for command in part:
            up = command.fields["side"] == axis.up
            if command.opcode == Opcode.SEND:
                sent.append(self.semaphore + _Count.SENT + up)
                more = {"ahead": 0, "post_0": sent[-1]}
            else:
                summed.append(self.semaphore + _Count.SUMMED + up)
                drained.append(self.semaphore + _Count.DRAINED + up)
                more = {"wait_0": drained[-1], "post_0": summed[-1]}
            engine.append(replace(command, fields={**command.fields, **more}))
        yield from self._drains(tile, accumulator, [*gates, *drained])
        yield from engine
        own = line.base + slots(self.algorithm, self.nodes)[self.place] * line.pitch
        yield from self._stores(own, line.pitch, address, summed, sent)

    @property
    def _whole(self) -> dict[str, int]:
        """Semaphores of a drain that takes all rows."""
        return {"wait_0": self.place_free, "panel_wait": self.panel_done, "panel_post": self.slot_free}

    def _drains(self, tile: TokenTile, accumulator: int, posts: list[int]) -> Iterator[Command]:
        """Drain a tile, and post when all of it can be read.

        A command posts two semaphores. For more of them the last row is drained again.
        """
        pairs = [posts[n : n + 2] for n in range(0, len(posts), 2)]
        last = tile.size - 1
        parts = [(0, tile.size, pairs[0])]
        if len(pairs) > 1:
            parts = [(0, last, list[int]())] if last else []
            parts += [(last, 1, pair) for pair in pairs]
        for number, (row, rows, pair) in enumerate(parts):
            yield self._drain(
                tile,
                accumulator,
                row,
                rows,
                **{f"post_{n}": semaphore for n, semaphore in enumerate(pair)},
                wait_0=self.place_free if number == 0 else 0,
                panel_wait=self.panel_done if number == 0 else 0,
                panel_post=self.slot_free if number == len(parts) - 1 else 0,
            )

    def _drain(self, tile: TokenTile, accumulator: int, row: int, rows: int, **semaphores: int) -> Command:
        return Command(
            Opcode.DRAIN,
            {
                **semaphores,
                "base": accumulator + row,
                "step": tile.size,
                "rows": rows,
                "panels": self.panels,
                "last_cols": self.last_cols,
                "target": self.line(tile).base + row * self.matrix.pitch,
                "target_pitch": self.matrix.pitch,
            },
        )

    def _stores(
        self, base: int, words: int, address: int, summed: list[int], sent: list[int]
    ) -> Iterator[Command]:
        """Store the die's own sums; the place is free when its sums for other dies have been sent as well."""
        first = max(1, words - 1)
        for start, count, waits, post in ((0, first, summed, 0), (words - 1, 1, sent, self.place_free)):
            yield Command(
                Opcode.STORE,
                {
                    **{f"wait_{number}": semaphore for number, semaphore in enumerate(waits)},
                    "post_0": post,
                    "base": base + start,
                    "rows": 1,
                    "words": count,
                    "address": address + start,
                },
            )
