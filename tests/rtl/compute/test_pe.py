# amaranth: UnusedElaboratable=no
"""The PE against a model of its registers, and columns of PEs against the golden GEMM."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator, SimulatorContext
from numpy.typing import NDArray

from chiplet.machine.specs import Dtype
from cosim.golden.gemm import gemm
from cosim.golden.numerics import bf16_mul, float32_to_bf16, fp32_add
from rtl.compute.mac import MAX_STAGES, OPERAND_BITS
from rtl.compute.pe import PE
from rtl.emit.emitter import emit

CONFIGURATIONS = [(dtype, stages) for dtype in ("bf16", "int8") for stages in range(1, MAX_STAGES + 1)]
DEEP = [
    *((dtype, stages, 1) for dtype, stages in CONFIGURATIONS),
    *((dtype, stages, 2) for dtype in ("bf16", "int8") for stages in (1, 3)),
]
"""Type, stages of the adder, stages of the multiplier."""
OUTPUTS = ("a_out", "swap_out", "load_out", "w_out", "psum_out")


def multiply_add(dtype: Dtype, a: int, weight: int, psum: int) -> int:
    if dtype == "bf16":
        product = bf16_mul(np.array([a], np.uint16), np.array([weight], np.uint16))
        return int(fp32_add(np.array([psum], np.uint32), product)[0])
    signed = [value - 256 if value >= 128 else value for value in (a, weight)]
    return psum + signed[0] * signed[1] & 0xFFFF_FFFF


class Model:
    """Registers of a PE: what :meth:`outputs` shows is what an observer sees before the next clock edge."""

    def __init__(self, dtype: Dtype, stages: int, multiplier: int) -> None:
        self.dtype = dtype
        self.a = self.swap = self.load = self.active = 0
        self.shadows = [0] * stages
        self.products = [(0, 0)] * multiplier
        self.sums = [0] * stages

    def outputs(self) -> dict[str, int]:
        values = (self.a, self.swap, self.load, self.shadows[-1], self.sums[-1])
        return dict(zip(OUTPUTS, values, strict=True))

    def clock(self, *, a_in: int, swap_in: int, load_in: int, w_in: int, psum_in: int) -> None:
        weight = self.shadows[0] if swap_in else self.active
        self.sums = [multiply_add(self.dtype, *self.products[-1], psum_in), *self.sums[:-1]]
        self.products = [(a_in, weight), *self.products[:-1]]
        self.active = weight
        self.shadows = [w_in if load_in else self.shadows[0], *self.shadows[:-1]]
        self.a, self.swap, self.load = a_in, swap_in, load_in


@pytest.mark.parametrize(("dtype", "stages", "multiplier"), DEEP)
def test_every_register_matches_the_model(dtype: Dtype, stages: int, multiplier: int) -> None:
    rng = np.random.default_rng(stages)
    pe = PE(dtype=dtype, stages=stages, multiplier_stages=multiplier)
    model = Model(dtype, stages, multiplier)
    top = 1 << OPERAND_BITS[dtype]

    async def bench(ctx: SimulatorContext) -> None:
        for cycle in range(600):
            inputs = {
                "a_in": int(rng.integers(0, top)),
                "swap_in": int(rng.integers(0, 4) == 0),
                "load_in": int(rng.integers(0, 3) == 0),
                "w_in": int(rng.integers(0, top)),
                "psum_in": int(rng.integers(0, 1 << 32)),
            }
            for name, value in inputs.items():
                ctx.set(getattr(pe, name), value)
            got = {name: ctx.get(getattr(pe, name)) for name in OUTPUTS}
            want = model.outputs()
            if cycle < stages + multiplier - 1:  # what the adder holds at power-up is nobody's business
                del got["psum_out"], want["psum_out"]
            assert got == want, f"cycle {cycle}"
            await ctx.tick()
            model.clock(**inputs)

    simulator = Simulator(pe)
    simulator.add_clock(1e-9)
    simulator.add_testbench(bench)
    simulator.run()


def run_column(
    tiles: Sequence[tuple[NDArray[Any], NDArray[Any]]], *, dtype: Dtype, stages: int
) -> list[list[int]]:
    """Sums of a column of PEs, tile after tile without a gap.

    A tile is (weights of the rows, operands as vectors x rows). Row r works r * ``stages`` cycles after row
    0. The weights of a tile enter during the operands of the one before, those of the first before them all.
    """
    rows = len(tiles[0][0])
    column = [PE(dtype=dtype, stages=stages) for _ in range(rows)]
    m = Module()
    m.submodules += column
    for above, below in pairwise(column):
        m.d.comb += [below.w_in.eq(above.w_out), below.psum_in.eq(above.psum_out)]

    # Events of row 0; the other rows see them r * stages cycles later.
    loads: dict[int, tuple[int, int]] = {}  # cycle: position, weight
    operands: dict[int, tuple[NDArray[Any], bool]] = {}  # cycle: vector, first of its tile
    start, starts = rows, []
    for weights, vectors in tiles:
        assert len(vectors) >= rows
        starts.append(start)
        for position, weight in enumerate(weights[::-1]):
            loads[start - rows + position] = (position, int(weight))
        for index, vector in enumerate(vectors):
            operands[start + index] = (vector, index == 0)
        start += len(vectors)
    results: list[list[int]] = [[] for _ in tiles]
    delay = 1 + rows * stages

    async def bench(ctx: SimulatorContext) -> None:
        for cycle in range(start + delay + 1):
            ctx.set(column[0].w_in, loads.get(cycle, (0, 0))[1])
            for row, pe in enumerate(column):
                then = cycle - row * stages
                ctx.set(pe.load_in, then in loads and loads[then][0] < rows - row)
                vector, first = operands.get(then, (None, False))
                ctx.set(pe.a_in, 0 if vector is None else int(vector[row]))
                ctx.set(pe.swap_in, first)
            if cycle - delay in operands:
                tile = max(index for index, begin in enumerate(starts) if begin <= cycle - delay)
                results[tile].append(ctx.get(column[-1].psum_out))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-9)
    simulator.add_testbench(bench)
    simulator.run()
    return results


def operand_matrix(rng: np.random.Generator, shape: tuple[int, ...], dtype: Dtype) -> NDArray[Any]:
    if dtype == "bf16":
        return float32_to_bf16(rng.standard_normal(shape).astype(np.float32))
    return rng.integers(-128, 128, shape).astype(np.int8)


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize(("dtype", "stages"), CONFIGURATIONS)
def test_column_adds_like_the_golden_gemm(dtype: Dtype, stages: int, rows: int) -> None:
    rng = np.random.default_rng(rows)
    unsigned = np.uint16 if dtype == "bf16" else np.uint8
    tiles, want = [], []
    for count in (rows, rows + 3, rows, rows + 1):
        a, b = operand_matrix(rng, (count, rows), dtype), operand_matrix(rng, (rows, 1), dtype)
        # Row 0 of the column holds the largest k.
        tiles.append((b[::-1, 0].view(unsigned), a[:, ::-1].view(unsigned)))
        want.append(gemm(a, b, rows=rows, dtype=dtype)[:, 0].view(np.uint32).tolist())
    assert run_column(tiles, dtype=dtype, stages=stages) == want


@pytest.mark.parametrize(("dtype", "stages"), CONFIGURATIONS)
def test_verilog_is_one_module(dtype: Dtype, stages: int) -> None:
    pe = PE(dtype=dtype, stages=stages)
    assert emit(pe, None).modules == (pe.block_name,) == (f"pe_{dtype}_p{stages}",)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dtype": "fp8", "stages": 1}, r"^PE: dtype = 'fp8': must be one of bf16, int8$"),
        ({"dtype": "bf16", "stages": 5}, r"^PE: stages = 5: must be an integer from 1 to 4$"),
        ({"dtype": "int8", "stages": "2"}, r"^PE: stages = '2': must be an integer from 1 to 4$"),
        (
            {"dtype": "int8", "stages": 1, "multiplier_stages": 3},
            r"^PE: multiplier_stages = 3: must be an integer from 1 to 2$",
        ),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PE(**parameters)
