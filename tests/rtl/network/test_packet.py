# amaranth: UnusedElaboratable=no
"""Packer and unpacker: messages of both lengths arrive as sent, in as few flits as they need, without gaps."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import connect

from chiplet.machine.memory_plane import packet_flits
from chiplet.machine.specs import NopSpec
from rtl.block import place
from rtl.interface.flit import flit_layout
from rtl.network.packet import Packer, Unpacker, packed_layout, unpacked_layout
from tests.rtl.harness import get, put, receive, simulate

SIZES = [(16, 16, 16), (16, 17, 1), (16, 33, 15), (64, 64, 1), (64, 298, 33), (128, 298, 33), (400, 298, 33)]


def spec(flit_bits: int, coordinate_bits: int = 3) -> NopSpec:
    return NopSpec(flit_bits=flit_bits, coordinate_bits=coordinate_bits)


@pytest.mark.parametrize(("flit_bits", "bits", "short_bits"), SIZES)
@pytest.mark.parametrize("chance", [1.0, 0.5])
def test_messages_arrive_as_sent(flit_bits: int, bits: int, short_bits: int, chance: float) -> None:
    nop, coin = spec(flit_bits), Random(bits)
    sent = [
        {
            "data": coin.getrandbits(bits),
            "col": coin.getrandbits(3),
            "row": coin.getrandbits(3),
            "source": coin.getrandbits(3),
            "short": coin.getrandbits(1),
        }
        for _ in range(40)
    ]
    packer, unpacker = (
        Packer(nop=nop, bits=bits, short_bits=short_bits),
        Unpacker(nop=nop, bits=bits),
    )
    m = Module()
    place(m, None, "packer", packer)
    place(m, None, "unpacker", unpacker)
    connect(m, packer.o, unpacker.i)

    async def source(ctx: Any) -> None:
        await put(
            ctx,
            packer.i,
            [packed_layout(nop, bits).const(one).as_bits() for one in sent],
            chance=chance,
        )

    async def sink(ctx: Any) -> None:
        for n, one in enumerate(sent):
            found = unpacked_layout(nop, bits).from_bits(
                await receive(ctx, unpacker.o, chance=chance, seed=n)
            )
            assert found.source == one["source"]
            known = (1 << (short_bits if one["short"] else bits)) - 1
            assert found.data & known == one["data"] & known

    simulate(m, source, sink)


@pytest.mark.parametrize(("flit_bits", "bits", "short_bits"), SIZES)
def test_every_flit_carries_the_target_and_follows_the_one_before(
    flit_bits: int, bits: int, short_bits: int
) -> None:
    nop = spec(flit_bits)
    dut = Packer(nop=nop, bits=bits, short_bits=short_bits)
    messages = [
        packed_layout(nop, bits).const({"data": n, "col": 5, "row": 2, "source": 1, "short": n % 2})
        for n in range(6)
    ]
    lengths = [packet_flits(short_bits if n % 2 else bits, nop) for n in range(6)]

    async def source(ctx: Any) -> None:
        await put(ctx, dut.i, [message.as_bits() for message in messages])

    async def sink(ctx: Any) -> None:
        ends = []
        for bits_ in await get(ctx, dut.o, sum(lengths)):
            flit = flit_layout(nop).from_bits(bits_)
            assert (flit.col, flit.row, flit.source, flit.copy, flit.engine) == (5, 2, 1, 0, 0)
            ends.append(flit.tail)
        assert ends == [int(n == length - 1) for length in lengths for n in range(length)]

    simulate(dut, source, sink, cycles=sum(lengths) + 2)


def test_an_unpacker_takes_a_flit_a_cycle() -> None:
    nop = spec(16)
    dut = Unpacker(nop=nop, bits=48)
    packet = [{"data": n, "tail": int(n == 2)} for n in range(3)]

    async def source(ctx: Any) -> None:
        await put(ctx, dut.i, [flit_layout(nop).const(flit).as_bits() for flit in packet * 10])

    async def sink(ctx: Any) -> None:
        for _ in range(10):
            found = unpacked_layout(nop, 48).from_bits(await receive(ctx, dut.o))
            assert found.data == 2 << 32 | 1 << 16

    simulate(dut, source, sink, cycles=32)


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_sizes_are_checked(size: Any) -> None:
    with pytest.raises(ValueError, match=f"packer: bits = {size!r}: must be an integer of at least 1"):
        Packer(nop=spec(16), bits=size, short_bits=1)
    with pytest.raises(ValueError, match="packer: short_bits"):
        Packer(nop=spec(16), bits=1, short_bits=size)
    with pytest.raises(ValueError, match="unpacker: bits"):
        Unpacker(nop=spec(16), bits=size)
