"""Sizes of mini-batches that may be quicker than the largest one, by the token tiles that they leave room for.

A larger mini-batch hides more of what its beginning and end take, a larger token tile fills the array for a larger part
of its time; they share the scratchpad. So sizes are those of 1, 2, 3, ... tiles of the largest tile that fits beside
them, cut to whole multiples of what fills the array.
"""

from __future__ import annotations

from collections.abc import Iterator

from chiplet.schedule.buffers import BlockMemory
from chiplet.vectorized.elementwise import Number, anywhere, ceil_div, choose, larger, rounded_down, smaller
from chiplet.workload.operations import linears

FEW_TILES = (2, 8)
"""Token tiles of a mini-batch that are tried where all tokens go through the same linears."""

EXPERT_TILES = (1, 2, 3, 4, 6, 8, 16)
"""The same for experts, whose tiles are large: each sees a part of the tokens."""

LEAST_GAIN = 0.1
"""What larger tiles may save at least of the array's time for other sizes to be tried, unless there are experts. What
they do save is a third of it at most, with exposed beginnings of mini-batches and the blocks around.
"""


def other_sizes(memory: BlockMemory, total: Number, size: Number) -> Iterator[Number]:
    """Sizes beside ``size``, the largest that fits, of the mini-batches of a round of ``total`` tokens in linears; 0
    where there is none.
    """
    experts = memory.block.expand.mixture is not None
    wanted = size > 0
    if not experts:
        wanted = wanted & (_most_gain(memory, size, total) > LEAST_GAIN)
    if not anywhere(wanted):
        return
    rows = memory.die.rows
    filling = memory.block.filling_tile(rows)
    tried = [size]
    for count in EXPERT_TILES if experts else FEW_TILES:
        largest = _largest_tile(memory, count)
        for unit in (rows, filling) if experts else (rows,):
            tile = choose(largest >= unit, rounded_down(largest / unit) * unit, largest)
            most = smaller(count * tile, total)
            parts = ceil_div(total, larger(1, most))
            even = smaller(most, ceil_div(ceil_div(total, parts), unit) * unit)
            for one in (most, even) if experts else (even,):
                new = wanted & (one > 0)
                for other in tried:
                    new = new & (one != other)
                if anywhere(new):
                    tried.append(one)
                    yield choose(new, one, 0)


def _largest_tile(memory: BlockMemory, count: int) -> Number:
    """The largest token tile that fits beside ``count`` such tiles as a mini-batch."""
    room, of_token = memory.die.scratchpad_bytes, memory.activation_bytes(1, 1)
    if memory.method.token_tiled:
        return rounded_down(room / (count * of_token + memory.tile_bytes))
    return rounded_down(room / (of_token + memory.tile_bytes) / count)


def _most_gain(memory: BlockMemory, size: Number, total: Number) -> Number:
    """The part of the array's time that larger token tiles save at most, by :func:`_beyond_rows`."""
    if not memory.method.token_tiled:
        return 0.0 * size
    die = memory.die
    left = die.scratchpad_bytes - size * memory.activation_bytes(1, 1)
    tile = larger(1, smaller(left / memory.tile_bytes, size))
    count = FEW_TILES[-1] if memory.method.switches.overlap else FEW_TILES[0]
    most = larger(tile, smaller(_largest_tile(memory, count), total / count))
    gemms = len(linears(memory.block)) * memory.slices
    stationary_tiles = memory.method.weights_per_die(memory.block) / (die.rows * die.cols)
    fill = (die.rows + die.rows * die.stages + die.cols) * gemms / stationary_tiles
    return _beyond_rows(tile, die.rows, fill) - _beyond_rows(most, die.rows, fill)


def _beyond_rows(tile: Number, rows: Number, fill: Number) -> Number:
    """Cycles of an array of ``rows`` rows for each token and stationary tile beyond one, in token tiles of at most
    ``tile``: ``fill`` once a token tile, loads of weights that take longer than it, and in one of three GEMMs, which
    sums over tokens, rows of the array that it does not fill.
    """
    whole = larger(rows, rounded_down(tile / rows) * rows)
    unfilled = (ceil_div(rounded_down(tile), rows) * rows / tile - 1) / 3
    return choose(tile < rows, fill / tile + rows / tile - 1, smaller(fill / whole, fill / tile + unfilled))
