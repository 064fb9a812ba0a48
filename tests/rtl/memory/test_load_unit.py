"""Load unit: blocks of any shape out of memory, the order of requests, and when rows and commands are posted."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from chiplet.machine.specs import MemorySpec
from rtl.interface.isa import Opcode, encode
from rtl.memory.load_unit import LoadUnit
from tests.rtl.harness import PythonMemory, put, run_commands, simulate
from tests.rtl.scratchpads import BlockCopy, PythonScratchpad, PythonSemaphores, mask

DEPTH = 100


@dataclass(frozen=True)
class Load(BlockCopy):
    """A LOAD command."""

    row_post: int = 0

    def posts(self) -> list[int]:
        rows = [mask(self.row_post)] * (self.rows - 1)
        rows.append(mask(self.row_post) | mask(self.post_0) | mask(self.post_1))
        return [post for post in rows if post]


def some_load(coin: Random) -> Load:
    rows, words = coin.choice((1, coin.randint(1, 7))), coin.choice((1, coin.randint(1, 5)))
    pitch = coin.choice((words, words + 3))
    return Load(
        base=coin.randrange(DEPTH - pitch * rows + 1),
        pitch=pitch,
        rows=rows,
        words=words,
        address=coin.randrange(1 << 12),
        memory_pitch=coin.choice((words, 50, 0)),
        **{
            name: coin.choice((0, coin.randrange(64)))
            for name in ("wait_0", "wait_1", "post_0", "post_1", "row_post")
        },
    )


class Bench:
    """A load unit between a memory and a scratchpad."""

    def __init__(
        self, memory: MemorySpec, *, stall: float = 0.0, latency: int = 2, chance: float = 1.0, seed: int = 1
    ) -> None:
        self.dut = LoadUnit(memory=memory, depth=DEPTH)
        self.coin = Random(seed)
        word = memory.word_bytes
        words = {address: self.coin.getrandbits(8 * word) for address in range(1 << 13)}
        self.memory = PythonMemory(words, word_bytes=word, stall=stall, latency=latency, seed=seed)
        self.scratchpad = PythonScratchpad({}, word_bytes=word, stall=stall, seed=seed)
        self.semaphores = PythonSemaphores(chance=chance, seed=seed)

    def run(self, loads: list[Load]) -> int:
        """Carry out ``loads``; return the cycles from the first one until the unit is idle again."""
        dut = self.dut
        commands = [encode(Opcode.LOAD, **vars(load)) for load in loads]
        background = (
            self.memory.serve(dut.request, dut.response, tagged=False),
            self.scratchpad.serve_writes(dut.write),
            self.semaphores.serve(dut.semaphores),
        )
        return run_commands(dut, commands, background=background)


@pytest.mark.parametrize("word_bytes", [4, 32])
@pytest.mark.parametrize(
    ("stall", "latency", "outstanding", "chance"), [(0.0, 2, 32, 1.0), (0.4, 7, 3, 0.5), (0.2, 30, 1, 1.0)]
)
def test_random_blocks(word_bytes: int, stall: float, latency: int, outstanding: int, chance: float) -> None:
    memory = MemorySpec(word_bytes=word_bytes, outstanding=outstanding)
    bench = Bench(memory, stall=stall, latency=latency, chance=chance, seed=outstanding)
    loads = [some_load(bench.coin) for _ in range(15)]
    bench.run(loads)
    expected: dict[int, int] = {}
    for load in loads:
        expected |= {place: bench.memory.words[source] for place, source in load.places()}
    assert bench.scratchpad.words == expected
    requests = bench.memory.requests
    assert [request.address for request in requests] == [
        source for load in loads for _, source in load.places()
    ]
    assert not any(request.write or request.tag for request in requests)
    assert bench.memory.most_in_flight <= outstanding
    assert bench.semaphores.takes == [mask(load.wait_0) | mask(load.wait_1) for load in loads]
    assert bench.semaphores.posts == [post for load in loads for post in load.posts()]


def test_a_word_a_cycle_from_one_command_to_the_next() -> None:
    bench = Bench(MemorySpec(word_bytes=8, outstanding=32), latency=12)
    loads = [Load(4 * n, 1, rows=4, words=1, address=50 * n, memory_pitch=7) for n in range(20)]
    assert bench.run(loads) <= 80 + 12 + 6
    assert bench.memory.most_in_flight <= 32


def test_as_many_reads_in_flight_as_allowed() -> None:
    bench = Bench(MemorySpec(word_bytes=8, outstanding=5), latency=40)
    bench.run([Load(0, 8, rows=2, words=8, address=0, memory_pitch=8)])
    assert bench.memory.most_in_flight == 5


def test_words_beyond_the_scratchpad_are_reported_and_not_written() -> None:
    bench = Bench(MemorySpec(word_bytes=4))
    dut = bench.dut

    async def issue(ctx: Any) -> None:
        load = Load(DEPTH - 1, 2, rows=2, words=1, address=0, memory_pitch=1)
        await put(ctx, dut.command, [encode(Opcode.LOAD, **vars(load))])
        await ctx.tick().until(dut.beyond)
        await ctx.tick().repeat(20)
        assert ctx.get(dut.beyond)

    background = (
        bench.memory.serve(dut.request, dut.response, tagged=False),
        bench.scratchpad.serve_writes(dut.write),
        bench.semaphores.serve(dut.semaphores),
    )
    simulate(dut, issue, background=background, cycles=100)
    assert set(bench.scratchpad.words) == {DEPTH - 1}
