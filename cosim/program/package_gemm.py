"""Programs of the dies for a GEMM on a package: one for each die, which gathers, multiplies and sums tiles of tokens.

:mod:`cosim.program.distribution` decides which die has what, :mod:`cosim.program.overlap.token_tiles` how the tokens
are cut. While the array of a die works on a tile, the next one comes and the one before leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.chunks import chunk_flits
from chiplet.machine.specs import SystemSpec, scratchpad_depth
from cosim.jobs.package import Region
from cosim.program.command import Command
from cosim.program.distribution import DieShare, Tiles, cut, macs_of, share_of
from cosim.program.layout import OPERAND_TYPE, Matrix, Places, pack
from cosim.program.overlap.gathered_operand import GatheredOperand
from cosim.program.overlap.kept_weights import weight_parts
from cosim.program.overlap.own_sums import store_own_sums
from cosim.program.overlap.scattered_sums import ScatteredSums
from cosim.program.overlap.token_tiles import COPIES, TokenTile, token_tiles
from cosim.program.package import DiePart, DieWork
from cosim.program.shape import Shape, gemm_forms
from nop.collectives import Algorithm
from rtl.interface.io_dies import io_die_of
from rtl.interface.isa import Opcode

__all__ = ["GEMM_PHASES", "gemm_parts"]

GEMM_PHASES = ("gemm",)
"""The host starts the dies once."""

FIRST_OPERAND = 1
SECOND_OPERAND = FIRST_OPERAND + GatheredOperand.SEMAPHORES
SUMS = SECOND_OPERAND + GatheredOperand.SEMAPHORES
OWN_PANEL_DONE, OWN_DRAINED, OWN_PLACE_FREE = range(SUMS, SUMS + 3)
WEIGHT_LOADED, WEIGHT_PLACE_FREE, WEIGHT_FED = range(
    SUMS + ScatteredSums.SEMAPHORES, SUMS + ScatteredSums.SEMAPHORES + 3
)
"""Semaphores of a program, by what uses them; sums are scattered or stay on the die."""


def _tile_share(
    system: SystemSpec, shape: Shape, algorithm: Algorithm, die: tuple[int, int], tile: TokenTile
) -> DieShare:
    """What a die has of a tile: its share of a GEMM of these tokens only, with those of zeros behind them."""
    of_tile = replace(shape, k=tile.size) if shape.form == "tn" else replace(shape, m=tile.size)
    return share_of(system.package, of_tile, algorithm, *die)


def _real(rows: range, tile: TokenTile) -> range:
    """Those of the rows of a tile that are not behind its tokens."""
    return range(min(rows.start, len(tile.tokens)), min(rows.stop, len(tile.tokens)))


def gemm_parts(
    system: SystemSpec,
    shape: Shape,
    a: NDArray[Any],
    b: NDArray[Any],
    *,
    algorithm: Algorithm,
    places: Places,
) -> list[DiePart]:
    """Return the parts of all dies, in the order of the dies' numbers.

    Parameters
    ----------
    a, b
        Stored operands: ``shape.stored_a`` and ``stored_b``.
    algorithm
        Algorithm of the collectives.
    places
        Allocates the dies' words of memory.

    Raises
    ------
    ValueError
        If tiles or the block of weights do not fit the buffers of the dies.
    """
    tiles = token_tiles(system, shape)
    return [
        _PartBuilder(system, shape, a, b, algorithm, die, places, tiles).part()
        for die in system.package.places()
    ]


class _PartBuilder:
    """Makes the part of the die at row and column ``place``."""

    def __init__(
        self,
        system: SystemSpec,
        shape: Shape,
        a: NDArray[Any],
        b: NDArray[Any],
        algorithm: Algorithm,
        place: tuple[int, int],
        places: Places,
        tiles: list[TokenTile],
    ) -> None:
        self._system, self._whole, self._algorithm, self._places = system, shape, algorithm, places
        self._io_die, self._tiles = io_die_of(system, *place), tiles
        self._shares = [_tile_share(system, shape, algorithm, place, tile) for tile in tiles]
        self._share = share_of(system.package, shape, algorithm, *place)
        self._a, self._b = a, b
        logical_a, logical_b = gemm_forms(cut(a, self._share.a), cut(b, self._share.b), form=shape.form)
        # Sizes of the die's block; tokens are those of all tiles.
        self._shape = Shape(m=logical_a.shape[0], k=logical_a.shape[1], n=logical_b.shape[1], form=shape.form)
        self._flits = lambda words: chunk_flits(words, system.nop, system.memory)
        self._per_word = system.memory.word_bytes // system.die.element_bytes
        self._used = 0
        self._image: dict[int, bytes] = {}

    def part(self) -> DiePart:
        """The part."""
        commands = list(self._own_block() if self._whole.form == "tn" else self._tile_by_tile())
        y, rows = self._y, self._rows
        result = Region(io_die=self._io_die, address=y.address, words=y.rows * y.pitch)
        return DiePart(
            work=DieWork(io_die=self._io_die, image=self._image, programs=[commands], reads=[[result]]),
            y=y,
            rows=rows,
            cols=self._share.y[1],
            macs=macs_of(self._whole, self._share),
        )

    def _memory(self, values: NDArray[Any]) -> Matrix:
        """Put a matrix into memory."""
        rows, cols = values.shape
        pitch = -(-cols // self._per_word)
        address = self._places.take(self._io_die, rows * pitch)
        matrix = Matrix(address=address, rows=rows, cols=cols, pitch=pitch)
        self._image[address] = pack(values, matrix, word_bytes=self._system.memory.word_bytes)
        return matrix

    def _room(self, words: int) -> int:
        """First of ``words`` words of the scratchpad that nothing else uses."""
        self._used += words
        return self._used - words

    @property
    def _left(self) -> int:
        """Words of the scratchpad that nothing uses."""
        system = self._system
        return scratchpad_depth(system.die, system.memory, system.nop) - self._used

    def _gathered(
        self,
        stored: NDArray[Any],
        columns: range,
        shares: list[Tiles],
        *,
        opcode: Opcode,
        lanes: int,
        semaphore: int,
    ) -> GatheredOperand:
        """An operand that is gathered: ``columns`` of the stored one, with the die's share of each tile."""
        own = []
        for tile, share in zip(self._tiles, shares, strict=True):
            of_tile = stored[tile.tokens.start : tile.tokens.stop]
            chosen = _real(share.rows(share.place), tile)
            rows = cut(of_tile, (chosen, columns))[: len(chosen)]
            own.append(np.pad(rows, ((0, tile.size // share.nodes - len(rows)), (0, 0))))
        matrix = self._memory(np.concatenate(own))
        size = max(tile.size for tile in self._tiles)
        words = size * matrix.pitch
        return GatheredOperand(
            opcode=opcode,
            lanes=lanes,
            axis=shares[0].axis,
            nodes=shares[0].nodes,
            place=shares[0].place,
            algorithm=self._algorithm,
            matrix=matrix,
            flits=self._flits,
            base=self._room(COPIES * words),
            words=words,
            addresses=-(-matrix.cols // lanes) * size,
            semaphore=semaphore,
        )

    def _first_operand(self) -> GatheredOperand:
        return self._gathered(
            self._a,
            self._share.a[1],
            [share.a_tiles for share in self._shares],
            opcode=Opcode.FEED_ACTIVATION,
            lanes=self._system.die.rows,
            semaphore=FIRST_OPERAND,
        )

    def _first_rows(self, nodes: int) -> list[int]:
        """First of the die's rows of each tile, of a matrix with ``1 / nodes`` of their rows."""
        firsts, row = [], 0
        for tile in self._tiles:
            firsts.append(row)
            row += tile.size // nodes
        return firsts

    def _result(self, rows: list[int]) -> None:
        """Place the result, whose rows are those of the whole result, in memory."""
        pitch = -(-4 * self._shape.n // self._system.memory.word_bytes)
        address = self._places.take(self._io_die, len(rows) * pitch)
        self._y = Matrix(address=address, rows=len(rows), cols=self._shape.n, pitch=pitch)
        self._rows = np.array(rows, np.int64)

    def _zeros(self, base: int, words: int, pitch: int, *, post: int) -> Command:
        """A LOAD of words of zeros."""
        zero = self._memory(np.zeros((1, self._per_word), OPERAND_TYPE[self._system.die.dtype]))
        return Command(
            Opcode.LOAD,
            {
                "post_0": post,
                "base": base,
                "pitch": pitch,
                "rows": words,
                "words": 1,
                "address": zero.address,
            },
        )

    def _tile_by_tile(self) -> Iterator[Command]:
        """The program of a GEMM whose rows are tokens: weights stay, sums of each tile leave."""
        die, shape, tiles = self._system.die, self._shape, self._tiles
        gathered = self._first_operand()
        scattered_shares = [share.y_tiles for share in self._shares]
        rows = []
        for tile, tokens in zip(tiles, scattered_shares, strict=True):
            assert tokens is not None
            own = [tile.tokens.start + row for row in _real(tokens.rows(tokens.place), tile)]
            rows += own + [-1] * (tile.size // tokens.nodes - len(own))
        self._result(rows)
        tokens = scattered_shares[0]
        assert tokens is not None
        panels = -(-shape.n // die.cols)
        words = max(tile.size for tile in tiles) * self._y.pitch
        sums = ScatteredSums(
            axis=tokens.axis,
            nodes=tokens.nodes,
            place=tokens.place,
            algorithm=self._algorithm,
            matrix=self._y,
            panels=panels,
            last_cols=shape.n - (panels - 1) * die.cols,
            flits=self._flits,
            base=self._room(COPIES * words),
            words=words,
            semaphore=SUMS,
        )
        yield from self._free_places(sums, max(tile.size for tile in tiles))
        x_rows, y_rows = self._first_rows(gathered.nodes), self._first_rows(sums.nodes)
        matrix = self._memory(cut(self._b, self._share.b))
        room = min(self._left, matrix.rows * matrix.pitch)
        weights = weight_parts(
            die,
            self._system.memory,
            shape,
            matrix,
            base=self._room(room),
            words=room,
            loaded=WEIGHT_LOADED,
            place_free=WEIGHT_PLACE_FREE,
            fed=WEIGHT_FED,
        )
        yield from gathered.commands(tiles[0], 0)
        for tile in tiles:
            if tile.number == 0:
                for part in weights:
                    yield from part.commands
                    fed = 0 if part.panel else gathered.fed
                    yield self._gemm(
                        tile, gathered, sums, part.panel, part.panels, wait_0=fed, wait_1=WEIGHT_FED
                    )
            if tile.number + 1 < len(tiles):
                after = tiles[tile.number + 1]
                yield from gathered.commands(after, x_rows[after.number])
            if tile.number:
                yield self._gemm(tile, gathered, sums, 0, panels, wait_0=gathered.fed)
            yield from sums.commands(tile, self._sums_base(tile, panels), y_rows[tile.number])

    def _free_places(self, sums: ScatteredSums, rows: int) -> Iterator[Command]:
        """Let the first drains begin, with zeros in the columns of the last word that no drain writes."""
        if 4 * self._shape.n % self._system.memory.word_bytes == 0:
            yield Command(Opcode.SET, {"semaphore_0": sums.place_free, "value_0": COPIES})
            return
        pitch = self._y.pitch
        for number in range(COPIES):
            base = sums.base + number * sums.words + pitch - 1
            yield self._zeros(base, rows, pitch, post=sums.place_free)

    def _sums_base(self, tile: TokenTile, panels: int) -> int:
        """First accumulator address of a tile."""
        return tile.number % COPIES * panels * max(tile.size for tile in self._tiles)

    def _gemm(
        self,
        tile: TokenTile,
        gathered: GatheredOperand,
        sums: ScatteredSums,
        panel: int,
        panels: int,
        **waits: int,
    ) -> Command:
        """Multiply a tile by panels of the weights."""
        die, shape = self._system.die, self._shape
        of_all = -(-shape.n // die.cols)
        weight_pitch = shape.n if shape.weight_column else shape.k
        k_tiles = -(-shape.k // die.rows)
        return Command(
            Opcode.GEMM,
            {
                **waits,
                "post_0": gathered.buffer_free if panel + panels == of_all else 0,
                "panel_wait": sums.slot_free if tile.number >= COPIES else 0,
                "panel_post": sums.panel_done,
                "weight_column": int(shape.weight_column),
                "activation_base": gathered.buffer_base(tile),
                "activation_pitch": tile.size,
                "weight_base": panel * (die.cols if shape.weight_column else weight_pitch),
                "weight_pitch": weight_pitch,
                "accumulator_base": self._sums_base(tile, of_all) + panel * tile.size,
                "accumulator_step": tile.size,
                "m": tile.size,
                "k_tiles": k_tiles,
                "last_k": shape.k - (k_tiles - 1) * die.rows,
                "panels": panels,
                "last_cols": min(die.cols, shape.n - (panel + panels - 1) * die.cols),
            },
        )

    def _own_block(self) -> Iterator[Command]:
        """The program of a GEMM that sums over tokens: both operands are gathered, the result stays on the die."""
        die, shape, tiles = self._system.die, self._shape, self._tiles
        first = self._first_operand()
        b_shares = []
        for share in self._shares:
            assert share.b_tiles is not None
            b_shares.append(share.b_tiles)
        second = self._gathered(
            self._b,
            self._share.b[1],
            b_shares,
            opcode=Opcode.FEED_WEIGHT,
            lanes=die.cols,
            semaphore=SECOND_OPERAND,
        )
        # A block without rows is one row of zeros.
        own = list(self._share.y[0])
        self._result(own + [-1] * (shape.m - len(own)))
        panels = -(-shape.n // die.cols)
        firsts = {operand.axis: self._first_rows(operand.nodes) for operand in (first, second)}

        def gather(tile: TokenTile) -> Iterator[Command]:
            for operand in (first, second):
                yield from operand.commands(tile, firsts[operand.axis][tile.number])

        yield from gather(tiles[0])
        for tile in tiles:
            if tile.number + 1 < len(tiles):
                yield from gather(tiles[tile.number + 1])
            k_tiles = -(-tile.size // die.rows)
            yield Command(
                Opcode.GEMM,
                {
                    "wait_0": first.fed,
                    "wait_1": second.fed,
                    "post_0": first.buffer_free,
                    "post_1": second.buffer_free,
                    "panel_post": OWN_PANEL_DONE if tile is tiles[-1] else 0,
                    "accumulate": int(tile.number > 0),
                    "activation_column": 1,
                    "activation_base": first.buffer_base(tile),
                    "activation_pitch": tile.size,
                    "weight_base": second.buffer_base(tile),
                    "weight_pitch": tile.size,
                    "accumulator_step": shape.m,
                    "m": shape.m,
                    "k_tiles": k_tiles,
                    "last_k": tile.size - (k_tiles - 1) * die.rows,
                    "panels": panels,
                    "last_cols": shape.n - (panels - 1) * die.cols,
                },
            )
        words = self._left
        yield from store_own_sums(
            die,
            self._system.memory,
            self._y,
            base=self._room(words),
            words=words,
            panel_done=OWN_PANEL_DONE,
            drained=OWN_DRAINED,
            place_free=OWN_PLACE_FREE,
        )
