"""Load unit: blocks of any shape out of a memory of any width, against the layout of the operand buffers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from chiplet.machine.specs import DieSpec, Dtype, MemorySpec
from rtl.interface.isa import SEMAPHORES, Opcode, Target, encode
from rtl.memory.load_unit import LoadUnit
from tests.rtl.harness import PythonMemory, put, signal, simulate, unpack

DEPTH = 256
WRITE_PORT = ("address", "next", "rotate", "split", "count", "data")


@dataclass(frozen=True)
class Load:
    """A LOAD command."""

    target: Target
    base: int
    rows: int
    cols: int
    address: int
    memory_pitch: int
    wait: int = 0
    post: int = 0
    exchange_pitch: int | None = None

    def bits(self, word_elements: int) -> int:
        return encode(
            Opcode.LOAD,
            target=self.target,
            base=self.base,
            pitch=self.rows if self.exchange_pitch is None else self.exchange_pitch,
            exchange=int(self.exchange_pitch is not None),
            rows=self.rows,
            cols=self.cols,
            words=-(-self.cols // word_elements),
            address=self.address,
            memory_pitch=self.memory_pitch,
            wait=self.wait,
            post=self.post,
        )


def some_loads(coin: Random, count: int, *, lanes: tuple[int, int], word_elements: int) -> list[Load]:
    loads = []
    for _ in range(count):
        target = coin.choice(tuple(Target))
        rows, cols = (
            coin.randint(1, 9),
            coin.choice((1, coin.randint(1, 40), word_elements, 2 * lanes[target])),
        )
        size = -(-cols // lanes[target]) * rows
        loads.append(
            Load(
                target,
                base=coin.randrange(DEPTH - size),
                rows=rows,
                cols=cols,
                address=coin.randrange(1 << 12),
                memory_pitch=coin.choice((-(-cols // word_elements), 50, 0)),
                wait=coin.getrandbits(SEMAPHORES),
                post=coin.getrandbits(SEMAPHORES),
            )
        )
    return loads


class Bench:
    """A load unit with its memory, and the banks that it writes."""

    def __init__(
        self,
        die: DieSpec,
        memory: MemorySpec,
        *,
        stall: float,
        latency: int,
        seed: int,
        exchange_depth: int | None = None,
    ) -> None:
        self.dut = LoadUnit(die=die, memory=memory, exchange_depth=exchange_depth)
        self.stall = stall
        self.exchange: dict[int, int] = {}
        self.expected_exchange: dict[int, int] = {}
        self.die = die
        self.lanes = (die.rows, die.cols)
        self.word_elements = 8 * memory.word_bytes // die.element_bits
        coin = Random(seed)
        words = {address: coin.getrandbits(8 * memory.word_bytes) for address in range(1 << 13)}
        self.memory = PythonMemory(
            words, word_bytes=memory.word_bytes, stall=stall, latency=latency, seed=seed
        )
        self.banks: tuple[dict[tuple[int, int], int], ...] = ({}, {})
        self.expected: tuple[dict[tuple[int, int], int], ...] = ({}, {})
        self.coin = coin
        self.posts: list[int] = []
        self.takes: list[int] = []
        self.words = 0

    def expect(self, load: Load) -> None:
        """Put the block of ``load`` where the operand buffer wants it."""
        lanes = self.lanes[load.target]
        for i in range(load.rows):
            if load.exchange_pitch is not None:
                for w in range(-(-load.cols // self.word_elements)):
                    place = load.base + i * load.exchange_pitch + w
                    self.expected_exchange[place] = self.memory.words[
                        load.address + i * load.memory_pitch + w
                    ]
                continue
            for j in range(load.cols):
                word = self.memory.words[load.address + i * load.memory_pitch + j // self.word_elements]
                element = unpack(word, self.word_elements, self.die.element_bits)[j % self.word_elements]
                self.expected[load.target][(i + j) % lanes, load.base + j // lanes * load.rows + i] = element

    async def watch(self, ctx: Any) -> None:
        """Write the banks, and give semaphores at random."""
        dut = self.dut
        ports = [
            signal(dut, f"{name}_{part}")
            for name in ("activation", "weight")
            for part in ("enable", *WRITE_PORT)
        ]
        while True:
            ctx.set(dut.semaphores.ok, self.coin.random() < 0.5)
            _, _, ok, take, needs, words, post, *writes = await ctx.tick().sample(
                dut.semaphores.ok,
                dut.semaphores.take,
                dut.semaphores.wait,
                dut.words,
                dut.semaphores.post,
                *ports,
            )
            assert ok or not take
            if take:
                self.takes.append(needs)
            self.words += words
            if post:
                self.posts.append(post)
            half = len(writes) // 2
            for target, (enable, *port) in enumerate((writes[:half], writes[half:])):
                if enable:
                    self._write(target, dict(zip(WRITE_PORT, port, strict=True)))

    def _write(self, target: int, port: dict[str, int]) -> None:
        lanes = self.lanes[target]
        assert 1 <= port["count"] <= lanes
        for e, element in enumerate(unpack(port["data"], port["count"], self.die.element_bits)):
            address = port["address"] if e < port["split"] else port["next"]
            self.banks[target][(port["rotate"] + e) % lanes, address] = element

    async def take_words(self, ctx: Any) -> None:
        """Take words for the exchange buffer when its bank has a turn."""
        dut = self.dut
        while True:
            ctx.set(dut.exchange.ready, self.coin.random() >= self.stall)
            sampled = await ctx.tick().sample(
                *(dut.exchange.valid, dut.exchange.ready, dut.exchange.address, dut.exchange.strobe),
                dut.exchange.data,
            )
            valid, ready, address, strobe, word = sampled[2:]
            if valid and ready:
                assert strobe == (1 << len(dut.exchange.strobe)) - 1
                self.exchange[address] = word

    def run(self, loads: list[Load], *, cycles: int = 100_000) -> int:
        """Carry out ``loads``. Returns the cycles until the last is in the buffer."""
        dut = self.dut
        ended = 0

        async def issue(ctx: Any) -> None:
            await put(ctx, dut.command, [load.bits(self.word_elements) for load in loads], chance=0.7)

        async def wait(ctx: Any) -> None:
            nonlocal ended
            await ctx.tick()
            cycle = 1
            while len(self.takes) < len(loads) or not ctx.get(dut.idle):
                await ctx.tick()
                cycle += 1
            ended = cycle

        serve = self.memory.serve(dut.request, dut.response, tagged=False)
        background = [self.watch, serve]
        if hasattr(dut, "exchange"):
            background.append(self.take_words)
        simulate(dut, issue, wait, background=background, cycles=cycles)
        return ended


def small_die(rows: int, cols: int, dtype: Dtype) -> DieSpec:
    """A die whose operand buffers have ``DEPTH`` words."""
    element = 1 if dtype == "int8" else 2
    return DieSpec(
        rows=rows,
        cols=cols,
        dtype=dtype,
        activation_bytes=DEPTH * rows * element,
        weight_bytes=DEPTH * cols * element,
    )


CASES: list[tuple[int, int, Dtype, int]] = [
    (1, 1, "int8", 4),
    (1, 3, "bf16", 32),
    (3, 1, "int8", 8),
    (5, 3, "int8", 4),
    (5, 3, "bf16", 4),
    (4, 4, "bf16", 16),
    (2, 8, "int8", 64),
    (13, 7, "int8", 8),
]


@pytest.mark.parametrize(("rows", "cols", "dtype", "word_bytes"), CASES)
@pytest.mark.parametrize(("stall", "latency", "outstanding"), [(0.0, 2, 32), (0.4, 7, 3), (0.2, 30, 1)])
def test_random_blocks(
    rows: int, cols: int, dtype: Dtype, word_bytes: int, stall: float, latency: int, outstanding: int
) -> None:
    die = small_die(rows, cols, dtype)
    memory = MemorySpec(word_bytes=word_bytes, outstanding=outstanding)
    bench = Bench(die, memory, stall=stall, latency=latency, seed=rows * 10 + cols)
    loads = some_loads(bench.coin, 8, lanes=bench.lanes, word_elements=bench.word_elements)
    bench.run(loads)
    for load in loads:
        bench.expect(load)
    assert bench.banks == bench.expected
    asked = [
        load.address + i * load.memory_pitch + word
        for load in loads
        for i in range(load.rows)
        for word in range(-(-load.cols // bench.word_elements))
    ]
    assert [request.address for request in bench.memory.requests] == asked
    assert not any(request.write or request.tag for request in bench.memory.requests)
    assert bench.words == len(asked)
    assert bench.memory.most_in_flight <= outstanding
    assert bench.takes == [load.wait for load in loads]
    assert bench.posts == [load.post for load in loads if load.post]


@pytest.mark.parametrize(("rows", "cols", "dtype", "word_bytes"), CASES)
@pytest.mark.parametrize(("stall", "latency", "outstanding"), [(0.0, 2, 32), (0.4, 7, 3)])
def test_words_for_the_exchange_buffer_between_blocks_for_the_operand_buffers(
    rows: int, cols: int, dtype: Dtype, word_bytes: int, stall: float, latency: int, outstanding: int
) -> None:
    die = small_die(rows, cols, dtype)
    memory = MemorySpec(word_bytes=word_bytes, outstanding=outstanding)
    bench = Bench(die, memory, stall=stall, latency=latency, seed=rows + cols, exchange_depth=DEPTH)
    coin = bench.coin
    loads = []
    for load in some_loads(coin, 12, lanes=bench.lanes, word_elements=bench.word_elements):
        words = -(-load.cols // bench.word_elements)
        if coin.random() < 0.6 and load.rows * (words + 1) < DEPTH:
            pitch = coin.choice((words, words + 1))
            load = replace(load, base=coin.randrange(DEPTH - load.rows * pitch), exchange_pitch=pitch)
        loads.append(load)
    bench.run(loads)
    for load in loads:
        bench.expect(load)
    assert bench.banks == bench.expected
    assert bench.exchange == bench.expected_exchange != {}
    assert bench.words == len(bench.memory.requests)
    assert bench.takes == [load.wait for load in loads]
    assert bench.posts == [load.post for load in loads if load.post]


def test_words_for_the_exchange_buffer_come_every_cycle_and_are_there_at_the_post() -> None:
    die = DieSpec(rows=2, cols=2, dtype="int8", activation_bytes=2 * DEPTH, weight_bytes=2 * DEPTH)
    memory = MemorySpec(word_bytes=8, outstanding=16)
    bench = Bench(die, memory, stall=0.0, latency=10, seed=1, exchange_depth=DEPTH)
    load = Load(Target.ACTIVATION, 0, rows=8, cols=64, address=0, memory_pitch=8, post=1, exchange_pitch=8)
    assert bench.run([load]) < 64 + 25
    bench.expect(load)
    assert bench.exchange == bench.expected_exchange


def test_a_word_a_cycle_with_enough_reads_in_flight() -> None:
    die = DieSpec(rows=8, cols=8, dtype="int8", activation_bytes=8 * DEPTH, weight_bytes=8 * DEPTH)
    memory = MemorySpec(word_bytes=8, outstanding=16)
    bench = Bench(die, memory, stall=0.0, latency=10, seed=1)
    assert bench.run([Load(Target.WEIGHT, 0, rows=64, cols=24, address=0, memory_pitch=3)]) < 64 * 3 + 25
    assert 10 <= bench.memory.most_in_flight <= 16


def test_as_many_reads_in_flight_as_allowed() -> None:
    die = DieSpec(rows=8, cols=8, dtype="int8", activation_bytes=8 * DEPTH, weight_bytes=8 * DEPTH)
    bench = Bench(die, MemorySpec(word_bytes=8, outstanding=5), stall=0.0, latency=40, seed=1)
    bench.run([Load(Target.ACTIVATION, 0, rows=20, cols=8, address=0, memory_pitch=1)])
    assert bench.memory.most_in_flight == 5


def test_a_post_comes_when_the_last_write_can_be_read() -> None:
    """The write port is registered: the buffer holds the element in the cycle after the write, not before."""
    die = DieSpec(rows=2, cols=2, dtype="int8", activation_bytes=2 * DEPTH, weight_bytes=2 * DEPTH)
    bench = Bench(die, MemorySpec(word_bytes=4), stall=0.0, latency=2, seed=1)
    dut = bench.dut
    seen: list[tuple[int, int]] = []

    async def both(ctx: Any) -> None:
        while not ctx.get(dut.semaphores.post):
            seen.append((ctx.get(dut.activation.enable), 0))
            await ctx.tick()
        seen.append((ctx.get(dut.activation.enable), 1))

    async def issue(ctx: Any) -> None:
        ctx.set(dut.semaphores.ok, 1)
        load = Load(Target.ACTIVATION, 0, rows=3, cols=5, address=0, memory_pitch=2, post=4)
        await put(ctx, dut.command, [load.bits(4)])

    serve = bench.memory.serve(dut.request, dut.response, tagged=False)
    simulate(dut, issue, both, background=(serve,), cycles=100)
    # The semaphore is up a cycle after the post, and so is the element.
    assert seen[-1] == (1, 1)
