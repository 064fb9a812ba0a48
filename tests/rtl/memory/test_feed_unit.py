"""Feed unit: blocks of any shape out of words of any width, against the layout of an operand buffer."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from rtl.interface.isa import Opcode, encode
from rtl.memory.feed_unit import FeedUnit
from tests.rtl.harness import put, run_commands, simulate, unpack
from tests.rtl.scratchpads import PythonScratchpad, PythonSemaphores, mask

DEPTH, SCRATCHPAD = 500, 200


@dataclass(frozen=True)
class Feed:
    """A FEED_ACTIVATION command."""

    base: int
    pitch: int
    lane: int
    rows: int
    cols: int
    words: int
    source: int
    source_pitch: int
    wait_0: int = 0
    wait_1: int = 0
    post_0: int = 0
    post_1: int = 0
    row_wait: int = 0

    def takes(self) -> list[int]:
        return [mask(self.wait_0, self.wait_1), *[mask(self.row_wait)] * self.rows * (self.row_wait > 0)]


def some_feed(coin: Random, *, lanes: int, word_elements: int) -> Feed:
    rows = coin.choice((1, coin.randint(1, 9)))
    cols = coin.choice((1, coin.randint(1, 40), word_elements, 2 * lanes))
    words = -(-cols // word_elements)
    pitch = coin.choice((words, words + 1))
    rows = min(rows, SCRATCHPAD // pitch)
    buffer_pitch = rows + coin.choice((0, 3))
    first = coin.choice((0, coin.randrange(lanes)))  # row of a larger block that this part begins with
    return Feed(
        base=coin.randrange(DEPTH - -(-cols // lanes) * buffer_pitch),
        pitch=buffer_pitch,
        lane=first,
        rows=rows,
        cols=cols,
        words=words,
        source=coin.randrange(SCRATCHPAD - rows * pitch + 1),
        source_pitch=pitch,
        **{
            name: coin.choice((0, coin.randrange(64)))
            for name in ("wait_0", "wait_1", "post_0", "post_1", "row_wait")
        },
    )


class Bench:
    """A feed unit between a scratchpad and banks."""

    def __init__(
        self,
        *,
        lanes: int,
        width: int,
        word_bytes: int,
        stall: float = 0.0,
        chance: float = 1.0,
        seed: int = 1,
        depth: int = DEPTH,
        latency: int = 1,
    ) -> None:
        self.dut = FeedUnit(
            lanes=lanes,
            width=width,
            depth=depth,
            scratchpad_depth=SCRATCHPAD,
            word_bytes=word_bytes,
            sram_latency=latency,
        )
        self.lanes, self.width, self.word_elements = lanes, width, 8 * word_bytes // width
        self.coin = Random(seed)
        words = {address: self.coin.getrandbits(8 * word_bytes) for address in range(SCRATCHPAD)}
        self.scratchpad = PythonScratchpad(
            words, word_bytes=word_bytes, stall=stall, latency=latency, seed=seed
        )
        self.semaphores = PythonSemaphores(chance=chance, seed=seed)
        self.banks: dict[tuple[int, int], int] = {}
        self.writes = 0

    def expected(self, feeds: list[Feed]) -> dict[tuple[int, int], int]:
        """Elements by bank and address, as the array reads them."""
        banks = {}
        for feed in feeds:
            for i in range(feed.rows):
                for j in range(feed.cols):
                    word = self.scratchpad.words[
                        feed.source + i * feed.source_pitch + j // self.word_elements
                    ]
                    element = unpack(word, self.word_elements, self.width)[j % self.word_elements]
                    address = feed.base + j // self.lanes * feed.pitch + i
                    banks[(feed.lane + i + j) % self.lanes, address] = element
        return banks

    async def watch(self, ctx: Any) -> None:
        """Write the banks."""
        port = self.dut.write
        while True:
            _, _, enable, address, following, rotate, split, count, data = await ctx.tick().sample(
                *(port.enable, port.address, port.next, port.rotate, port.split, port.count, port.data)
            )
            self.writes += enable
            if enable:
                assert 1 <= count <= self.lanes
                for e, element in enumerate(unpack(data, count, self.width)):
                    self.banks[(rotate + e) % self.lanes, address if e < split else following] = element

    def run(self, feeds: list[Feed]) -> int:
        """Carry out ``feeds``; return the cycles until the unit is idle again."""
        dut = self.dut
        commands = [encode(Opcode.FEED_ACTIVATION, **vars(feed)) for feed in feeds]
        background = (
            self.watch,
            self.scratchpad.serve_reads(dut.read),
            self.semaphores.serve(dut.semaphores),
        )
        return run_commands(dut, commands, background=background)


CASES = [
    (1, 8, 4),
    (1, 16, 32),
    (3, 16, 32),
    (3, 8, 8),
    (5, 8, 4),
    (5, 16, 4),
    (4, 16, 16),
    (8, 8, 64),
    (13, 8, 8),
    (16, 16, 32),
]


@pytest.mark.parametrize(("lanes", "width", "word_bytes"), CASES)
@pytest.mark.parametrize(("stall", "chance", "latency"), [(0.0, 1.0, 1), (0.4, 0.4, 1), (0.2, 0.7, 3)])
def test_random_blocks(
    lanes: int, width: int, word_bytes: int, stall: float, chance: float, latency: int
) -> None:
    bench = Bench(
        lanes=lanes,
        width=width,
        word_bytes=word_bytes,
        stall=stall,
        chance=chance,
        seed=lanes,
        latency=latency,
    )
    feeds = [some_feed(bench.coin, lanes=lanes, word_elements=bench.word_elements) for _ in range(10)]
    bench.run(feeds)
    assert bench.banks == bench.expected(feeds)
    assert bench.scratchpad.reads == [
        feed.source + i * feed.source_pitch + word
        for feed in feeds
        for i in range(feed.rows)
        for word in range(feed.words)
    ]
    assert bench.semaphores.takes == [take for feed in feeds for take in feed.takes()]
    posts = [mask(feed.post_0) | mask(feed.post_1) for feed in feeds]
    assert bench.semaphores.posts == [post for post in posts if post]


def one_word(number: int, cols: int) -> Feed:
    return Feed(number, 1, 0, rows=1, cols=cols, words=1, source=number, source_pitch=1)


@pytest.mark.parametrize(("lanes", "steps", "latency"), [(16, 1, 1), (8, 2, 1), (4, 4, 1), (16, 1, 4)])
def test_one_word_commands_follow_each_other_without_a_pause(lanes: int, steps: int, latency: int) -> None:
    """128 of them, 16 elements of 16 bits each: as many cycles as writes, and the way of the last one."""
    bench = Bench(lanes=lanes, width=16, word_bytes=32, latency=latency)
    feeds = [one_word(n, 16) for n in range(128)]
    assert bench.run(feeds) <= 128 * steps + 7 + latency
    assert bench.writes == 128 * steps
    assert bench.banks == bench.expected(feeds)


def test_a_post_comes_when_the_last_write_can_be_read() -> None:
    """The write port is registered: the buffer holds the element in the cycle after the write, not before."""
    bench = Bench(lanes=2, width=8, word_bytes=4)
    dut = bench.dut
    seen: list[tuple[int, int]] = []

    async def both(ctx: Any) -> None:
        while not ctx.get(dut.semaphores.post):
            seen.append((ctx.get(dut.write.enable), 0))
            await ctx.tick()
        seen.append((ctx.get(dut.write.enable), 1))

    async def issue(ctx: Any) -> None:
        ctx.set(dut.semaphores.ok, 1)
        feed = Feed(0, 3, 0, rows=3, cols=5, words=2, source=0, source_pitch=2, post_0=4)
        await put(ctx, dut.command, [encode(Opcode.FEED_ACTIVATION, **vars(feed))])

    simulate(dut, issue, both, background=(bench.scratchpad.serve_reads(dut.read),), cycles=100)
    # The semaphore is up a cycle after the post, and so is the element.
    assert seen[-1] == (1, 1)


@pytest.mark.parametrize(
    ("feed", "name"),
    [
        (Feed(0, 1, 0, rows=2, cols=1, words=1, source=SCRATCHPAD - 1, source_pitch=1), "beyond"),
        (Feed(7, 1, 0, rows=1, cols=2, words=1, source=0, source_pitch=1), "buffer_beyond"),
        (Feed(5, 2, 0, rows=2, cols=3, words=1, source=0, source_pitch=1), "buffer_beyond"),
    ],
)
def test_what_lies_beyond_is_reported(feed: Feed, name: str) -> None:
    bench = Bench(lanes=2, width=8, word_bytes=4, depth=7)
    dut = bench.dut

    async def issue(ctx: Any) -> None:
        await put(ctx, dut.command, [encode(Opcode.FEED_ACTIVATION, **vars(feed))])
        await ctx.tick().until(getattr(dut, name))

    background = (
        bench.watch,
        bench.scratchpad.serve_reads(dut.read),
        bench.semaphores.serve(dut.semaphores),
    )
    simulate(dut, issue, background=background, cycles=100)
    assert all(address < 7 for _, address in bench.banks)
