"""Store unit: panels at any place of a memory row, with an accumulator buffer and a memory that make it wait."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec
from rtl.interface.isa import SEMAPHORES, Opcode, encode
from rtl.memory.store_unit import StoreUnit
from tests.rtl.harness import PythonMemory, lanes, put, simulate

DEPTH = 64


@dataclass(frozen=True)
class Store:
    """A STORE command; ``slots`` panels of ``step`` rows are a ring in the accumulator buffer."""

    rows: int
    panels: int
    last_cols: int
    address: int
    memory_pitch: int
    slot: int = 0
    step: int = DEPTH
    slots: int = 1
    wait: int = 0
    post: int = 0
    panel_wait: int = 0
    panel_post: int = 0
    exchange: bool = False

    def bits(self) -> int:
        return encode(
            Opcode.STORE,
            rows=self.rows,
            panels=self.panels,
            last_cols=self.last_cols,
            address=self.address,
            memory_pitch=self.memory_pitch,
            base=self.slot * self.step,
            step=self.step,
            wrap=self.slots * self.step,
            wait=self.wait,
            post=self.post,
            panel_wait=self.panel_wait,
            panel_post=self.panel_post,
            exchange=int(self.exchange),
        )


class Bench:
    """A store unit between an accumulator buffer in Python and a memory."""

    def __init__(
        self,
        die: DieSpec,
        memory: MemorySpec,
        *,
        stall: float,
        wait: float,
        seed: int,
        exchange_depth: int | None = None,
    ) -> None:
        self.dut = StoreUnit(die=die, memory=memory, exchange_depth=exchange_depth)
        self.exchange = [
            Random(word).getrandbits(8 * memory.word_bytes) for word in range(exchange_depth or 0)
        ]
        self.cols, self.word_sums = die.cols, memory.word_bytes // 4
        self.coin = Random(seed)
        self.sums = [[self.coin.getrandbits(32) for _ in range(die.cols)] for _ in range(DEPTH)]
        background = {address: self.coin.getrandbits(8 * memory.word_bytes) for address in range(1 << 12)}
        self.expected = dict(background)
        self.memory = PythonMemory(background, word_bytes=memory.word_bytes, stall=stall, seed=seed)
        self.wait = wait
        self.takes: list[int] = []
        self.posts: list[tuple[int, int]] = []  # mask, writes that memory has taken
        self.words = 0

    def expect(self, store: Store) -> None:
        """Write the sums of ``store`` where they belong in a row-major matrix."""
        for panel in range(store.panels):
            if store.exchange:
                for word in range(store.rows):
                    place = store.address + panel * store.memory_pitch + word
                    self.expected[place] = self.exchange[store.slot * store.step + panel * store.step + word]
                continue
            slot = (store.slot + panel) % store.slots
            cols = store.last_cols if panel == store.panels - 1 else self.cols
            for row in range(store.rows):
                for c in range(cols):
                    place = panel * self.cols + c
                    address = store.address + row * store.memory_pitch + place // self.word_sums
                    shift = place % self.word_sums * 32
                    word = self.expected[address] & ~(0xFFFF_FFFF << shift)
                    self.expected[address] = word | self.sums[slot * store.step + row][c] << shift

    async def accumulate(self, ctx: Any) -> None:
        """Answer reads after one busy cycle or more; the address must hold all the time."""
        dut = self.dut
        reading: int | None = None
        while True:
            _, _, start, address = await ctx.tick().sample(dut.start, dut.address)
            assert reading is None or (not start and address == reading) or not ctx.get(dut.busy)
            if start:
                reading = address
                ctx.set(dut.busy, 1)
            elif reading is not None and self.coin.random() >= self.wait:
                ctx.set(dut.busy, 0)
                ctx.set(dut.sums, lanes(self.sums[reading], 32))
                reading = None

    async def give_words(self, ctx: Any) -> None:
        """Words of the exchange buffer, each for a cycle; the bank may be somebody else's."""
        dut = self.dut
        while True:
            ctx.set(dut.exchange.ready, self.coin.random() >= self.wait)
            sampled = await ctx.tick().sample(dut.exchange.valid, dut.exchange.ready, dut.exchange.address)
            valid, ready, address = sampled[2:]
            other = self.coin.getrandbits(len(dut.exchange.data))
            ctx.set(dut.exchange.data, self.exchange[address] if valid and ready else other)

    async def watch(self, ctx: Any) -> None:
        dut = self.dut
        while True:
            ctx.set(dut.semaphores.ok, self.coin.random() < 0.4)
            _, _, ok, take, needs, post, words = await ctx.tick().sample(
                dut.semaphores.ok, dut.semaphores.take, dut.semaphores.wait, dut.semaphores.post, dut.words
            )
            assert ok or not take
            if take:
                self.takes.append(needs)
            self.words += words
            if post:
                self.posts.append((post, self.words))

    def run(self, stores: list[Store], *, cycles: int = 50_000) -> int:
        """Carry out ``stores``. Returns the cycles until the last word is gone."""
        dut = self.dut
        panels = sum(store.panels for store in stores)
        ended = 0

        async def issue(ctx: Any) -> None:
            await put(ctx, dut.command, [store.bits() for store in stores], chance=0.7)

        async def wait(ctx: Any) -> None:
            nonlocal ended
            while len(self.takes) < panels or not ctx.get(dut.idle):
                await ctx.tick()
                ended += 1

        serve = self.memory.serve(dut.request)
        background = [self.accumulate, self.watch, serve]
        if self.exchange:
            background.append(self.give_words)
        simulate(dut, issue, wait, background=background, cycles=cycles)
        return ended


