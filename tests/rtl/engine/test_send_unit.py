"""Send unit: chunks out of the buffer or from the other side, as packets, when semaphores allow it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from chiplet.machine.chunks import flits_per_word, words_per_flit
from chiplet.machine.specs import BUFFER_ADDRESS_BITS, DieSpec, MemorySpec, NopSpec, scratchpad_depth
from rtl.engine.send_unit import SendUnit
from rtl.interface.flit import flit_layout
from rtl.interface.isa import SEMAPHORES, Opcode, encode
from tests.rtl.harness import get, put, simulate
from tests.rtl.scratchpads import mask

DIE = DieSpec(scratchpad_bytes=1024)
NOP, MEMORY = NopSpec(flit_bits=32, coordinate_bits=4), MemorySpec(word_bytes=8)
ROW, COL = 3, 5


@dataclass(frozen=True)
class Send:
    """A SEND command."""

    own: int
    ahead: bool
    forward: bool
    turn: bool
    copy: bool
    target: int
    base: int
    pitch: int
    lap: int
    wrap: int
    chunks: int
    flits: int
    wait_0: int
    wait_1: int
    post_0: int
    post_1: int
    word_wait: int

    @property
    def bits(self) -> int:
        return encode(Opcode.SEND, **{name: int(value) for name, value in vars(self).items()})


def some_sends(coin: Random, count: int, depth: int, words: int) -> list[Send]:
    """SENDs of chunks of up to ``words`` words."""
    return [
        Send(
            own=coin.randint(0, 3),
            ahead=coin.random() < 0.5,
            forward=coin.random() < 0.6,
            turn=coin.random() < 0.5,
            copy=coin.random() < 0.5,
            target=coin.randrange(16),
            base=coin.randrange(9, depth - 6 * (words + 4) - 11),
            pitch=coin.randint(words // 2, words + 4),
            lap=coin.randint(0, 3),
            wrap=coin.choice((0, 11, (1 << BUFFER_ADDRESS_BITS) - 9)),
            chunks=coin.randint(3, 6),
            flits=coin.randint(1, 9),
            **{
                name: coin.choice((0, coin.randrange(SEMAPHORES)))
                for name in ("wait_0", "wait_1", "post_0", "post_1", "word_wait")
            },
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("along_row", "flit_bits", "seed"),
    [
        *((along_row, 32, seed) for along_row in (True, False) for seed in range(3)),
        *((True, flit_bits, 0) for flit_bits in (64, 128, 256)),
    ],
)
def test_random_commands(along_row: bool, flit_bits: int, seed: int) -> None:
    nop = NOP.model_copy(update={"flit_bits": flit_bits})
    depth, per_word, lanes = (
        scratchpad_depth(DIE, MEMORY, nop),
        flits_per_word(nop, MEMORY),
        words_per_flit(nop, MEMORY),
    )
    dut = SendUnit(die=DIE, nop=nop, memory=MEMORY, along_row=along_row)
    coin = Random(seed)
    words = [coin.getrandbits(64) for _ in range(depth)]
    sends = some_sends(coin, 25, depth, 5 if lanes == 1 else 9)
    if lanes > 1:
        sends = [replace(send, flits=1 + send.flits % (9 // lanes)) for send in sends]
    layout = flit_layout(nop)
    coming: dict[bool, list[int]] = {False: [], True: []}
    expected, takes = [], []
    for send in sends:
        takes.append(mask(send.wait_0, send.wait_1))
        for chunk in range(send.chunks):
            for flit in range(send.flits):
                tail = flit == send.flits - 1
                start = send.base + chunk * send.pitch + (send.wrap if send.lap and chunk >= send.lap else 0)
                first = (start + flit // per_word * lanes) % (1 << BUFFER_ADDRESS_BITS)
                several = sum(words[first + n] << 64 * n for n in range(lanes))
                comes = send.forward and chunk >= send.own
                data = several >> flit_bits * (flit % per_word) & (1 << flit_bits) - 1
                if comes:
                    data = coin.getrandbits(flit_bits)
                    coming[send.turn].append(tail << flit_bits | data)
                elif flit % per_word == 0 and chunk >= send.own:
                    takes.append(mask(send.word_wait))
                row, col = (ROW, send.target) if along_row else (send.target, COL)
                source = COL if along_row else ROW
                fields = {"data": data, "row": row, "col": col, "source": source, "tail": tail}
                expected.append(layout.const({**fields, "copy": send.copy, "engine": 1}).as_bits())
    taken: list[int] = []
    posts: list[int] = []

    async def serve(ctx: Any) -> None:
        ctx.set(dut.row, ROW)
        ctx.set(dut.col, COL)
        while True:
            for port in dut.read:
                ctx.set(port.ready, coin.random() < 0.7)
            ctx.set(dut.semaphores.ok, coin.random() < 0.5)
            _, _, ok, needs, take, post, *reads = await ctx.tick().sample(
                *(dut.semaphores.ok, dut.semaphores.wait, dut.semaphores.take, dut.semaphores.post),
                *(value for port in dut.read for value in (port.valid, port.address, port.ready)),
            )
            assert ok or not take
            taken.extend([needs] * take)
            posts.extend([post] * (post != 0))
            for n, port in enumerate(dut.read):
                asked, address, ready = reads[3 * n : 3 * n + 3]
                ctx.set(port.data, words[address] if asked and ready else coin.getrandbits(64))

    async def command(ctx: Any) -> None:
        await put(ctx, dut.command, [send.bits for send in sends], chance=0.5, seed=seed)

    async def forward(ctx: Any) -> None:
        await put(ctx, dut.forward, coming[False], chance=0.8, seed=seed + 1)

    async def turn(ctx: Any) -> None:
        await put(ctx, dut.turn, coming[True], chance=0.8, seed=seed + 2)

    async def link(ctx: Any) -> None:
        assert await get(ctx, dut.o, len(expected), chance=0.8, seed=seed) == expected
        await ctx.tick()
        assert ctx.get(dut.idle)

    simulate(dut, command, forward, turn, link, background=[serve])
    assert taken == takes
    assert posts == [mask(send.post_0, send.post_1) for send in sends if send.post_0 or send.post_1]


def test_what_is_forwarded_leaves_in_the_cycle_in_which_it_comes() -> None:
    dut = SendUnit(die=DIE, nop=NOP, memory=MEMORY, along_row=True)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.semaphores.ok, 1)
        await put(ctx, dut.command, [encode(Opcode.SEND, forward=1, chunks=1, flits=3, target=1)])
        await ctx.tick()
        ctx.set(dut.o.ready, 1)
        for number in range(3):
            ctx.set(dut.forward.valid, 1)
            ctx.set(dut.forward.payload, (number == 2) << 32 | number)
            assert ctx.get(dut.o.valid)
            assert ctx.get(dut.forward.ready)
            await ctx.tick()
        assert ctx.get(dut.idle)

    simulate(dut, bench)


@pytest.mark.parametrize("flit_bits", [32, 128])
def test_words_that_are_read_ahead_leave_in_the_cycle_after_the_semaphores(flit_bits: int) -> None:
    nop = NOP.model_copy(update={"flit_bits": flit_bits})
    dut = SendUnit(die=DIE, nop=nop, memory=MEMORY, along_row=True)
    waits = {}

    async def bench(ctx: Any) -> None:
        for port in dut.read:
            ctx.set(port.ready, 1)
        ctx.set(dut.o.ready, 1)
        for ahead in (0, 1):
            ctx.set(dut.semaphores.ok, 0)
            await put(
                ctx, dut.command, [encode(Opcode.SEND, wait_0=1, own=1, ahead=ahead, chunks=1, flits=3)]
            )
            for _ in range(6):
                assert not ctx.get(dut.o.valid)
                await ctx.tick()
            ctx.set(dut.semaphores.ok, 1)
            waits[ahead] = 0
            while not ctx.get(dut.o.valid):
                waits[ahead] += 1
                await ctx.tick()
            await ctx.tick().until(dut.idle)

    simulate(dut, bench)
    assert waits == {0: 3, 1: 1}
