"""Word writer: whole words where they belong, and flits that do not wait for a bank."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from chiplet.machine.chunks import chunk_words, flits_per_word
from chiplet.machine.specs import BUFFER_ADDRESS_BITS, DieSpec, MemorySpec, NopSpec, scratchpad_depth
from rtl.engine.chunk_writer import WAITING, ChunkWriter
from tests.rtl.harness import simulate

DIE = DieSpec(scratchpad_bytes=4096)
MODULUS = 1 << BUFFER_ADDRESS_BITS


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("flit_bits", "word_bytes"), [(32, 4), (64, 32), (32, 16), (32, 8), (64, 4), (96, 4), (128, 4)]
)
def test_chunks_of_which_some_are_not_written(flit_bits: int, word_bytes: int, seed: int) -> None:
    nop, memory = NopSpec(flit_bits=flit_bits), MemorySpec(word_bytes=word_bytes)
    dut = ChunkWriter(die=DIE, nop=nop, memory=memory)
    coin = Random(seed)
    depth, per_word = scratchpad_depth(DIE, memory, nop), flits_per_word(nop, memory)
    words: dict[int, int] = {}
    posted: list[int] = []
    expected: dict[int, int] = {}
    posts: list[int] = []

    async def buffer(ctx: Any) -> None:
        count = [0] * len(dut.write)
        while True:
            for port in dut.write:
                ctx.set(port.ready, coin.random() < 0.4)
            ports = (
                value
                for port in dut.write
                for value in (port.valid, port.ready, port.address, port.strobe, port.data)
            )
            _, _, written, post, *writes = await ctx.tick().sample(dut.written, dut.written_post, *ports)
            for n in range(len(dut.write)):
                valid, ready, address, strobe, data = writes[5 * n : 5 * n + 5]
                if valid and ready:
                    count[n] += 1
                    for part in range(word_bytes // 4):
                        if strobe >> 2 * part & 1:
                            words[address * word_bytes // 4 + part] = data >> 32 * part & 0xFFFF_FFFF
            if written:
                posted.append(post)
                assert any(writes[0::5])
            assert min(count) == len(posted)

    async def bench(ctx: Any) -> None:
        for _ in range(4):
            flits, chunks, by_source = coin.randint(1, 3 * per_word), coin.randint(1, 5), coin.getrandbits(1)
            length = chunk_words(flits, nop, memory)
            fields = {
                "base": coin.randrange(14 * length, depth - 14 * length),
                "pitch": coin.choice((length, -length)) % MODULUS,
                "lap": coin.randint(0, chunks),
                "wrap": coin.choice((0, 3 * length, -5 * length)) % MODULUS,
                "by_source": by_source,
            }
            for name, value in fields.items():
                ctx.set(getattr(dut, name), value)
            ctx.set(dut.load, 1)
            await ctx.tick()
            ctx.set(dut.load, 0)
            for chunk in range(chunks):
                further = fields["wrap"] if fields["lap"] and chunk >= fields["lap"] else 0
                source = coin.randrange(8)
                steps = source if by_source else chunk
                start = fields["base"] + steps * fields["pitch"] + (0 if by_source else further)
                for flit in range(flits if coin.random() < 0.7 else 0):  # the others go elsewhere
                    data, tail = coin.getrandbits(flit_bits), flit == flits - 1
                    post = coin.getrandbits(8)
                    ctx.set(dut.i.payload, tail << flit_bits | data)
                    ctx.set(dut.i.valid, 1)
                    ctx.set(dut.source, source)
                    ctx.set(dut.post, post)
                    await ctx.tick().until(dut.i.ready)
                    posts.extend([post] * (tail or flit % per_word == per_word - 1))
                    for part in range(flit_bits // 32):
                        place = start % MODULUS * word_bytes // 4 + flit * flit_bits // 32 + part
                        expected[place] = data >> 32 * part & 0xFFFF_FFFF
                ctx.set(dut.i.valid, 0)
                ctx.set(dut.chunk, 1)
                await ctx.tick()
                ctx.set(dut.chunk, 0)
            await ctx.tick().repeat(30)  # a word may be written again by the next command

    simulate(dut, bench, background=[buffer])
    assert words == expected
    assert posted == posts


@pytest.mark.parametrize("flit_bits", [64, 128])
def test_words_that_wait_hold_up_nothing_until_there_are_too_many(flit_bits: int) -> None:
    nop, memory = NopSpec(flit_bits=flit_bits), MemorySpec(word_bytes=8)
    dut = ChunkWriter(die=DIE, nop=nop, memory=memory)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.i.valid, 1)
        for _ in range(WAITING):
            assert ctx.get(dut.i.ready)
            await ctx.tick()
        assert not ctx.get(dut.i.ready)
        for port in dut.write:
            ctx.set(port.ready, 1)
        assert ctx.get(dut.written)
        assert not ctx.get(dut.i.ready), "what can come must not depend on what can leave"
        await ctx.tick()
        for _ in range(5):
            assert ctx.get(dut.i.ready)
            assert ctx.get(dut.written)
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize(("flit_bits", "base"), [(64, 30), (128, 29)])
def test_words_beyond_the_scratchpad_are_reported_and_not_written(flit_bits: int, base: int) -> None:
    die, memory = DieSpec(scratchpad_bytes=256), MemorySpec(word_bytes=8)
    dut = ChunkWriter(die=die, nop=NopSpec(flit_bits=flit_bits), memory=memory)

    async def bench(ctx: Any) -> None:
        for name, value in {"base": base, "load": 1}.items():
            ctx.set(getattr(dut, name), value)
        for port in dut.write:
            ctx.set(port.ready, 1)
        await ctx.tick()
        ctx.set(dut.load, 0)
        ctx.set(dut.i.valid, 1)
        written = []
        for _ in range(12):
            written += [ctx.get(port.address) for port in dut.write if ctx.get(port.valid)]
            await ctx.tick()
        assert written == list(range(base, 32))
        assert ctx.get(dut.beyond)
        assert not any(ctx.get(port.valid) for port in dut.write)

    simulate(dut, bench)
