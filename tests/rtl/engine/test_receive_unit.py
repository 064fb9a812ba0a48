"""Receive unit: what comes is written, forwarded, handed over or joined, added to if asked, and no post is lost."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from chiplet.machine.chunks import chunk_words, flits_per_word, words_per_flit
from chiplet.machine.specs import BUFFER_ADDRESS_BITS, DieSpec, MemorySpec, NopSpec, scratchpad_depth
from rtl.engine.receive_unit import ReceiveUnit
from rtl.interface.flit import flit_layout
from rtl.interface.isa import SEMAPHORES, Opcode, encode
from tests.rtl.harness import get, put, simulate
from tests.rtl.scratchpads import mask

DIE = DieSpec(scratchpad_bytes=4096)
NOP, MEMORY = NopSpec(flit_bits=64, coordinate_bits=3), MemorySpec(word_bytes=32)
HALF = 0xFFFF_FFFF


def added(a: int, b: int, bits: int) -> int:
    return sum(((a >> 32 * n) + (b >> 32 * n) & HALF) << 32 * n for n in range(bits // 32))


@pytest.mark.parametrize(
    ("flit_bits", "stages", "seed"),
    [
        *((64, stages, seed) for stages in (1, 3) for seed in range(3)),
        *((flit_bits, 1, 0) for flit_bits in (128, 256, 512, 1024)),
    ],
)
def test_random_commands(flit_bits: int, stages: int, seed: int) -> None:
    nop = NOP.model_copy(update={"flit_bits": flit_bits})
    depth, per_word, lanes = (
        scratchpad_depth(DIE, MEMORY, nop),
        flits_per_word(nop, MEMORY),
        words_per_flit(nop, MEMORY),
    )
    dut = ReceiveUnit(die=DIE.model_copy(update={"dtype": "int8", "stages": stages}), nop=nop, memory=MEMORY)
    coin = Random(seed)
    words = [coin.getrandbits(256) for _ in range(depth)]
    model = sum(word << 256 * n for n, word in enumerate(words))
    layout = flit_layout(nop)
    whole = (1 << flit_bits) - 1
    commands: list[int] = []
    flits: list[int] = []
    forward: list[int] = []
    turned: list[int] = []
    hand: list[int] = []
    join: list[int] = []
    posts: Counter[int] = Counter()
    for _ in range(25):
        add, chunks, length = coin.getrandbits(1), coin.randint(1, 3), coin.randint(1, max(9 // lanes, 2))
        by_source = 0 if add else coin.getrandbits(1)
        kind = coin.choice(("write", "hand", "join")) if add else coin.choice(("write", "hand"))
        forwarded = coin.randint(0, chunks)
        pitch = chunk_words(length, nop, MEMORY) + coin.randint(0, 2)
        keep, turn, lap = coin.randint(0, 2), coin.getrandbits(1), coin.randint(0, 3)
        wrap = coin.choice((0, 9, -3 * pitch))
        base = coin.randrange(2 * pitch, depth - 8 * pitch - 9)
        fields = {
            **{
                name: coin.choice((0, coin.randrange(SEMAPHORES)))
                for name in ("wait_0", "wait_1", "post_0", "post_1", "word_wait", "word_post")
            },
            "add": add,
            "by_source": by_source,
            "forwarded": forwarded,
            "base": base,
            "pitch": pitch,
            "lap": lap,
            "wrap": wrap % (1 << BUFFER_ADDRESS_BITS),
            "keep": keep,
            "turn": turn,
            "chunks": chunks,
            "flits": length,
            "hand": int(kind == "hand"),
            "join": int(kind == "join"),
        }
        commands.append(encode(Opcode.RECEIVE, **fields))
        post = mask(fields["post_0"], fields["post_1"])
        written = False
        for chunk in range(chunks):
            source = coin.randrange(8)
            start = base + chunk * pitch + (wrap if lap and chunk >= lap else 0)
            if by_source:
                start = base + source * pitch
            goes = chunk < forwarded
            for number in range(length):
                tail = number == length - 1
                shift = 256 * start + flit_bits * number
                value = coin.getrandbits(flit_bits)
                flits.append(layout.const({"data": value, "source": source, "tail": tail}).as_bits())
                if add and (goes or kind != "join"):
                    value = added(value, model >> shift & whole, flit_bits)
                elif add:
                    other = coin.getrandbits(flit_bits)
                    join.append(tail << flit_bits | other)
                    value = added(value, other, flit_bits)
                if goes and keep != 2:
                    (turned if turn else forward).append(tail << flit_bits | value)
                elif not goes and kind == "hand":
                    hand.append(tail << flit_bits | value)
                if (goes and keep) or (not goes and kind != "hand"):
                    model = model & ~(whole << shift) | value << shift
                    if tail or number % per_word == per_word - 1:
                        last = tail and chunk == chunks - 1
                        written |= last
                        for bit in range(SEMAPHORES):
                            word_post = fields["word_post"] if goes or not keep else 0
                            posts[bit] += (mask(word_post) | post * last) >> bit & 1
        if not written:
            for bit in range(SEMAPHORES):
                posts[bit] += post >> bit & 1
    posted: Counter[int] = Counter()

    async def serve(ctx: Any) -> None:
        while True:
            for ports, chance in ((dut.read, 0.7), (dut.write, 0.4)):
                for port in ports:
                    ctx.set(port.ready, coin.random() < chance)
            ctx.set(dut.semaphores.ok, coin.random() < 0.6)
            reads = [value for port in dut.read for value in (port.valid, port.ready, port.address)]
            _, _, ok, take, post, *values = await ctx.tick().sample(
                *(dut.semaphores.ok, dut.semaphores.take, dut.semaphores.post),
                *reads,
                *(
                    value
                    for port in dut.write
                    for value in (port.valid, port.ready, port.address, port.strobe, port.data)
                ),
            )
            assert ok or not take or not ctx.get(dut.semaphores.wait)
            for bit in range(SEMAPHORES):
                posted[bit] += post >> bit & 1
            for n, port in enumerate(dut.read):
                valid, ready, place = values[3 * n : 3 * n + 3]
                ctx.set(port.data, words[place] if valid and ready else coin.getrandbits(256))
            for n in range(len(dut.write)):
                valid, ready, place, strobe, data = values[len(reads) + 5 * n : len(reads) + 5 * n + 5]
                if valid and ready:
                    mask = sum(0xFFFF << 16 * n for n in range(16) if strobe >> n & 1)
                    words[place] = words[place] & ~mask | data & mask

    async def command(ctx: Any) -> None:
        # A command may read what the one before writes: programs see to it by semaphores, and this one by waiting.
        for bits in commands:
            await ctx.tick().until(dut.idle)
            await put(ctx, dut.command, [bits])
            await ctx.tick()

    def sender(name: str, payloads: list[int]) -> Any:
        async def bench(ctx: Any) -> None:
            await put(ctx, getattr(dut, name), payloads, chance=0.8, seed=seed)

        return bench

    def taker(name: str, expected: list[int]) -> Any:
        async def bench(ctx: Any) -> None:
            port = getattr(dut, name)
            assert await get(ctx, port, len(expected), chance=0.7, seed=seed) == expected

        return bench

    async def end(ctx: Any) -> None:
        await ctx.tick().repeat(1000)

    simulate(
        dut,
        *(command, sender("i", flits), sender("join", join)),
        *(taker("forward", forward), taker("turn", turned), taker("hand", hand), end),
        background=[serve],
    )
    assert words == [model >> 256 * n & (1 << 256) - 1 for n in range(depth)]
    assert posted == posts


def test_no_post_is_lost_when_a_word_still_waits() -> None:
    dut = ReceiveUnit(die=DIE, nop=NOP, memory=MEMORY)
    count = 0

    async def bench(ctx: Any) -> None:
        nonlocal count
        ctx.set(dut.semaphores.ok, 1)
        ctx.set(dut.forward.ready, 1)
        flit = flit_layout(NOP).const({"tail": 1}).as_bits()
        for forwarded in (0, 1):
            await put(
                ctx, dut.command, [encode(Opcode.RECEIVE, post_0=1, chunks=1, flits=1, forwarded=forwarded)]
            )
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.i.payload, flit)
            if not forwarded:
                await ctx.tick().until(dut.i.ready)
        ctx.set(dut.write[0].ready, 1)  # in the cycle in which the forwarded flit could leave
        for _ in range(4):
            _, _, post, ready = await ctx.tick().sample(dut.semaphores.post, dut.i.ready)
            count += post >> 1 & 1
            if ready:
                ctx.set(dut.i.valid, 0)

    simulate(dut, bench)
    assert count == 2