def some_stores(coin: Random, count: int, *, cols: int) -> list[Store]:
    stores = []
    for _ in range(count):
        rows = coin.randint(1, 7)
        step = coin.randint(rows, 9)
        slots = coin.randint(1, DEPTH // step)
        panels = coin.randint(1, 5)
        pitch = panels * cols + coin.randrange(3)  # in words: more than enough
        address = coin.randrange(4000 - rows * pitch)
        stores.append(
            Store(
                rows,
                panels,
                coin.randint(1, cols),
                address,
                pitch,
                slot=coin.randrange(slots),
                step=step,
                slots=slots,
                wait=coin.getrandbits(SEMAPHORES),
                post=coin.getrandbits(SEMAPHORES),
                panel_wait=coin.getrandbits(SEMAPHORES),
                panel_post=coin.getrandbits(SEMAPHORES),
            )
        )
    return stores


def make(cols: int, word_bytes: int, *, stall: float, wait: float) -> Bench:
    die = DieSpec(rows=1, cols=cols, dtype="int8", accumulator_bytes=DEPTH * cols * 4)
    return Bench(die, MemorySpec(word_bytes=word_bytes), stall=stall, wait=wait, seed=cols * 10 + word_bytes)


@pytest.mark.parametrize(
    ("cols", "word_bytes"),
    [(1, 4), (1, 32), (3, 4), (3, 8), (3, 16), (4, 16), (5, 8), (7, 32), (8, 256), (16, 8)],
)
@pytest.mark.parametrize(("stall", "wait"), [(0.0, 0.0), (0.5, 0.3)])
def test_random_panels(cols: int, word_bytes: int, stall: float, wait: float) -> None:
    bench = make(cols, word_bytes, stall=stall, wait=wait)
    stores = some_stores(bench.coin, 6, cols=cols)
    bench.run(stores)
    for store in stores:
        bench.expect(store)
    assert bench.memory.words == bench.expected
    assert all(request.write and request.strobe for request in bench.memory.requests)
    assert bench.words == len(bench.memory.requests)
    panels = [(store, panel) for store in stores for panel in range(store.panels)]
    assert bench.takes == [store.panel_wait | store.wait * (panel == 0) for store, panel in panels]
    posts = [store.panel_post | store.post * (panel == store.panels - 1) for store, panel in panels]
    # A panel posts when its last word is handed over, not before.
    written = 0
    expected = []
    for (store, panel), mask in zip(panels, posts, strict=True):
        cols_here = store.last_cols if panel == store.panels - 1 else cols
        first = panel * cols // bench.word_sums
        written += store.rows * ((panel * cols + cols_here - 1) // bench.word_sums - first + 1)
        if mask:
            expected.append((mask, written))
    assert bench.posts == expected


@pytest.mark.parametrize(("cols", "word_bytes"), [(1, 4), (1, 32), (3, 8), (7, 32), (16, 8)])
@pytest.mark.parametrize(("stall", "wait"), [(0.0, 0.0), (0.5, 0.3)])
def test_rows_of_the_exchange_buffer_between_panels(
    cols: int, word_bytes: int, stall: float, wait: float
) -> None:
    die = DieSpec(rows=1, cols=cols, dtype="int8", accumulator_bytes=DEPTH * cols * 4)
    memory = MemorySpec(word_bytes=word_bytes)
    bench = Bench(die, memory, stall=stall, wait=wait, seed=cols, exchange_depth=DEPTH)
    stores = [
        replace(store, exchange=True, panels=min(store.panels, store.slots - store.slot))
        if number % 3 != 1
        else store
        for number, store in enumerate(some_stores(bench.coin, 8, cols=cols))
    ]
    stores = [replace(store, memory_pitch=max(store.memory_pitch, store.rows)) for store in stores]
    bench.run(stores)
    for store in stores:
        bench.expect(store)
    assert bench.memory.words == bench.expected
    assert bench.words == len(bench.memory.requests)
    panels = [(store, panel) for store in stores for panel in range(store.panels)]
    assert bench.takes == [store.panel_wait | store.wait * (panel == 0) for store, panel in panels]
    posts = [store.panel_post | store.post * (panel == store.panels - 1) for store, panel in panels]
    assert [mask for mask, _ in bench.posts] == [mask for mask in posts if mask]


def test_a_word_of_the_exchange_buffer_every_other_cycle() -> None:
    die = DieSpec(rows=1, cols=2, dtype="int8", accumulator_bytes=DEPTH * 8)
    bench = Bench(die, MemorySpec(word_bytes=8), stall=0.0, wait=0.0, seed=1, exchange_depth=DEPTH)
    assert bench.run([Store(60, 1, 1, 0, 8, exchange=True)]) <= 60 * 2 + 20


@pytest.mark.parametrize(("cols", "word_bytes", "row_cycles"), [(8, 32, 2), (8, 16, 2), (8, 8, 4), (3, 4, 3)])
def test_a_word_a_cycle_and_a_row_every_other(cols: int, word_bytes: int, row_cycles: int) -> None:
    bench = make(cols, word_bytes, stall=0.0, wait=0.0)
    rows = 50
    store = Store(rows, 1, cols, 0, 8)
    assert bench.run([store]) <= rows * row_cycles + 20
