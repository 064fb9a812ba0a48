"""Word reader: chunks out of a buffer that makes it wait, flit by flit, and no word before it may be read."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

import pytest

from chiplet.machine.chunks import chunk_words, flits_per_word, words_per_flit
from chiplet.machine.specs import BUFFER_ADDRESS_BITS, DieSpec, MemorySpec, NopSpec, scratchpad_depth
from rtl.engine.chunk_reader import ChunkReader
from tests.rtl.harness import get, simulate

DIE = DieSpec(scratchpad_bytes=4096)
MODULUS = 1 << BUFFER_ADDRESS_BITS


@pytest.mark.parametrize(("seed", "latency"), [(0, 1), (1, 1), (2, 1), (3, 2), (4, 4)])
@pytest.mark.parametrize(
    ("flit_bits", "word_bytes"),
    [(32, 4), (64, 32), (32, 16), (32, 8), (256, 32), (64, 4), (96, 4), (128, 4)],
)
def test_flits_of_chunks(flit_bits: int, word_bytes: int, seed: int, latency: int) -> None:
    nop, memory = NopSpec(flit_bits=flit_bits), MemorySpec(word_bytes=word_bytes)
    dut = ChunkReader(die=DIE, nop=nop, memory=memory, sram_latency=latency)
    coin = Random(seed)
    depth, per_word = scratchpad_depth(DIE, memory, nop), flits_per_word(nop, memory)
    lanes = words_per_flit(nop, memory)
    words = [coin.getrandbits(8 * word_bytes) for _ in range(depth)]
    loads = []
    for _ in range(6):
        flits, chunks = coin.randint(1, 3 * per_word), coin.randint(1, 4)
        length = chunk_words(flits, nop, memory)
        pitch = coin.choice((length, length + 2, -length))
        reach = 2 * chunks * (length + 2) + 7
        base = coin.randrange(reach, depth - reach)
        lap, wrap = coin.randint(0, chunks), coin.choice((0, 7, -chunks * pitch))
        loads.append((base, pitch, lap, wrap, chunks, flits, coin.randint(0, chunks)))
    taken = 0

    async def serve(ctx: Any) -> None:
        nonlocal taken
        coming: list[deque[int | None]] = [deque([None] * (latency - 1)) for _ in dut.read]
        while True:
            for port in dut.read:
                ctx.set(port.ready, coin.random() < 0.7)
            ctx.set(dut.word_ok, coin.random() < 0.5)
            ports = (value for port in dut.read for value in (port.valid, port.address, port.ready))
            _, _, asks, allowed, took, *reads = await ctx.tick().sample(
                dut.asks, dut.word_ok, dut.word_take, *ports
            )
            assert not took or (asks and allowed)
            taken += took
            for n, (port, under_way) in enumerate(zip(dut.read, coming, strict=True)):
                asked, address, ready = reads[3 * n : 3 * n + 3]
                if len(dut.read) == 1:
                    assert took == (asked and ready and asks)
                    assert allowed or not (asked and asks)
                under_way.append(words[address] if asked and ready else None)
                word = under_way.popleft()
                ctx.set(port.data, coin.getrandbits(32) if word is None else word)

    async def bench(ctx: Any) -> None:
        for base, pitch, lap, wrap, chunks, flits, free in loads:
            before = taken
            for name, value in zip(
                ("base", "pitch", "lap", "wrap", "chunks", "flits", "free"),
                (base, pitch % MODULUS, lap, wrap % MODULUS, chunks, flits, free),
                strict=True,
            ):
                ctx.set(getattr(dut, name), value)
            ctx.set(dut.load, 1)
            await ctx.tick()
            ctx.set(dut.load, 0)
            found = await get(ctx, dut.o, chunks * flits, chance=0.8, seed=coin.getrandbits(20))
            expected = []
            for chunk in range(chunks):
                for flit in range(flits):
                    further = wrap if lap and chunk >= lap else 0
                    place = base + chunk * pitch + further + flit // per_word * lanes
                    several = sum(words[place + n] << 8 * word_bytes * n for n in range(lanes))
                    data = several >> flit % per_word * flit_bits & (1 << flit_bits) - 1
                    expected.append((flit == flits - 1) << flit_bits | data)
            assert found == expected
            assert taken - before == (chunks - free) * -(-flits // per_word)
            assert not ctx.get(dut.o.valid)

    simulate(dut, bench, background=[serve])


@pytest.mark.parametrize("flit_bits", [64, 256])
@pytest.mark.parametrize("latency", [1, 3])
def test_a_flit_a_cycle(latency: int, flit_bits: int) -> None:
    nop, memory = NopSpec(flit_bits=flit_bits), MemorySpec(word_bytes=8)
    dut = ChunkReader(die=DIE, nop=nop, memory=memory, sram_latency=latency)

    async def bench(ctx: Any) -> None:
        for name, value in (("chunks", 2), ("flits", 20), ("pitch", 20), ("load", 1), ("word_ok", 1)):
            ctx.set(getattr(dut, name), value)
        for port in dut.read:
            ctx.set(port.ready, 1)
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        ctx.set(dut.load, 0)
        for cycle in range(45):
            assert ctx.get(dut.o.valid) == (1 + latency <= cycle < 41 + latency)
            await ctx.tick()

    simulate(dut, bench)


def test_a_lane_that_waits_falls_back_alone() -> None:
    dut = ChunkReader(die=DIE, nop=NopSpec(flit_bits=128), memory=MemorySpec(word_bytes=8))

    async def bench(ctx: Any) -> None:
        for name, value in (("chunks", 1), ("flits", 30), ("load", 1)):
            ctx.set(getattr(dut, name), value)
        for port in dut.read:
            ctx.set(port.ready, 1)
        await ctx.tick()
        ctx.set(dut.load, 0)
        ctx.set(dut.word_ok, 1)
        await ctx.tick().repeat(6)
        ctx.set(dut.o.ready, 1)
        for cycle in range(30):
            assert ctx.get(dut.o.valid)
            ctx.set(dut.read[0].ready, cycle not in (5, 6, 12))
            ctx.set(dut.read[1].ready, cycle not in (9, 10, 11))
            await ctx.tick()
        assert not ctx.get(dut.o.valid)

    simulate(dut, bench)


@pytest.mark.parametrize(("base", "pitch"), [(32, 0), (31, 0), (7, 25), (31, MODULUS - 32)])
def test_words_beyond_the_scratchpad_are_reported_and_not_read(base: int, pitch: int) -> None:
    memory = MemorySpec(word_bytes=8)
    die = DieSpec(scratchpad_bytes=256)
    dut = ChunkReader(die=die, nop=NopSpec(flit_bits=64), memory=memory)

    async def bench(ctx: Any) -> None:
        values = {"base": base, "pitch": pitch, "chunks": 2, "flits": 2, "load": 1, "word_ok": 1}
        for name, value in values.items():
            ctx.set(getattr(dut, name), value)
        (port,) = dut.read
        ctx.set(port.ready, 1)
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        ctx.set(dut.load, 0)
        read = []
        while not ctx.get(dut.beyond):
            if ctx.get(port.valid):
                read.append(ctx.get(port.address))
            await ctx.tick()
        addresses = [(base + chunk * pitch + word) % MODULUS for chunk in range(2) for word in range(2)]
        inside = [address < 32 for address in addresses]
        assert read == addresses[: inside.index(False)]
        for _ in range(5):
            assert not ctx.get(port.valid)
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("base", [29, 30, 31])
def test_a_flit_of_which_a_word_lies_beyond_the_scratchpad_is_not_read(base: int) -> None:
    die, memory = DieSpec(scratchpad_bytes=256), MemorySpec(word_bytes=8)
    dut = ChunkReader(die=die, nop=NopSpec(flit_bits=192), memory=memory)

    async def bench(ctx: Any) -> None:
        for name, value in {"base": base, "chunks": 1, "flits": 1, "load": 1, "word_ok": 1}.items():
            ctx.set(getattr(dut, name), value)
        await ctx.tick()
        ctx.set(dut.load, 0)
        assert ctx.get(dut.beyond) == (base > 29)
        assert all(ctx.get(port.valid) == (base == 29) for port in dut.read)

    simulate(dut, bench)
