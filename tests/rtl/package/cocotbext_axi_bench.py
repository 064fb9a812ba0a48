"""Bench in cocotb: dies write and read a memory of cocotbext-axi through the IO die, which checks every burst."""

from __future__ import annotations

import json
import os
from random import Random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiBus, AxiSlave

REFUSED = 4000  # words from here on raise an error in the model, which answers SLVERR
SETTINGS = json.loads(os.environ["MEMORY_ROW"])
BYTES = SETTINGS["word_bytes"]


class Words:
    """Target of the model: a memory of words, and the bursts and words that were asked for."""

    def __init__(self) -> None:
        self.contents: dict[int, int] = {}
        self.reads = 0

    async def read(self, address: int, length: int) -> bytes:
        self.reads += 1
        if address >= REFUSED * BYTES:
            raise ValueError("no such word")
        return bytes(self.contents.get(address + n, 0) for n in range(length))

    async def write(self, address: int, data: bytes) -> None:
        if address >= REFUSED * BYTES:
            raise ValueError("no such word")
        self.contents.update({address + n: byte for n, byte in enumerate(data)})


async def ask(dut: Any, die: int, requests: list[dict[str, int]]) -> None:
    """Send requests, each of write, tag, address, strobe and data, one after the other."""
    valid, ready, payload = (
        getattr(dut, f"die_{die}_request__{name}") for name in ("valid", "ready", "payload")
    )
    for request in requests:
        bits = position = 0
        for name, width in SETTINGS["request"]:
            bits |= request.get(name, 0) << position
            position += width
        payload.value, valid.value = bits, 1
        while True:
            await RisingEdge(dut.clk)
            if int(ready.value):
                break
    valid.value = 0


async def words(dut: Any, die: int, count: int, coin: Random) -> list[int]:
    """Take words, with ready in seven of ten cycles."""
    taken: list[int] = []
    skip = sum(width for name, width in SETTINGS["response"] if name != "data")
    valid, ready, payload = (
        getattr(dut, f"die_{die}_response__{name}") for name in ("valid", "ready", "payload")
    )
    while len(taken) < count:
        ready.value = int(coin.random() < 0.7)
        await RisingEdge(dut.clk)
        if int(ready.value) and int(valid.value):
            taken.append(int(payload.value) >> skip)
    ready.value = 0
    return taken


@cocotb.test
async def words_are_read_as_written(dut: Any) -> None:
    """Two dies at the same time, over two ends of 4 KiB, while the model stalls every channel at random."""
    coin = Random(SETTINGS["seed"])
    Clock(dut.clk, 10, unit="ns").start()
    dies = range(SETTINGS["dies"])
    for die in dies:
        for name in ("request__valid", "response__ready"):
            getattr(dut, f"die_{die}_{name}").value = 0
    dut.rst.value = 1
    await RisingEdge(dut.clk)
    await RisingEdge(dut.clk)
    dut.rst.value = 0
    target = Words()
    model = AxiSlave(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, target=target)
    stalls = Random(SETTINGS["seed"] + 1)
    for channel in (
        model.write_if.aw_channel,
        model.write_if.w_channel,
        model.write_if.b_channel,
        model.read_if.ar_channel,
        model.read_if.r_channel,
    ):
        channel.set_pause_generator(iter(lambda: int(stalls.random() < 0.4), None))
    bursts = 0

    async def count() -> None:
        nonlocal bursts
        while True:
            await RisingEdge(dut.clk)
            bursts += int(dut.m_axi_arvalid.value) & int(dut.m_axi_arready.value)

    cocotb.start_soon(count())
    many = 60
    first = {die: 4096 // BYTES * (die + 1) - many // 2 for die in dies}
    contents = {die: [coin.getrandbits(8 * BYTES) for _ in range(many)] for die in dies}
    writes = [
        cocotb.start_soon(
            ask(
                dut,
                die,
                [
                    {"write": 1, "address": first[die] + n, "strobe": (1 << BYTES // 4) - 1, "data": word}
                    for n, word in enumerate(contents[die])
                ],
            )
        )
        for die in dies
    ]
    for write in writes:
        await write
    while int(dut.idle.value) != (1 << len(dies)) - 1:
        await RisingEdge(dut.clk)
    reads = [
        cocotb.start_soon(ask(dut, die, [{"address": first[die] + n} for n in range(many)])) for die in dies
    ]
    takes = [cocotb.start_soon(words(dut, die, many, Random(die))) for die in dies]
    for die, take in zip(dies, takes, strict=True):
        assert await take == contents[die]
    for read in reads:
        await read
    assert target.reads == len(dies) * many
    assert bursts < target.reads // 2

    told: list[str] = []

    async def watch() -> None:
        while True:
            await RisingEdge(dut.clk)
            for name in SETTINGS["refusals"]:
                told.extend(
                    f"{die} {name}" for die in dies if int(getattr(dut, f"refused_{die}_{name}").value)
                )

    cocotb.start_soon(watch())
    cocotb.start_soon(
        ask(dut, 1, [{"address": REFUSED - 1}, {"address": REFUSED, "tag": 1}, {"address": REFUSED}])
    )
    await words(dut, 1, 3, coin)
    await ask(dut, 0, [{"write": 1, "address": REFUSED, "strobe": 1}])
    await RisingEdge(dut.clk)
    while int(dut.idle.value) != (1 << len(dies)) - 1:
        await RisingEdge(dut.clk)
    await RisingEdge(dut.clk)
    assert told == ["1 fetch_faulty", "1 load_faulty", "0 store_faulty"]
