# amaranth: UnusedElaboratable=no
"""Array: stationary tiles back to back against the golden GEMM."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chiplet.machine.specs import Dtype
from cosim.golden.gemm import gemm
from cosim.golden.numerics import float32_to_bf16
from rtl.compute.array import Array
from tests.rtl.harness import lanes, simulate, unpack

SIZES = [(1, 1), (1, 3), (3, 1), (5, 3), (4, 4)]


def operand(rng: np.random.Generator, dtype: Dtype, *shape: int) -> NDArray[Any]:
    if dtype == "int8":
        return rng.integers(-128, 128, shape, dtype=np.int8)
    return float32_to_bf16(rng.standard_normal(shape, dtype=np.float32) * 10)


def run_tiles(
    dut: Array, tiles: list[tuple[NDArray[Any], NDArray[Any]]], *, dtype: Dtype, stages: int, late: int = 0
) -> list[NDArray[Any]]:
    """Sums (M, C) of tiles (activations (M, R), weights (R, C)), each begun when the one before is over.

    The weights of a tile enter as early as they may, ``late`` cycles later if possible.
    """
    rows, cols = tiles[0][1].shape
    element = 8 if dtype == "int8" else 16
    vectors: dict[int, tuple[int, int]] = {}  # cycle: activation vector, first of its tile
    weights: dict[int, tuple[int, int]] = {}  # cycle: weight vector, vectors that follow
    begins = [rows]
    for activations, _ in tiles:
        begins.append(begins[-1] + max(len(activations), rows, stages))
    for n, (activations, stationary) in enumerate(tiles):
        for m, vector in enumerate(activations):
            vectors[begins[n] + m] = lanes(vector, element), int(m == 0)
        earliest = begins[n - 1] if n else 0
        begin = min(earliest + late, begins[n] - rows)
        for k, vector in enumerate(stationary):
            weights[begin + k] = lanes(vector, element), rows - 1 - k
    results = [np.zeros((len(activations), cols), np.uint32) for activations, _ in tiles]
    places = {
        begins[n] + m + dut.latency: (n, m)
        for n, (activations, _) in enumerate(tiles)
        for m in range(len(activations))
    }

    async def bench(ctx: Any) -> None:
        for cycle in range(begins[-1] + dut.latency + cols):
            a, swap = vectors.get(cycle, (-1, 0))
            w, count = weights.get(cycle, (-1, 0))
            ctx.set(dut.a, a)  # ones where nothing is sent: nothing may depend on them
            ctx.set(dut.swap, swap)
            ctx.set(dut.w, w)
            ctx.set(dut.load, cycle in weights)
            ctx.set(dut.count, count)
            sums = unpack(ctx.get(dut.psum), cols, 32)
            for c in range(cols):
                if cycle - c in places:
                    n, m = places[cycle - c]
                    results[n][m, c] = sums[c]
            await ctx.tick()

    simulate(dut, bench)
    return results


LONG = {(*size, stages, "bf16") for size in ((5, 3), (4, 4)) for stages in (1, 2, 4)} - {
    (5, 3, 2, "bf16"),
    (4, 4, 4, "bf16"),
}
"""Cases that take a second or more; one of each size stays."""


@pytest.mark.parametrize(
    ("rows", "cols", "stages", "dtype"),
    [
        pytest.param(*case, marks=pytest.mark.slow if case in LONG else ())
        for case in (
            (*size, stages, dtype) for size in SIZES for stages in (1, 2, 4) for dtype in ("bf16", "int8")
        )
    ],
)
def test_tiles_back_to_back(rows: int, cols: int, stages: int, dtype: Dtype) -> None:
    rng = np.random.default_rng(rows * 10 + cols)
    dut = Array(rows=rows, cols=cols, dtype=dtype, stages=stages)
    heights = [1, rows, rows + 3, 2, stages, 1, rows + 1]
    tiles = [(operand(rng, dtype, m, rows), operand(rng, dtype, rows, cols)) for m in heights]
    for late in (0, 2, 1000):
        sums = run_tiles(dut, tiles, dtype=dtype, stages=stages, late=late)
        for (activations, weights), found in zip(tiles, sums, strict=True):
            expected = gemm(activations, weights, rows=rows, dtype=dtype)
            np.testing.assert_array_equal(found, expected.view(np.uint32))


@pytest.mark.parametrize(("rows", "cols", "multiplier"), [(2, 3, 1), (3, 2, 1), (2, 3, 2)])
def test_special_numbers_pass_through_the_array(rows: int, cols: int, multiplier: int) -> None:
    rng = np.random.default_rng(1)
    patterns = np.array(
        [0x0000, 0x8000, 0x0001, 0x8001, 0x0080, 0x7F7F, 0xFF7F, 0x7F80, 0xFF80, 0x7FC0, 0x3F80, 0xBF80],
        np.uint16,
    )
    dut = Array(rows=rows, cols=cols, dtype="bf16", stages=1, multiplier_stages=multiplier)
    tiles = [(rng.choice(patterns, (20, rows)), rng.choice(patterns, (rows, cols))) for _ in range(6)]
    for (activations, weights), found in zip(
        tiles, run_tiles(dut, tiles, dtype="bf16", stages=1), strict=True
    ):
        np.testing.assert_array_equal(found, gemm(activations, weights, rows=rows, dtype="bf16"))
