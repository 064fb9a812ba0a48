"""Commands that gather an operand, a tile of tokens at a time, and feed it to its buffer.

A die loads its rows of a tile, sends them to the dies of its line, receives theirs, and feeds all of them. Tiles take
two places in the scratchpad and in the buffer in turn.
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

__all__ = ["GatheredOperand"]


class _Count(IntEnum):
    """What the semaphores of an operand count, from its first one; some are there for each direction of the line."""

    LOADED = 0
    PLACE_FREE = 1
    FED = 2
    BUFFER_FREE = 3
    SENT = 4
    RECEIVED = 6
    RECEIVED_FREE = 8
    FORWARDED = 10
    GATES = 11


@dataclass(frozen=True, kw_only=True)
class GatheredOperand:
    """An operand of a die that is gathered along a line.

    Attributes
    ----------
    opcode
        Its feed command.
    lanes
        Banks of its buffer.
    axis, nodes, place, algorithm
        The line, the die's place on it, and the algorithm of the all-gather.
    matrix
        The die's rows of all tiles in memory, one tile behind the other.
    flits
        Flits of a chunk of so many words.
    base, words
        First word in the scratchpad, and words of each of its two places there.
    addresses
        Addresses of each of its two places in the buffer.
    semaphore
        The first of its :data:`SEMAPHORES`.
    """

    opcode: Opcode
    lanes: int
    axis: str
    nodes: int
    place: int
    algorithm: Algorithm
    matrix: Matrix
    flits: Callable[[int], int]
    base: int
    words: int
    addresses: int
    semaphore: int

    SEMAPHORES = _Count.GATES + 4
    """Semaphores of an operand."""

    @property
    def fed(self) -> int:
        """Semaphore that is posted when a tile is in the buffer."""
        return self.semaphore + _Count.FED

    @property
    def buffer_free(self) -> int:
        """Semaphore that has to be posted when a tile has left the buffer."""
        return self.semaphore + _Count.BUFFER_FREE

    def buffer_base(self, tile: TokenTile) -> int:
        """First buffer address of a tile, whose panels are ``tile.size`` addresses apart."""
        return tile.number % COPIES * self.addresses

    def line(self, tile: TokenTile) -> LineCollective:
        """The all-gather of a tile. Chunks of a smaller tile lie as far apart as those of a larger one.

        So a chunk only takes the place of that of the same die.
        """
        flits = self.flits(tile.size // self.nodes * self.matrix.pitch)
        base = self.base + tile.number % COPIES * self.words
        return LineCollective("all-gather", self.algorithm, self.nodes, flits, base, self.words // self.nodes)

    def commands(self, tile: TokenTile, first_row: int) -> Iterator[Command]:
        """Commands for a tile; ``first_row`` is that of the die's rows of it in memory."""
        again = tile.number >= COPIES
        line = self.line(tile)
        rows = tile.size // self.nodes
        slot = slots(self.algorithm, self.nodes)[self.place]
        axis = AXES[self.axis]
        commands, gates = line_commands(
            line,
            LineAxis(axis.up, axis.down, self.semaphore + _Count.GATES),
            self.place,
            origin=PACKAGE_ORIGIN,
        )
        yield Command(
            Opcode.LOAD,
            {
                "wait_0": self.semaphore + _Count.PLACE_FREE if again else 0,
                "row_post": self.semaphore + _Count.LOADED,
                **{f"post_{number}": gate for number, gate in enumerate(gates)},
                "base": line.base + slot * line.pitch,
                "pitch": self.matrix.pitch,
                "rows": rows,
                "words": self.matrix.pitch,
                "address": self.matrix.address + first_row * self.matrix.pitch,
                "memory_pitch": self.matrix.pitch,
            },
        )
        ring = self.algorithm == "ring"
        sent = []
        sources: list[tuple[bool, list[range]]] = []
        for command in commands:
            up = command.fields["side"] == axis.up
            if command.opcode == Opcode.SEND:
                sent.append(self._of_way(_Count.SENT, up))
                # Around a ring a send unit may read what a receive unit has written.
                more = {"ahead": 0, "post_0": sent[-1], "post_1": self._forwarded if ring else 0}
            else:
                before, behind = range(slot), range(slot + 1, self.nodes)
                kept = [before, behind] if ring else [behind if up else before]
                sources.append((up, [part for numbers in kept for part in self._together(tile, numbers)]))
                more = {
                    "wait_0": self._of_way(_Count.RECEIVED_FREE, up) if again else 0,
                    "wait_1": self._forwarded if ring and again else 0,
                    "post_0": self._of_way(_Count.RECEIVED, up),
                }
            yield replace(command, fields={**command.fields, **more})
        free = self.buffer_free if again else 0
        for up, ranges in sources:
            for numbers in ranges:
                first, last = numbers is ranges[0], numbers is ranges[-1]
                yield self._feed(
                    tile,
                    numbers,
                    wait_0=self._of_way(_Count.RECEIVED, up) if first else 0,
                    wait_1=free,
                    post_0=self._of_way(_Count.RECEIVED_FREE, up) if last else 0,
                )
                free = 0
        # Its own rows come last: then they have been sent, too, and the place is free.
        waits = [*sent, *([free] if free else [])]
        yield self._feed(
            tile,
            range(slot, slot + 1),
            **{f"wait_{number}": semaphore for number, semaphore in enumerate(waits)},
            row_wait=self.semaphore + _Count.LOADED,
            post_0=self.fed,
            post_1=self.semaphore + _Count.PLACE_FREE,
        )

    def _together(self, tile: TokenTile, numbers: range) -> list[range]:
        """Chunks with these numbers, in parts that lie one behind the other without a gap."""
        if tile.size * self.matrix.pitch == self.words:
            return [numbers] if numbers else []
        return [range(number, number + 1) for number in numbers]

    @property
    def _forwarded(self) -> int:
        return self.semaphore + _Count.FORWARDED

    def _of_way(self, count: _Count, up: bool) -> int:
        return self.semaphore + count + up

    def _feed(self, tile: TokenTile, numbers: range, **semaphores: int) -> Command:
        """Feed the rows of the dies whose chunks have consecutive numbers."""
        line, matrix = self.line(tile), self.matrix
        rows = tile.size // self.nodes
        row = numbers.start * rows
        return Command(
            self.opcode,
            {
                **semaphores,
                "base": self.buffer_base(tile) + row,
                "pitch": tile.size,
                "lane": row % self.lanes,
                "rows": len(numbers) * rows,
                "cols": matrix.cols,
                "words": matrix.pitch,
                "source": line.base + numbers.start * line.pitch,
                "source_pitch": matrix.pitch,
            },
        )
