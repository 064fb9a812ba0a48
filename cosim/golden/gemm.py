"""The die's GEMM in numpy, bit for bit: the operations of the array and its accumulator, in their order.

K is cut into tiles of ``rows`` consecutive k; the last one may be shorter. Within a tile the sum starts at +0
and adds the products in descending k, because array row 0 holds the largest k of a tile. Tile sums are added
to a total that starts at +0, in ascending order of tiles. ``docs/numerics.md`` gives the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import Dtype
from cosim.golden.numerics import Float32s, add, bf16_to_float32, flush, fp32_patterns, multiply
from cosim.program.layout import OPERAND_TYPE
from cosim.program.shape import gemm_forms, shape_text


def gemm(a: NDArray[Any], b: NDArray[Any], *, rows: int, dtype: Dtype) -> NDArray[Any]:
    """The die's product of two matrices.

    Parameters
    ----------
    a
        (M, K) of :data:`cosim.program.layout.OPERAND_TYPE`.
    b
        (K, N) of the same type.
    rows
        Rows of the array: k in a tile.
    dtype
        Operand type.

    Returns
    -------
    (M, N) of :data:`cosim.program.layout.RESULT_TYPE`.

    Raises
    ------
    ValueError
        If ``rows`` or ``dtype`` is out of range, an operand is no matrix of that type, a dimension is 0, or
        the operands disagree in K.
    """
    if dtype not in OPERAND_TYPE:
        raise ValueError(f"gemm: dtype = {dtype!r}: must be one of {', '.join(OPERAND_TYPE)}")
    _check_rows(rows)
    a, b = gemm_forms(a, b, form="nn")
    for name, operand in (("a", a), ("b", b)):
        element = np.dtype(OPERAND_TYPE[dtype])
        if operand.dtype != element:
            raise ValueError(f"gemm: {name} has elements {operand.dtype}: must be {element} for {dtype}")
        if 0 in operand.shape:
            raise ValueError(f"gemm: {name} is {shape_text(operand)}: each dimension must be at least 1")
    if dtype == "int8":
        # Sums modulo 2 ** 32 do not depend on their order.
        return cast(NDArray[Any], a.astype(np.int32) @ b.astype(np.int32))
    return fp32_patterns(bf16_sums(a, b, rows, np.zeros((a.shape[0], b.shape[1]), np.float32)))


def bf16_sums(
    a: NDArray[Any], b: NDArray[Any], rows: int, total: Float32s, pieces: Sequence[int] | None = None
) -> Float32s:
    """Add the products of (M, K) and (K, N) bf16 patterns to an (M, N) ``total``, in the die's order.

    K is in ``pieces`` of these lengths, each with tiles of its own; by default in one. NaNs of the result are not
    canonical yet.
    """
    x, w = flush(bf16_to_float32(a)), flush(bf16_to_float32(b))
    tiles = _tiles([x.shape[1]] if pieces is None else pieces, rows)
    if _never_subnormal(x, w, total):
        return _normal_sums(x, w, tiles, rows, total)
    for tile in tiles:
        tile_sum = np.zeros((x.shape[0], w.shape[1]), np.float32)
        for k in reversed(tile):
            tile_sum = add(tile_sum, multiply(x[:, k, None], w[None, k, :]))
        total = add(total, tile_sum)
    return total


def _tiles(pieces: Sequence[int], rows: int) -> list[range]:
    """The k of each tile."""
    tiles, first = [], 0
    for length in pieces:
        stop = first + length
        tiles += [range(start, min(start + rows, stop)) for start in range(first, stop, rows)]
        first = stop
    return tiles


_SUMS_AT_A_TIME = 1 << 20


def _never_subnormal(x: Float32s, w: Float32s, total: Float32s) -> bool:
    """Whether no product and no sum can be subnormal, so that nothing has to be flushed.

    That is so if all products, and ``total``, are multiples of 2 ** -126: then all sums are, rounded or not. A bf16
    number is a multiple of 2 ** -7 of the power of two below it, an fp32 number one of 2 ** -23.
    """
    finite = bool(np.isfinite(x).all() and np.isfinite(w).all())
    lowest = [_lowest_exponent(values) for values in (x, w, total)]
    return finite and lowest[0] + lowest[1] - 14 >= -126 and lowest[2] - 23 >= -126


def _lowest_exponent(values: Float32s) -> int:
    """Exponent of the power of two below the smallest magnitude that is not zero; 128 or more if there is none."""
    magnitudes = values.view(np.uint32) & np.uint32(0x7FFF_FFFF)
    # Zeros become the largest number.
    lowest = int((magnitudes - np.uint32(1)).min(initial=0xFFFF_FFFF)) + 1
    return (lowest >> 23) - 127


def _normal_sums(x: Float32s, w: Float32s, tiles: list[range], rows: int, total: Float32s) -> Float32s:
    """As :func:`bf16_sums` of finite values of which nothing is subnormal, the sums of many tiles at a time.

    A short tile is filled up with zeros: their products come first and leave no trace.
    """
    places = np.full((len(tiles), rows), x.shape[1])
    for number, tile in enumerate(tiles):
        places[number, : len(tile)] = tile
    x = np.concatenate([x.T, np.zeros((1, x.shape[0]), np.float32)])[places]
    w = np.concatenate([w, np.zeros((1, w.shape[1]), np.float32)])[places]
    together = max(1, _SUMS_AT_A_TIME // max(1, total.size))
    with np.errstate(all="ignore"):
        for start in range(0, len(tiles), together):
            some = slice(start, start + together)
            tile_sums = np.zeros((len(x[some]), x.shape[2], w.shape[2]), np.float32)
            for k in reversed(range(rows)):
                tile_sums += x[some, k, :, None] * w[some, k, None, :]
            for tile_sum in tile_sums:
                total = total + tile_sum
    return total


def _check_rows(rows: object) -> None:
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise ValueError(f"gemm: rows = {rows!r}: must be an integer of at least 1")
