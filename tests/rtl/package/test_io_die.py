# amaranth: UnusedElaboratable=no
"""A row of dies and its IO die: every die sees its own requests in order, whatever the memory does."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import connect

from chiplet.machine.memory_plane import memory_plane
from chiplet.machine.queue_depths import COMMAND_READS
from chiplet.machine.specs import MemorySpec, NopSpec, SystemSpec
from nop.topology import Mesh
from rtl.block import place
from rtl.interface.axi import address_bits
from rtl.interface.flit import RouterPort
from rtl.interface.memory_port import request_layout, response_layout
from rtl.network.router import Router
from rtl.package.io_die import WRITES_IN_FLIGHT, IoDie
from rtl.package.memory_plane import MemoryPlanePort
from tests.rtl.axi_memory import AxiMemory
from tests.rtl.harness import put, receive, simulate

ROW = 2


class Row:
    """``dies`` memory-plane ports on routers, and an IO die at the western end."""

    def __init__(self, dies: int, nop: NopSpec, memory: MemorySpec) -> None:
        self.io_die = IoDie(nop=nop, memory=memory, link=None)
        self.ports = [MemoryPlanePort(nop=nop, memory=memory) for _ in range(dies)]
        routers = [Router(nop=nop) for _ in range(dies)]
        self.module = m = Module()
        place(m, None, "io_die", self.io_die)
        m.d.comb += self.io_die.line.eq(ROW)
        for number, (port, router) in enumerate(zip(self.ports, routers, strict=True)):
            place(m, None, f"port_{number}", port)
            place(m, None, f"router_{number}", router)
            for block in (port, router):
                m.d.comb += [block.row.eq(ROW), block.col.eq(number + 1)]
            m.d.comb += port.io_row.eq(ROW)
            connect(m, port.o, router.i[RouterPort.LOCAL])
            connect(m, router.o[RouterPort.LOCAL], port.i)
            if number:
                west = routers[number - 1]
                connect(m, router.o[RouterPort.WEST], west.i[RouterPort.EAST])
                connect(m, west.o[RouterPort.EAST], router.i[RouterPort.WEST])
        connect(m, routers[0].o[RouterPort.WEST], self.io_die.mem.rx)
        connect(m, self.io_die.mem.tx, routers[0].i[RouterPort.WEST])


class Die:
    """What stands for a die: random reads and writes of a few words that no other die uses."""

    def __init__(self, number: int, port: Any, memory: MemorySpec, *, requests: int, chance: float) -> None:
        self.port, self.chance, self.coin = port, chance, Random(number)
        self._word_bytes = memory.word_bytes
        self._requests = request_layout(memory.word_bytes)
        self._responses = response_layout(memory.word_bytes)
        self._first, self._count = number * 16, requests
        self.words: dict[int, int] = {}
        self.expected: list[tuple[int, int, int]] = []
        self.received = 0

    async def ask(self, ctx: Any) -> None:
        ctx.set(self.port.memory.request.valid, 0)
        for _ in range(self._count):
            address = self._first + self.coin.randrange(4)
            if self.coin.random() < 0.5:
                # A word is written when those who read it before have it: so are programs ordered.
                while address in [place for place, _, _ in self.expected[self.received :]]:
                    await ctx.tick()
                data = self.coin.getrandbits(8 * self._word_bytes)
                strobe = self.coin.getrandbits(self._word_bytes // 4)
                mask = sum(0xFFFF_FFFF << 32 * n for n in range(self._word_bytes // 4) if strobe >> n & 1)
                self.words[address] = self.words.get(address, 0) & ~mask | data & mask
                fields = {"write": 1, "address": address, "data": data, "strobe": strobe}
            else:
                tag = self.coin.getrandbits(1)
                self.expected.append((address, tag, self.words.get(address, 0)))
                fields = {"write": 0, "address": address, "tag": tag}
            await put(
                ctx, self.port.memory.request, [self._requests.const(fields).as_bits()], chance=self.chance
            )
        while not ctx.get(self.port.idle) or self.received < len(self.expected):
            await ctx.tick()

    async def take(self, ctx: Any) -> None:
        while True:
            word = self._responses.from_bits(
                await receive(ctx, self.port.memory.response, chance=self.chance, seed=self.received)
            )
            assert (word.tag, word.data) == self.expected[self.received][1:]
            self.received += 1


def run_row(
    dies: int, nop: NopSpec, memory: MemorySpec, *, stall: float, chance: float, requests: int = 40
) -> tuple[Row, AxiMemory]:
    row = Row(dies, nop, memory)
    subordinate = AxiMemory({}, memory=memory, stall=stall, seed=dies)
    ports = [
        Die(number, port, memory, requests=requests, chance=chance) for number, port in enumerate(row.ports)
    ]

    simulate(
        row.module,
        *(die.ask for die in ports),
        background=[subordinate.serve(row.io_die), *(die.take for die in ports)],
    )
    for die in ports:
        assert {place: word for place, word in die.words.items() if word} == {
            place: word
            for place, word in subordinate.words.items()
            if die._first <= place < die._first + 16 and word
        }
    return row, subordinate


FREE, STALLED = (0.0, 1.0), (0.7, 0.6)


@pytest.mark.parametrize(
    ("flit_bits", "coordinate_bits", "word_bytes", "stall", "chance"),
    [
        (16, 3, 4, *STALLED),
        (33, 3, 8, *FREE),
        (33, 3, 8, *STALLED),
        (300, 4, 32, *FREE),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (16, 3, 4, *FREE),
                (64, 6, 32, *FREE),
                (64, 6, 32, *STALLED),
                (256, 3, 32, *FREE),
                (256, 3, 32, *STALLED),
                (300, 4, 32, *STALLED),
                (96, 8, 128, *FREE),
                (96, 8, 128, *STALLED),
            )
        ),
    ],
)
def test_every_die_sees_its_requests_in_order(
    flit_bits: int, coordinate_bits: int, word_bytes: int, stall: float, chance: float
) -> None:
    nop = NopSpec(flit_bits=flit_bits, coordinate_bits=coordinate_bits, buffer_flits=1)
    run_row(3, nop, MemorySpec(word_bytes=word_bytes, outstanding=4), stall=stall, chance=chance)


def test_writes_wait_for_room_and_memory_may_serve_dies_in_any_order() -> None:
    memory = MemorySpec(word_bytes=4, outstanding=32)
    nop = NopSpec(flit_bits=80, coordinate_bits=3)
    _, subordinate = run_row(4, nop, memory, stall=0.9, chance=1.0)
    assert subordinate.reordered
    assert subordinate.most_writes <= WRITES_IN_FLIGHT


@pytest.mark.parametrize("write", [0, 1])
def test_a_port_has_so_many_requests_without_answer(write: int) -> None:
    memory = MemorySpec(word_bytes=4, outstanding=3)
    dut = MemoryPlanePort(nop=NopSpec(), memory=memory)

    async def bench(ctx: Any) -> None:
        fields = {"write": write, "strobe": 1}
        ctx.set(dut.memory.request.valid, 1)
        ctx.set(dut.memory.request.payload, request_layout(4).const(fields).as_bits())
        ctx.set(dut.o.ready, 1)
        taken = 0
        for _ in range(60):
            taken += ctx.get(dut.memory.request.ready)
            await ctx.tick()
        assert taken == 3 + COMMAND_READS
        assert ctx.get(dut.idle) == (not write)

    simulate(dut, bench)


def test_a_read_flit_and_a_word_of_flits_follow_each_other_without_gaps() -> None:
    """Reads pass at one in each ``word / flit`` cycles: the answers fill the row."""
    memory = MemorySpec(word_bytes=32, outstanding=32)
    row = Row(1, NopSpec(flit_bits=64), memory)
    subordinate = AxiMemory({}, memory=memory)
    reads = 100

    async def ask(ctx: Any) -> None:
        await put(
            ctx,
            row.ports[0].memory.request,
            [request_layout(32).const({"address": n}).as_bits() for n in range(reads)],
        )

    async def take(ctx: Any) -> None:
        for _ in range(reads):
            await receive(ctx, row.ports[0].memory.response)

    simulate(row.module, ask, take, background=[subordinate.serve(row.io_die)], cycles=4 * reads + 20)


def test_the_die_that_asked_is_told_what_memory_refuses() -> None:
    """Once, and the refused request is over like any other; other dies notice nothing."""
    memory = MemorySpec(word_bytes=8)
    row = Row(2, NopSpec(), memory)
    words = {address: (1 << 64) - address for address in range(8)}
    faulty, missing = 5, 7
    subordinate = AxiMemory(words, memory=memory, refused={faulty * 8: 2, missing * 8: 3})
    port = row.ports[1]
    told: list[str] = []

    async def watch(ctx: Any) -> None:
        while True:
            await ctx.tick()
            for number, refused in enumerate(one.refused for one in row.ports):
                names = refused.signature.members
                told.extend(f"{number} {name}" for name in names if ctx.get(getattr(refused, name)))

    async def bench(ctx: Any) -> None:
        for unit in ("fetch", "load", "store"):
            for address in (4, faulty, 6, missing, 3):
                write = unit == "store"
                fields = {"write": write, "address": address, "strobe": 3, "tag": unit == "fetch"}
                await put(ctx, port.memory.request, [request_layout(8).const(fields).as_bits()])
                if write:
                    while not ctx.get(port.idle):
                        await ctx.tick()
                else:
                    word = response_layout(8).from_bits(await receive(ctx, port.memory.response))
                    assert address in (faulty, missing) or word.data == words[address]
            assert told == [f"1 {unit}_faulty", f"1 {unit}_missing"]
            told.clear()
        assert not ctx.get(row.io_die.error)

    simulate(row.module, bench, background=[subordinate.serve(row.io_die), watch])


def test_reads_become_bursts_while_they_wait_for_the_link() -> None:
    """The first one goes alone; those of two dies become bursts of each, which end where 4 KiB end."""
    memory = MemorySpec(word_bytes=32, outstanding=32)
    row = Row(2, NopSpec(flit_bits=64), memory)
    first, reads = 4096 // 32 - 6, 60
    words = {address: address + 1 for address in range(1000)}
    subordinate = AxiMemory(words, memory=memory, latency=20)

    def ask(number: int) -> Any:
        async def bench(ctx: Any) -> None:
            requests = [{"address": number * 500 + first + n} for n in range(reads)]
            await put(
                ctx,
                row.ports[number].memory.request,
                [request_layout(32).const(fields).as_bits() for fields in requests],
            )

        return bench

    def take(number: int) -> Any:
        async def bench(ctx: Any) -> None:
            for n in range(reads):
                word = response_layout(32).from_bits(await receive(ctx, row.ports[number].memory.response))
                assert word.data == number * 500 + first + n + 1

        return bench

    simulate(
        row.module,
        *(bench(number) for number in range(2) for bench in (ask, take)),
        background=[subordinate.serve(row.io_die)],
        cycles=4 * 2 * reads + 20 + 20,
    )
    assert subordinate.bursts[0] == 1
    assert sum(subordinate.bursts) == 2 * reads
    assert len(subordinate.bursts) < reads // 2


@pytest.mark.parametrize("latency", [1, 7])
def test_a_lone_read_waits_for_nothing(latency: int) -> None:
    """Cycles from the request at a die to its word: none more than the stages and flits on the way."""
    memory = MemorySpec(word_bytes=32)
    plane = memory_plane(SystemSpec(memory=memory, nop=NopSpec(flit_bits=64)), Mesh(1, 1), direct=True)
    row = Row(1, NopSpec(flit_bits=64), memory)
    subordinate = AxiMemory({3: 4}, memory=memory, latency=latency)
    cycles = 0

    async def bench(ctx: Any) -> None:
        nonlocal cycles
        for _ in range(3):
            await ctx.tick().repeat(20)
            start = cycles
            await put(ctx, row.ports[0].memory.request, [request_layout(32).const({"address": 3}).as_bits()])
            await receive(ctx, row.ports[0].memory.response)
            assert cycles - start == latency + plane.read_cycles(1)

    async def count(ctx: Any) -> None:
        nonlocal cycles
        while True:
            await ctx.tick()
            cycles += 1

    simulate(row.module, bench, background=[subordinate.serve(row.io_die), count])


def test_addresses_reach_the_last_word() -> None:
    memory = MemorySpec(word_bytes=128)
    last = (1 << 32) - 1
    assert address_bits(memory) == 39
    row = Row(1, NopSpec(), memory)
    subordinate = AxiMemory({last: 77}, memory=memory)

    async def bench(ctx: Any) -> None:
        await put(ctx, row.ports[0].memory.request, [request_layout(128).const({"address": last}).as_bits()])
        word = response_layout(128).from_bits(await receive(ctx, row.ports[0].memory.response))
        assert word.data == 77

    simulate(row.module, bench, background=[subordinate.serve(row.io_die)])


def test_words_wider_than_a_data_bus_are_refused() -> None:
    message = "memory.word_bytes = 256 is wider than an AXI4 data bus: must be at most 128 with IO dies"
    with pytest.raises(ValueError, match=re.escape(message)):
        IoDie(nop=NopSpec(), memory=MemorySpec(word_bytes=256), link=None)
