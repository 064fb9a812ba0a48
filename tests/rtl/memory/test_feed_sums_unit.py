"""Feed sums unit: panels of any size out of the words of the scratchpad into rows of sums."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from chiplet.machine.specs import DieSpec
from rtl.interface.isa import Opcode, encode
from rtl.memory.feed_sums_unit import FeedSumsUnit
from tests.rtl.harness import put, run_commands, simulate, unpack
from tests.rtl.scratchpads import PythonScratchpad, PythonSemaphores, mask

ROWS, SCRATCHPAD = 40, 300


@dataclass(frozen=True)
class Feed:
    """A FEED_SUMS command."""

    base: int
    step: int
    wrap: int
    rows: int
    panels: int
    last_cols: int
    source: int
    source_pitch: int
    wait_0: int = 0
    wait_1: int = 0
    post_0: int = 0
    post_1: int = 0
    panel_wait: int = 0
    panel_post: int = 0
    row_wait: int = 0

    def addresses(self) -> list[int]:
        """Accumulator address of each panel."""
        places = [self.base]
        while len(places) < self.panels:
            following = places[-1] + self.step
            places.append(0 if following == self.wrap else following)
        return places

    def takes(self) -> list[int]:
        rows = [mask(self.row_wait)] * self.rows * (self.row_wait > 0)
        first = mask(self.wait_0, self.wait_1, self.panel_wait)
        return [first, *rows, *[mask(self.panel_wait), *rows] * (self.panels - 1)]

    def posts(self) -> list[int]:
        posts = [mask(self.panel_post)] * self.panels
        posts[-1] |= mask(self.post_0, self.post_1)
        return [post for post in posts if post]


def some_feed(coin: Random, *, cols: int, word_bytes: int) -> Feed:
    rows, panels = coin.choice((1, coin.randint(1, 7))), coin.choice((1, coin.randint(1, 4)))
    last_cols = coin.randint(1, cols)
    pitch = -(-((panels - 1) * cols + last_cols) * 4 // word_bytes) + coin.choice((0, 2))
    rows = min(rows, SCRATCHPAD // pitch)
    wraps = coin.random() < 0.3
    return Feed(
        base=coin.randrange(ROWS - rows * panels + 1),
        step=0 if wraps else rows,
        wrap=coin.choice((0, 4)) if wraps else ROWS,
        rows=rows,
        panels=panels,
        last_cols=last_cols,
        source=coin.randrange(SCRATCHPAD - rows * pitch + 1),
        source_pitch=pitch,
        **{
            name: coin.choice((0, coin.randrange(64)))
            for name in ("wait_0", "wait_1", "post_0", "post_1", "panel_wait", "panel_post", "row_wait")
        },
    )


class Bench:
    """A feed sums unit between a scratchpad and an accumulator buffer, both in Python."""

    def __init__(
        self,
        *,
        cols: int,
        word_bytes: int,
        stall: float = 0.0,
        chance: float = 1.0,
        latency: int = 1,
        seed: int = 1,
    ) -> None:
        die = DieSpec(rows=1, cols=cols, accumulator_bytes=4 * cols * ROWS)
        self.dut = FeedSumsUnit(die=die, depth=SCRATCHPAD, word_bytes=word_bytes, sram_latency=latency)
        self.cols, self.word_bytes, self.stall = cols, word_bytes, stall
        self.coin = Random(seed)
        words = {address: self.coin.getrandbits(8 * word_bytes) for address in range(SCRATCHPAD)}
        self.scratchpad = PythonScratchpad(
            words, word_bytes=word_bytes, stall=stall, latency=latency, seed=seed
        )
        self.semaphores = PythonSemaphores(chance=chance, seed=seed)
        self.rows: dict[int, list[int]] = {}

    def check(self, feeds: list[Feed]) -> None:
        """Compare the columns that exist; the others of a last panel are anything."""
        expected: dict[tuple[int, int], int | None] = {}
        word_sums = self.word_bytes // 4
        for feed in feeds:
            for panel, place in enumerate(feed.addresses()):
                for i in range(feed.rows):
                    for c in range(self.cols):
                        column = panel * self.cols + c
                        if panel == feed.panels - 1 and c >= feed.last_cols:
                            expected[place + i, c] = None
                            continue
                        word = self.scratchpad.words[
                            feed.source + i * feed.source_pitch + column // word_sums
                        ]
                        expected[place + i, c] = unpack(word, word_sums, 32)[column % word_sums]
        assert set(self.rows) == {row for row, _ in expected}
        for (row, c), value in expected.items():
            assert value is None or self.rows[row][c] == value

    async def take_sums(self, ctx: Any) -> None:
        port = self.dut.write
        while True:
            # As the accumulator buffer: ready in a later cycle than valid.
            ready = ctx.get(port.valid) and self.coin.random() < 0.7 - self.stall
            ctx.set(port.ready, ready)
            _, _, valid, address, sums = await ctx.tick().sample(port.valid, port.address, port.sums)
            if valid and ready:
                self.rows[address] = unpack(sums, self.cols, 32)

    def run(self, feeds: list[Feed]) -> None:
        dut = self.dut
        background = (
            self.take_sums,
            self.scratchpad.serve_reads(dut.read),
            self.semaphores.serve(dut.semaphores),
        )
        commands = [encode(Opcode.FEED_SUMS, **vars(feed)) for feed in feeds]
        run_commands(dut, commands, background=background)


@pytest.mark.parametrize(
    ("cols", "word_bytes"), [(1, 4), (1, 32), (3, 4), (3, 16), (5, 8), (8, 32), (7, 64), (16, 32)]
)
@pytest.mark.parametrize(("stall", "chance", "latency"), [(0.0, 1.0, 1), (0.4, 0.4, 1), (0.2, 0.7, 3)])
def test_random_panels(cols: int, word_bytes: int, stall: float, chance: float, latency: int) -> None:
    bench = Bench(cols=cols, word_bytes=word_bytes, stall=stall, chance=chance, latency=latency, seed=cols)
    feeds = [some_feed(bench.coin, cols=cols, word_bytes=word_bytes) for _ in range(10)]
    bench.run(feeds)
    bench.check(feeds)
    assert bench.semaphores.takes == [take for feed in feeds for take in feed.takes()]
    assert bench.semaphores.posts == [post for feed in feeds for post in feed.posts()]


@pytest.mark.parametrize(
    ("base", "source", "name"), [(ROWS - 1, 0, "buffer_beyond"), (0, SCRATCHPAD - 1, "beyond")]
)
def test_what_lies_beyond_is_reported(base: int, source: int, name: str) -> None:
    bench = Bench(cols=2, word_bytes=8)
    dut = bench.dut

    async def issue(ctx: Any) -> None:
        feed = Feed(base, 0, 0, rows=2, panels=1, last_cols=2, source=source, source_pitch=1)
        await put(ctx, dut.command, [encode(Opcode.FEED_SUMS, **vars(feed))])
        await ctx.tick().until(getattr(dut, name))
        await ctx.tick().repeat(20)
        assert ctx.get(getattr(dut, name))

    background = (
        bench.take_sums,
        bench.scratchpad.serve_reads(dut.read),
        bench.semaphores.serve(dut.semaphores),
    )
    simulate(dut, issue, background=background, cycles=100)
    assert max(bench.rows) < ROWS
    assert max(bench.scratchpad.reads) < SCRATCHPAD
