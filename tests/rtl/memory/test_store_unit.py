"""Store unit: blocks of any shape from the scratchpad to memory, row by row behind those that write them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from chiplet.machine.specs import MemorySpec
from rtl.interface.isa import Opcode, encode
from rtl.memory.store_unit import StoreUnit
from tests.rtl.harness import PythonMemory, put, run_commands, simulate
from tests.rtl.scratchpads import BlockCopy, PythonScratchpad, PythonSemaphores, mask

DEPTH = 100


@dataclass(frozen=True)
class Store(BlockCopy):
    """A STORE command."""

    row_wait: int = 0

    def takes(self) -> list[int]:
        return [mask(self.wait_0, self.wait_1), *[mask(self.row_wait)] * self.rows * (self.row_wait > 0)]


def some_store(coin: Random, number: int) -> Store:
    rows, words = coin.choice((1, coin.randint(1, 7))), coin.choice((1, coin.randint(1, 5)))
    pitch = coin.choice((words, words + 3, 0))
    return Store(
        base=coin.randrange(DEPTH - max(pitch * rows, words) + 1),
        pitch=pitch,
        rows=rows,
        words=words,
        address=1000 * number + coin.randrange(100),
        memory_pitch=coin.choice((words, 50)),
        **{
            name: coin.choice((0, coin.randrange(64)))
            for name in ("wait_0", "wait_1", "post_0", "post_1", "row_wait")
        },
    )


class Bench:
    """A store unit between a scratchpad and a memory."""

    def __init__(
        self,
        *,
        word_bytes: int,
        stall: float = 0.0,
        chance: float = 1.0,
        busy: float = 0.0,
        latency: int = 1,
        seed: int = 1,
    ) -> None:
        memory = MemorySpec(word_bytes=word_bytes)
        self.dut = StoreUnit(memory=memory, depth=DEPTH, sram_latency=latency)
        self.coin = Random(seed)
        words = {address: self.coin.getrandbits(8 * word_bytes) for address in range(DEPTH)}
        self.scratchpad = PythonScratchpad(
            words, word_bytes=word_bytes, stall=busy, latency=latency, seed=seed
        )
        self.memory = PythonMemory({}, word_bytes=word_bytes, stall=stall, seed=seed)
        self.semaphores = PythonSemaphores(chance=chance, seed=seed)

    def run(self, stores: list[Store]) -> int:
        """Carry out ``stores``; return the cycles until the unit is idle again."""
        dut = self.dut
        commands = [encode(Opcode.STORE, **vars(store)) for store in stores]
        background = (
            self.memory.serve(dut.request),
            self.scratchpad.serve_reads(dut.read),
            self.semaphores.serve(dut.semaphores),
        )
        return run_commands(dut, commands, background=background)


@pytest.mark.parametrize(("word_bytes", "latency"), [(4, 1), (32, 1), (8, 3)])
@pytest.mark.parametrize(
    ("stall", "busy", "chance"), [(0.0, 0.0, 1.0), (0.5, 0.0, 0.5), (0.0, 0.5, 1.0), (0.3, 0.3, 0.3)]
)
def test_random_blocks(word_bytes: int, latency: int, stall: float, busy: float, chance: float) -> None:
    bench = Bench(
        word_bytes=word_bytes, stall=stall, busy=busy, chance=chance, latency=latency, seed=word_bytes
    )
    stores = [some_store(bench.coin, n) for n in range(15)]
    bench.run(stores)
    places = [pair for store in stores for pair in store.places()]
    assert bench.memory.words == {target: bench.scratchpad.words[source] for source, target in places}
    assert [request.address for request in bench.memory.requests] == [target for _, target in places]
    assert bench.scratchpad.reads == [source for source, _ in places]
    assert bench.semaphores.takes == [take for store in stores for take in store.takes()]
    posts = [mask(store.post_0) | mask(store.post_1) for store in stores]
    assert bench.semaphores.posts == [post for post in posts if post]


@pytest.mark.parametrize("latency", [1, 4])
def test_a_word_a_cycle_from_one_command_to_the_next(latency: int) -> None:
    bench = Bench(word_bytes=8, latency=latency)
    stores = [Store(4 * n, 1, rows=4, words=1, address=50 * n, memory_pitch=7) for n in range(20)]
    assert bench.run(stores) <= 80 + 7 + latency


def test_a_row_leaves_two_cycles_after_its_semaphore_is_up() -> None:
    """The word is read in the cycle in which the semaphore is up."""
    bench = Bench(word_bytes=8)
    dut = bench.dut

    async def issue(ctx: Any) -> None:
        ctx.set(dut.semaphores.ok, 1)
        ctx.set(dut.request.ready, 1)
        ctx.set(dut.read.ready, 1)
        store = Store(3, 1, rows=2, words=1, address=0, memory_pitch=1, row_wait=5)
        await put(ctx, dut.command, [encode(Opcode.STORE, **vars(store))])
        await ctx.tick().until(dut.semaphores.take)
        ctx.set(dut.semaphores.ok, 0)
        await ctx.tick().repeat(5)
        assert not ctx.get(dut.read.valid)
        ctx.set(dut.semaphores.ok, 1)
        assert ctx.get(dut.read.valid)
        assert ctx.get(dut.semaphores.take)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.request.valid)

    simulate(dut, issue, cycles=100)


def test_words_beyond_the_scratchpad_are_reported_and_not_read() -> None:
    bench = Bench(word_bytes=4)
    dut = bench.dut

    async def issue(ctx: Any) -> None:
        store = Store(DEPTH - 1, 2, rows=2, words=1, address=0, memory_pitch=1)
        await put(ctx, dut.command, [encode(Opcode.STORE, **vars(store))])
        await ctx.tick().until(dut.beyond)
        await ctx.tick().repeat(20)
        assert ctx.get(dut.beyond)

    background = (
        bench.memory.serve(dut.request),
        bench.scratchpad.serve_reads(dut.read),
        bench.semaphores.serve(dut.semaphores),
    )
    simulate(dut, issue, background=background, cycles=100)
    assert bench.scratchpad.reads == [DEPTH - 1]
