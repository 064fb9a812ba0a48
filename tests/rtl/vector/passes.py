"""Random passes, and a scratchpad in Python that runs them on the vector unit."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.vector_pass import FirstOp, Function, PassOperand, Reduction, SecondOp, VectorPass
from cosim.golden.vector import PATTERN_TYPE, vector_pass
from rtl.interface import vector_operations as numbers
from rtl.interface.isa import Opcode, encode
from rtl.vector.vector_unit import VectorUnit
from tests.rtl.harness import put, simulate

SPECIAL = np.array(
    [
        *(0, 1, 0x007F_FFFF, 0x0080_0000, 0x3F80_0000, 0x3F7F_FFFF, 0x7F7F_FFFF, 0x7F80_0000, 0x7F80_0001),
        *(0x7FC0_0000, 0x42FC_0000, 0x4300_0000, 0x4080_0000, 0x2000_0000, 0x1FFF_FFFF),
    ],
    np.uint32,
)
"""Magnitudes of zeros, subnormals, powers of two, the ends of the range, Inf and NaN."""


def patterns(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.uint32]:
    """fp32 patterns: numbers near one, of all sizes, and special ones."""
    near = rng.standard_normal(shape, dtype=np.float32).view(np.uint32)
    far = rng.integers(0, 1 << 32, shape, dtype=np.uint32)
    special = rng.choice(SPECIAL, shape) | (rng.integers(0, 2, shape, dtype=np.uint32) << 31)
    return np.choose(rng.choice(3, shape, p=(0.8, 0.1, 0.1)), (near, far, special)).astype(np.uint32)


def operand_patterns(rng: np.random.Generator, operand: PassOperand, rows: int, cols: int) -> NDArray[Any]:
    """Random patterns of an operand, in the shape that the golden model wants."""
    shape = {"value": (), "column": (rows,), "row": (cols,), "matrix": (rows, cols)}[operand.spread]
    if operand.element == "int32":
        return rng.integers(-2, cols + 2, shape, dtype=np.int32).view(np.uint32)
    values = patterns(rng, shape)
    return values if operand.element == "fp32" else (values >> 16).astype(np.uint16)


def random_pass(coin: Random, **chosen: Any) -> VectorPass:
    """A random pass, apart from what is ``chosen``."""

    def operand(element: str | None = None) -> PassOperand:
        spread = coin.choice(("value", "column", "row", "matrix", "matrix"))
        return PassOperand(element or coin.choice(("fp32", "bf16")), spread)  # type: ignore[arg-type]

    op1 = chosen.get("op1", coin.choice(get_args(FirstOp)))
    op2 = chosen.get("op2", coin.choice(get_args(SecondOp)))
    reduction = chosen.get("reduction", coin.choice(get_args(Reduction)))
    return VectorPass(
        **{
            "a": operand(),
            "b": None if op1 == "none" else operand("int32" if op1 == "pick" else None),
            "d": None if op2 == "none" else operand(),
            "op1": op1,
            "function": coin.choice(get_args(Function)),
            "op2": op2,
            "negate": coin.random() < 0.3,
            "causal": coin.random() < 0.3,
            "reduction": reduction,
            "result": coin.choice(("fp32", "bf16") if reduction == "none" else ("fp32", "bf16", None)),
            **chosen,
        }
    )


@dataclass
class PassRun:
    """A pass as a command, and what the scratchpad holds before and after it: halves of 32 bits by their address."""

    command: int
    before: dict[int, int] = field(default_factory=dict)
    after: dict[int, int] = field(default_factory=dict)


def placed_pass(
    work: VectorPass,
    *,
    rows: int,
    cols: int,
    lanes: int,
    word_bytes: int,
    base: int,
    seed: int,
    **fields: int,
) -> PassRun:
    """Place a pass with random operands from word ``base`` on, and compute what it leaves."""
    rng, coin = np.random.default_rng(seed), Random(seed)
    offset = coin.choice((0, 0, coin.randint(-3, 3)))
    run = PassRun(0)
    address = base

    def write(where: dict[int, int], values: NDArray[Any], first: int, pitch: int) -> None:
        for row, line in enumerate(np.atleast_2d(values)):
            halves = np.ascontiguousarray(line).view(np.uint16)
            start = (first + row * pitch) * word_bytes // 2
            where.update(zip(range(start, start + len(halves)), map(int, halves), strict=True))

    def words(elements: int, element_bytes: int) -> int:
        return -(-elements * element_bytes // word_bytes)

    given: dict[str, NDArray[Any]] = {}
    command: dict[str, int] = {}
    for name, operand in work.operands.items():
        values = given[name] = operand_patterns(rng, operand, rows, cols)
        size = np.dtype(PATTERN_TYPE[operand.element]).itemsize
        pitch = words(cols, size) + coin.randint(0, 2)
        write(run.before, values, address, pitch)
        spread = numbers.Spread[operand.spread.upper()]
        command |= {
            name: address,
            f"{name}_pitch": pitch if operand.spread == "matrix" else coin.randrange(1 << 12),
            f"{name}_spread": spread,
            f"{name}_bf16": operand.element == "bf16",
        }
        address += pitch * max(rows, words(rows, size)) + 1
    result = vector_pass(work, **given, rows=rows, cols=cols, lanes=lanes, offset=offset)
    if result.y is not None:
        pitch = words(cols, result.y.itemsize) + coin.randint(0, 2)
        write(run.after, result.y, address, pitch)
        command |= {"y": address, "y_pitch": pitch, "result": 1 if work.result == "fp32" else 2}
        address += pitch * rows
    if result.reduction is not None:
        write(run.after, result.reduction, address, 0)
        command |= {"row": address}
    run.command = encode(
        Opcode.VECTOR,
        **command,
        **fields,
        op1=numbers.FirstOp[work.op1.upper()],
        function=numbers.Function[work.function.upper()],
        op2=numbers.SecondOp[work.op2.upper()],
        reduction=numbers.Reduction[work.reduction.upper()],
        negate=work.negate,
        causal=work.causal,
        offset=offset % (1 << 16),
        rows=rows,
        cols=cols,
    )
    return run


def run_passes(
    dut: VectorUnit,
    runs: list[PassRun],
    *,
    word_bytes: int,
    busy: float = 0.0,
    latency: int = 1,
    seed: int = 0,
) -> tuple[dict[int, int], list[int]]:
    """Run passes on the vector unit; ``busy`` is the chance that a port is not served in a cycle.

    Return the halves written by address, and the cycle in which each pass was over.
    """
    halves: dict[int, int] = {}
    for run in runs:
        halves |= run.before
    written: dict[int, int] = {}
    ends: list[int] = []
    coin = Random(seed)
    per_word = word_bytes // 2

    async def scratchpad(ctx: Any) -> None:
        cycle = 0
        coming = [deque([0] * (latency - 1)) for _ in dut.read]
        while True:
            for port in (*dut.read, dut.write):
                ctx.set(port.ready, coin.random() >= busy)
            ctx.set(dut.semaphores.ok, coin.random() >= busy)
            ports = [value for port in dut.read for value in (port.valid, port.ready, port.address)]
            w = dut.write
            _, _, *sampled = await ctx.tick().sample(
                *ports, w.valid, w.ready, w.address, w.strobe, w.data, dut.semaphores.post
            )
            cycle += 1
            for n, port in enumerate(dut.read):
                valid, ready, address = sampled[3 * n : 3 * n + 3]
                word = coin.getrandbits(8 * word_bytes)
                if valid and ready:
                    word = sum(
                        halves.get(address * per_word + part, 0) << 16 * part for part in range(per_word)
                    )
                coming[n].append(word)
                ctx.set(port.data, coming[n].popleft())
            valid, ready, address, strobe, data, post = sampled[-6:]
            if valid and ready:
                for part in range(per_word):
                    if strobe >> part & 1:
                        written[address * per_word + part] = data >> 16 * part & 0xFFFF
            if post:
                ends.append(cycle)

    async def commands(ctx: Any) -> None:
        await put(ctx, dut.command, [run.command for run in runs])
        while len(ends) < len(runs):
            await ctx.tick()
        assert ctx.get(dut.idle)

    simulate(dut, commands, background=[scratchpad])
    return written, ends
