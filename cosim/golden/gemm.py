"""The die's GEMM in numpy, bit for bit: the operations of the array and its accumulator, in their order.

K is cut into tiles of ``rows`` consecutive k; the last one may be shorter. Within a tile the sum starts at +0
and adds the products in descending k, because array row 0 holds the largest k of a tile. Tile sums are added
to a total that starts at +0, in ascending order of tiles. ``docs/numerics.md`` gives the reasons.
"""

from __future__ import annotations

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


def bf16_sums(a: NDArray[Any], b: NDArray[Any], rows: int, total: Float32s) -> Float32s:
    """Add the products of (M, K) and (K, N) bf16 patterns to an (M, N) ``total``, in the die's order.

    NaNs of the result are not canonical yet.
    """
    x, w = flush(bf16_to_float32(a)), flush(bf16_to_float32(b))
    for start in range(0, x.shape[1], rows):
        tile_sum = np.zeros((x.shape[0], w.shape[1]), np.float32)
        for k in reversed(range(start, min(start + rows, x.shape[1]))):
            tile_sum = add(tile_sum, multiply(x[:, k, None], w[None, k, :]))
        total = add(total, tile_sum)
    return total


def _check_rows(rows: object) -> None:
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise ValueError(f"gemm: rows = {rows!r}: must be an integer of at least 1")
