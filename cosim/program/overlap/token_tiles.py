"""Tokens of a GEMM on a package, in tiles: while a die multiplies one, the next one comes and the last one leaves.

A tile is small: what comes before the first GEMM and behind the last one takes time in proportion to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from chiplet.machine.chunks import words_per_flit
from chiplet.machine.specs import SystemSpec, scratchpad_depth
from cosim.program.shape import Shape

__all__ = ["LEAST_TOKENS", "BlockWords", "TokenTile", "block_words", "token_tiles"]

LEAST_TOKENS = 16
"""Tokens of a tile, if there are so many: with fewer, commands would take as long as their words."""
COPIES = 2
"""Tiles that have a place in a buffer at the same time."""


@dataclass(frozen=True, kw_only=True)
class TokenTile:
    """Consecutive tokens.

    Attributes
    ----------
    number
        Of the tile, from 0.
    tokens
        The tokens.
    size
        Rows with those of zeros behind them, of which every die of a line has equally many, in whole flits.
    """

    number: int
    tokens: range
    size: int


@dataclass(frozen=True, kw_only=True)
class BlockWords:
    """Words of memory of a row of the blocks of a die, the largest of the package.

    Attributes
    ----------
    operands
        Of each operand that is gathered.
    sums
        Of the result, if its sums are scattered or leave tile by tile, else 0.
    weights
        Of the whole block of weights that stays on the die, else 0.
    """

    operands: tuple[int, ...]
    sums: int
    weights: int


def _largest(size: int, parts: int) -> int:
    return max(1, -(-size // parts))


def block_words(system: SystemSpec, shape: Shape) -> BlockWords:
    """Return the words of the blocks of a die."""
    word = system.memory.word_bytes
    per_word, sums_per_word = word // system.die.element_bytes, word // 4
    m, k, n = largest_block(system, shape)
    if shape.form == "tn":
        return BlockWords(operands=(-(-m // per_word), -(-n // per_word)), sums=0, weights=0)
    weights = n * -(-k // per_word) if shape.form == "nt" else k * -(-n // per_word)
    return BlockWords(operands=(-(-k // per_word),), sums=-(-n // sums_per_word), weights=weights)


def largest_block(system: SystemSpec, shape: Shape) -> tuple[int, int, int]:
    """M, K and N of the largest block of a die; tokens are not cut."""
    rows, cols = system.package.rows, system.package.cols
    if shape.form == "tn":
        return _largest(shape.m, rows), shape.k, _largest(shape.n, cols)
    if shape.form == "nn":
        return shape.m, _largest(shape.k, rows), _largest(shape.n, cols)
    return shape.m, _largest(shape.k, cols), _largest(shape.n, rows)


def token_tiles(system: SystemSpec, shape: Shape) -> list[TokenTile]:
    """Cut the tokens of a GEMM into tiles.

    Raises
    ------
    ValueError
        If two tiles, or the block of weights, do not fit a buffer of the dies.
    """
    die = system.die
    tokens = shape.k if shape.form == "tn" else shape.m
    # Every die of a line has equally many rows of a tile, and as many as fill whole flits.
    share = math.lcm(system.package.rows, system.package.cols) * words_per_flit(system.nop, system.memory)
    unit = math.lcm(share, die.rows) if shape.form == "tn" else share
    least = max(die.rows, die.stages, LEAST_TOKENS)
    size = min(-(-least // unit) * unit, -(-tokens // share) * share)
    while size > unit and _missing(system, shape, size):
        size = (size - 1) // unit * unit
    missing = _missing(system, shape, size)
    if missing:
        raise ValueError(f"package: {shape.m}x{shape.k}x{shape.n} ({shape.form}): {missing}")
    return [
        TokenTile(
            number=number,
            tokens=range(start, min(start + size, tokens)),
            size=-(-(min(start + size, tokens) - start) // share) * share,
        )
        for number, start in enumerate(range(0, tokens, size))
    ]


def _missing(system: SystemSpec, shape: Shape, size: int) -> str:
    """What tiles of ``size`` tokens do not fit; empty if they do."""
    die, memory = system.die, system.memory
    m, k, n = largest_block(system, shape)
    words = block_words(system, shape)
    panels = -(-n // die.cols)
    if shape.form == "tn":
        activation, weight, sums = COPIES * -(-m // die.rows) * size, COPIES * panels * size, panels * m
    else:
        activation, sums = COPIES * -(-k // die.rows) * size, COPIES * panels * size
        weight = -(-k // die.cols) * n if shape.form == "nt" else panels * k
    scratchpad = COPIES * size * (sum(words.operands) + words.sums) + least_staging(system, shape) + 1
    for name, need, have, width in (
        ("activation_bytes", activation, die.activation_depth, die.rows * die.element_bytes),
        ("weight_bytes", weight, die.weight_depth, die.cols * die.element_bytes),
        ("accumulator_bytes", sums, die.accumulator_depth, 4 * die.cols),
        ("scratchpad_bytes", scratchpad, scratchpad_depth(die, memory, system.nop), memory.word_bytes),
    ):
        if need > have:
            return f"die.{name} must be at least {need * width}, has {have * width} in use"
    return ""


def least_staging(system: SystemSpec, shape: Shape) -> int:
    """Least words through which weights pass on their way to the buffer, or sums that stay on the die leave."""
    die, word = system.die, system.memory.word_bytes
    if shape.form == "tn":
        return COPIES * math.lcm(die.cols, word // 4) // (word // 4)
    per_word = word // die.element_bytes
    return math.lcm(die.cols, per_word) // per_word
