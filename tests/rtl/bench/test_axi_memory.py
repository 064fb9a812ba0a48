# amaranth: UnusedElaboratable=no
"""AXI bench memory behind a row of dies: what it stores, and that it does overtake."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from chiplet.machine.specs import MemorySpec, NopSpec
from rtl.bench.axi_memory import AxiBenchMemory
from rtl.interface.axi import CHANNELS
from tests.rtl.harness import signal, simulate

NOP = NopSpec(coordinate_bits=3)


class Manager:
    """Drives the channels of a subordinate port by hand."""

    def __init__(self, ctx: Any, dut: AxiBenchMemory, coin: Random) -> None:
        self.ctx, self.dut, self.coin = ctx, dut, coin

    def port(self, name: str) -> Any:
        return signal(self.dut, f"s_axi_{name}")

    def offer(self, channel: str, **fields: int) -> None:
        for name, value in fields.items():
            self.ctx.set(self.port(channel + name), value)
        self.ctx.set(self.port(f"{channel}valid"), 1)

    async def send(self, channel: str, **fields: int) -> None:
        self.offer(channel, **fields)
        await self.ctx.tick().until(self.port(f"{channel}ready"))
        self.ctx.set(self.port(f"{channel}valid"), 0)

    async def answer(self, channel: str) -> dict[str, int]:
        while self.coin.random() < 0.3:
            await self.ctx.tick()
        self.ctx.set(self.port(f"{channel}ready"), 1)
        names = CHANNELS[channel]
        values = (
            await self.ctx.tick()
            .sample(*(self.port(channel + n) for n in names))
            .until(self.port(f"{channel}valid"))
        )
        self.ctx.set(self.port(f"{channel}ready"), 0)
        return dict(zip(names, values, strict=True))


def start(ctx: Any, dut: AxiBenchMemory, *, latency: int = 4, stall: int = 0) -> None:
    ctx.set(dut.settings.latency, latency)
    ctx.set(dut.settings.interval, 1)
    ctx.set(dut.settings.stall, stall)


@pytest.mark.parametrize("word_bytes", [4, 32, 128])
@pytest.mark.parametrize("stall", [0, 30_000])
def test_words_are_read_as_written_with_the_id_of_the_reader(word_bytes: int, stall: int) -> None:
    dut = AxiBenchMemory(nop=NOP, memory=MemorySpec(word_bytes=word_bytes, outstanding=4), depth=16)
    coin = Random(word_bytes)
    words = [0] * 16

    async def bench(ctx: Any) -> None:
        start(ctx, dut, stall=stall)
        manager = Manager(ctx, dut, coin)
        for _ in range(80):
            place, number = coin.randrange(16), coin.randrange(8)
            if coin.random() < 0.5:
                data, strobe = coin.getrandbits(8 * word_bytes), coin.getrandbits(word_bytes // 4)
                mask = sum(0xFFFF_FFFF << 32 * n for n in range(word_bytes // 4) if strobe >> n & 1)
                words[place] = words[place] & ~mask | data & mask
                strb = sum(0xF << 4 * n for n in range(word_bytes // 4) if strobe >> n & 1)
                await manager.send("aw", id=number, addr=place * word_bytes)
                await manager.send("w", data=data, strb=strb, last=1)
                assert await manager.answer("b") == {"id": number, "resp": 0}
            else:
                await manager.send("ar", id=number, addr=place * word_bytes)
                found = await manager.answer("r")
                assert found == {"id": number, "data": words[place], "resp": 0, "last": 1}

    simulate(dut, bench)


def test_a_burst_has_its_words_in_order_and_what_is_beyond_the_memory_is_missing() -> None:
    dut = AxiBenchMemory(nop=NOP, memory=MemorySpec(word_bytes=4, outstanding=4), depth=8)

    async def bench(ctx: Any) -> None:
        start(ctx, dut)
        manager = Manager(ctx, dut, Random(0))
        for place, response in ((6, 0), (7, 0), (8, 3)):
            await manager.send("aw", addr=4 * place)
            await manager.send("w", data=10 + place, strb=15, last=1)
            assert (await manager.answer("b"))["resp"] == response
        await manager.send("ar", addr=0)
        assert (await manager.answer("r"))["data"] == 0
        await manager.send("ar", id=5, addr=24, len=2)
        words = [await manager.answer("r") for _ in range(3)]
        assert [word["id"] for word in words] == [5, 5, 5]
        assert [word["data"] for word in words[:2]] == [16, 17]
        assert [word["resp"] for word in words] == [0, 0, 3]
        assert [word["last"] for word in words] == [0, 0, 1]

    simulate(dut, bench)


def test_a_read_overtakes_a_write_without_answer() -> None:
    """So a manager that does not wait is found out."""
    dut = AxiBenchMemory(nop=NOP, memory=MemorySpec(word_bytes=4, outstanding=4), depth=4)

    async def bench(ctx: Any) -> None:
        start(ctx, dut)
        manager = Manager(ctx, dut, Random(0))
        manager.offer("aw", addr=0)
        manager.offer("w", data=99, strb=15, last=1)
        await ctx.tick()
        for channel in ("aw", "w"):
            ctx.set(manager.port(f"{channel}valid"), 0)
        await manager.send("ar", addr=0)
        assert (await manager.answer("r"))["data"] == 0
        await manager.answer("b")
        await manager.send("ar", addr=0)
        assert (await manager.answer("r"))["data"] == 99

    simulate(dut, bench)
