"""Exchange port: words come back in the order of their reads, whether from memory or from the exchange buffer."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from chiplet.machine.specs import MemorySpec
from rtl.engine.exchange_port import ExchangePort
from rtl.interface.memory_port import EXCHANGE_ADDRESS, request_layout, response_layout
from tests.rtl.harness import PythonMemory, put, receive, simulate

DEPTH, WORD_BYTES = 16, 8


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("seed", range(3))
def test_reads_and_writes_of_both(stall: float, seed: int) -> None:
    dut = ExchangePort(memory=MemorySpec(word_bytes=WORD_BYTES), depth=DEPTH)
    coin = Random(seed)
    memory = PythonMemory({}, word_bytes=WORD_BYTES, stall=stall, latency=5, seed=seed)
    exchange = [0] * DEPTH
    request, response = request_layout(WORD_BYTES), response_layout(WORD_BYTES)
    model: dict[int, int] = {}
    sent: list[int] = []
    expected: list[tuple[int, int]] = []
    for _ in range(400):
        # Long stretches of one kind, so that several are in flight when the kind changes.
        inside = coin.random() < (0.9 if len(sent) // 10 % 2 else 0.1)
        address = coin.randrange(DEPTH) | (EXCHANGE_ADDRESS if inside else 0)
        write, tag, strobe = coin.getrandbits(1), coin.getrandbits(1), coin.getrandbits(2)
        data = coin.getrandbits(64)
        fields = {"address": address, "write": write, "tag": tag, "strobe": strobe, "data": data}
        sent.append(request.const(fields).as_bits())
        if write:
            mask = sum(0xFFFF_FFFF << 32 * part for part in range(2) if strobe >> part & 1)
            model[address] = model.get(address, 0) & ~mask | data & mask
        else:
            expected.append((model.get(address, 0), tag))

    async def buffer(ctx: Any) -> None:
        while True:
            ctx.set(dut.read.ready, coin.random() >= stall)
            ctx.set(dut.write.ready, coin.random() >= stall)
            sampled = await ctx.tick().sample(
                *(dut.read.valid, dut.read.ready, dut.read.address),
                *(dut.write.valid, dut.write.ready, dut.write.address, dut.write.strobe, dut.write.data),
            )
            reading, may_read, where, writing, may_write, place, strobe, data = sampled[2:]
            ctx.set(dut.read.data, exchange[where] if reading and may_read else coin.getrandbits(64))
            if writing and may_write:
                mask = sum(0xFFFF_FFFF << 32 * part for part in range(2) if strobe >> part & 1)
                exchange[place] = exchange[place] & ~mask | data & mask

    async def ask(ctx: Any) -> None:
        await put(ctx, dut.units.request, sent, chance=0.9, seed=seed)

    async def take(ctx: Any) -> None:
        for number, (word, tag) in enumerate(expected):
            bits = await receive(ctx, dut.units.response, chance=1 - stall, seed=seed + number)
            found = response.from_bits(bits)
            assert (found.data, found.tag) == (word, tag)

    simulate(dut, ask, take, background=[buffer, memory.serve(dut.memory.request, dut.memory.response)])
    for address, word in model.items():
        here = exchange[address - EXCHANGE_ADDRESS] if address >= EXCHANGE_ADDRESS else memory.words[address]
        assert here == word
