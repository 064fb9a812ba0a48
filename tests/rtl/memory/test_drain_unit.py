"""Drain unit: panels of any size side by side in the words of the scratchpad, as they are and as bf16."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.specs import DieSpec, Dtype
from cosim.golden.numerics import float32_to_bf16
from rtl.interface.isa import Opcode, encode
from rtl.memory.drain_unit import DrainUnit
from tests.rtl.harness import lanes, put, run_commands, simulate, unpack
from tests.rtl.scratchpads import PythonScratchpad, PythonSemaphores, mask

ROWS, SCRATCHPAD = 40, 300


@dataclass(frozen=True)
class Drain:
    """A DRAIN command."""

    base: int
    step: int
    wrap: int
    rows: int
    panels: int
    last_cols: int
    target: int
    target_pitch: int
    cast: int = 0
    wait_0: int = 0
    wait_1: int = 0
    post_0: int = 0
    post_1: int = 0
    panel_wait: int = 0
    panel_post: int = 0
    row_post: int = 0

    def addresses(self) -> list[int]:
        """Accumulator address of each panel."""
        places = [self.base]
        while len(places) < self.panels:
            following = places[-1] + self.step
            places.append(0 if following == self.wrap else following)
        return places

    def takes(self) -> list[int]:
        first = mask(self.wait_0, self.wait_1, self.panel_wait)
        return [first, *[mask(self.panel_wait)] * (self.panels - 1)]

    def posts(self) -> list[int]:
        panel = [0] * (self.rows - 1) + [mask(self.panel_post)]
        posts = [*panel * (self.panels - 1), *(post | mask(self.row_post) for post in panel)]
        posts[-1] |= mask(self.post_0, self.post_1)
        return [post for post in posts if post]


def some_drain(coin: Random, *, cols: int, word_bytes: int, cast: int) -> Drain:
    rows, panels = coin.choice((1, coin.randint(1, 7))), coin.choice((1, coin.randint(1, 4)))
    last_cols = coin.randint(1, cols)
    width = ((panels - 1) * cols + last_cols) * (2 if cast else 4)
    pitch = -(-width // word_bytes) + coin.choice((0, 2))
    rows = min(rows, SCRATCHPAD // pitch)
    wraps = coin.random() < 0.3
    return Drain(
        base=coin.randrange(ROWS - rows * panels + 1),
        step=0 if wraps else rows,
        wrap=coin.choice((0, 4)) if wraps else ROWS,
        rows=rows,
        panels=panels,
        last_cols=last_cols,
        target=coin.randrange(SCRATCHPAD - rows * pitch + 1),
        target_pitch=pitch,
        cast=cast,
        **{
            name: coin.choice((0, coin.randrange(64)))
            for name in ("wait_0", "wait_1", "post_0", "post_1", "panel_wait", "panel_post", "row_post")
        },
    )


class Bench:
    """A drain unit between an accumulator buffer and a scratchpad, both in Python."""

    def __init__(
        self,
        *,
        cols: int,
        dtype: Dtype,
        word_bytes: int,
        stall: float = 0.0,
        busy: float = 0.0,
        chance: float = 1.0,
        seed: int = 1,
        latency: int = SRAM_LATENCY,
    ) -> None:
        self.latency = latency
        die = DieSpec(rows=1, cols=cols, dtype=dtype, accumulator_bytes=4 * cols * ROWS)
        self.dut = DrainUnit(die=die, depth=SCRATCHPAD, word_bytes=word_bytes, sram_latency=latency)
        self.cols, self.word_bytes = cols, word_bytes
        self.coin = Random(seed)
        self.sums = [[self._some_sum() for _ in range(cols)] for _ in range(ROWS)]
        filler = dict.fromkeys(range(SCRATCHPAD), 0)
        self.scratchpad = PythonScratchpad(filler, word_bytes=word_bytes, stall=stall, seed=seed)
        self.semaphores = PythonSemaphores(chance=chance, seed=seed)
        self.busy = busy

    def _some_sum(self) -> int:
        special = (0x7F80_0001, 0xFF80_0000, 0x7F7F_FFFF, 0x8000_0001, 0x3F80_8000, 0x3F81_8000)
        return self.coin.choice((*special, *(self.coin.getrandbits(32) for _ in range(6))))

    def expected(self, drains: list[Drain]) -> dict[int, int]:
        words = dict.fromkeys(range(SCRATCHPAD), 0)
        for drain in drains:
            bits = 16 if drain.cast else 32
            for i in range(drain.rows):
                row = [value for place in drain.addresses() for value in self.sums[place + i]]
                row = row[: (drain.panels - 1) * self.cols + drain.last_cols]
                if drain.cast:
                    row = float32_to_bf16(np.array(row, np.uint32).view(np.float32)).tolist()
                vector = lanes(row, bits)
                for n, word in enumerate(
                    unpack(vector, -(-len(row) * bits // (8 * self.word_bytes)), 8 * self.word_bytes)
                ):
                    words[drain.target + i * drain.target_pitch + n] = word
        return words

    async def serve_sums(self, ctx: Any) -> None:
        """Rows come a cycle later than the words of the SRAMs, or still later."""
        port = self.dut.read
        due: deque[tuple[int, int]] = deque()
        cycle = 0
        while True:
            ctx.set(port.ready, self.coin.random() >= self.busy)
            comes = bool(due) and due[0][0] <= cycle
            ctx.set(port.come, comes)
            ctx.set(port.sums, lanes(self.sums[due.popleft()[1]], 32) if comes else 0)
            _, _, valid, ready, address = await ctx.tick().sample(port.valid, port.ready, port.address)
            if valid and ready:
                due.append((cycle + 1 + self.latency + (self.coin.random() < self.busy), address))
            cycle += 1

    def run(self, drains: list[Drain]) -> int:
        """Carry out ``drains``; return the cycles until the unit is idle again."""
        dut = self.dut
        commands = [encode(Opcode.DRAIN, **vars(drain)) for drain in drains]
        background = (
            self.serve_sums,
            self.scratchpad.serve_writes(dut.write),
            self.semaphores.serve(dut.semaphores),
        )
        return run_commands(dut, commands, background=background)


CASES: list[tuple[int, Dtype, int]] = [
    (1, "int8", 4),
    (1, "bf16", 32),
    (3, "bf16", 4),
    (3, "int8", 16),
    (5, "bf16", 8),
    (8, "bf16", 32),
    (7, "bf16", 64),
]


@pytest.mark.parametrize(("cols", "dtype", "word_bytes"), CASES)
@pytest.mark.parametrize(("stall", "busy", "chance"), [(0.0, 0.0, 1.0), (0.4, 0.4, 0.4)])
def test_random_panels(
    cols: int, dtype: Dtype, word_bytes: int, stall: float, busy: float, chance: float
) -> None:
    bench = Bench(
        cols=cols, dtype=dtype, word_bytes=word_bytes, stall=stall, busy=busy, chance=chance, seed=cols
    )
    coin = bench.coin
    drains = [
        some_drain(coin, cols=cols, word_bytes=word_bytes, cast=coin.getrandbits(1) if dtype == "bf16" else 0)
        for _ in range(12)
    ]
    bench.run(drains)
    assert bench.scratchpad.words == bench.expected(drains)
    assert bench.semaphores.takes == [take for drain in drains for take in drain.takes()]
    assert bench.semaphores.posts == [post for drain in drains for post in drain.posts()]


@pytest.mark.parametrize(
    ("cols", "cast", "words", "latency"),
    [(8, 0, 1, 1), (16, 0, 2, 1), (16, 1, 1, 1), (8, 0, 1, 3), (16, 1, 1, 6)],
)
def test_a_word_a_cycle(cols: int, cast: int, words: int, latency: int) -> None:
    bench = Bench(cols=cols, dtype="bf16", word_bytes=32, latency=latency)
    drain = Drain(0, 20, 0, rows=20, panels=2, last_cols=cols, target=0, target_pitch=2 * words, cast=cast)
    assert bench.run([drain]) <= 40 * words + 9 + latency


@pytest.mark.parametrize(
    ("base", "target", "name"), [(ROWS - 1, 0, "buffer_beyond"), (0, SCRATCHPAD - 1, "beyond")]
)
def test_what_lies_beyond_is_reported(base: int, target: int, name: str) -> None:
    bench = Bench(cols=2, dtype="int8", word_bytes=8)
    dut = bench.dut
    asked: list[int] = []

    async def issue(ctx: Any) -> None:
        drain = Drain(base, 0, 0, rows=2, panels=1, last_cols=2, target=target, target_pitch=1)
        await put(ctx, dut.command, [encode(Opcode.DRAIN, **vars(drain))])
        await ctx.tick().until(getattr(dut, name))
        await ctx.tick().repeat(20)
        assert ctx.get(getattr(dut, name))

    async def watch(ctx: Any) -> None:
        while True:
            _, _, valid, address = await ctx.tick().sample(dut.read.valid, dut.read.address)
            asked.extend([address] * valid)

    background = (
        *(bench.serve_sums, watch),
        bench.scratchpad.serve_writes(dut.write),
        bench.semaphores.serve(dut.semaphores),
    )
    simulate(dut, issue, background=background, cycles=100)
    assert max(asked) < ROWS
    assert max(bench.scratchpad.writes, default=0) < SCRATCHPAD
