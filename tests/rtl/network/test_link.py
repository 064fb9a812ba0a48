# amaranth: UnusedElaboratable=no
"""Link adapter: the stream that comes out is the one that went in, whatever the wires do; rate, latency, death."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Const, Module, Mux, ResetInserter, Signal

from chiplet.machine.link_frame import link_frame
from chiplet.machine.specs import DieSpec, LinkSpec, SystemSpec
from rtl.emit.emitter import emit
from rtl.interface.flit import flit_layout
from rtl.interface.link_shape import LinkShape
from rtl.network.link import LinkPort
from tests.rtl.harness import get, put, simulate
from tests.rtl.links import Faults, LinkPair

TIMEOUT = 20_000


def shape(width: int, phit_bits: int, flight_cycles: int) -> LinkShape:
    return LinkShape.fit(
        width=width, phit_bits=phit_bits, flight_cycles=flight_cycles, timeout_cycles=TIMEOUT
    )


@pytest.mark.parametrize(
    ("width", "phit_bits", "flight_cycles", "depth", "flips", "burst", "stalls", "chance"),
    [
        (84, 1024, 0, None, 0.15, 255, 0.0, 1.0),
        (22, 33, 5, None, 0.05, 0, 0.002, 0.5),
        pytest.param(16, 7, 2, None, 0.15, 255, 0.002, 0.7, marks=pytest.mark.slow),
        pytest.param(84, 1024, 20, 2, 0.03, 0b101, 0.002, 0.5, marks=pytest.mark.slow),
        pytest.param(1, 1, 3, None, 0.03, 0, 0.0, 1.0, marks=pytest.mark.slow),
        pytest.param(40, 34, 3, 32, 0.15, 1, 0.002, 0.5, marks=pytest.mark.slow),
        pytest.param(533, 512, 1, None, 0.1, 255, 0.002, 0.9, marks=pytest.mark.slow),
    ],
)
def test_what_comes_out_is_what_went_in(
    width: int,
    phit_bits: int,
    flight_cycles: int,
    depth: int | None,
    flips: float,
    burst: int,
    stalls: float,
    chance: float,
) -> None:
    sizes = shape(width, phit_bits, flight_cycles)
    if depth is not None:
        sizes = replace(sizes, frame=replace(sizes.frame, depth=depth))
    # The chance is that of a frame.
    faults = Faults(
        flips=flips / sizes.frame.longest_cycles, burst=burst, stalls=stalls, stall_mask=31, seed=width
    )
    LinkPair(sizes, flight_cycles).exchange((200, 120), faults, chance=chance)


@pytest.mark.parametrize(
    ("data_bits", "phit_bits", "flight_cycles"),
    [
        (16, 24, 0),
        (64, 1100, 9),
        (512, 512, 0),
        pytest.param(64, 61, 2, marks=pytest.mark.slow),
        pytest.param(1024, 1024, 1, marks=pytest.mark.slow),
        pytest.param(1040, 77, 3, marks=pytest.mark.slow),
        pytest.param(64, 128, 20, marks=pytest.mark.slow),
        pytest.param(17, 1, 0, marks=pytest.mark.slow),
    ],
)
def test_goodput_and_latency_are_those_of_the_frame(
    data_bits: int, phit_bits: int, flight_cycles: int
) -> None:
    sizes = LinkShape.fit(
        data_bits=data_bits,
        width=data_bits + 21,
        phit_bits=phit_bits,
        flight_cycles=flight_cycles,
        timeout_cycles=100_000,
    )
    frame = sizes.frame
    pair = LinkPair(sizes, flight_cycles)
    frames = 3
    found = [0, 0]

    async def bench(ctx: Any) -> None:
        await pair.set_faults(ctx, Faults())
        entrance, leave = pair.ports[0].i, pair.ports[1].o
        await ctx.tick().until(pair.ports[0].up & pair.ports[1].up)
        for port in pair.ports:
            ctx.set(port.o.ready, 1)
        await ctx.tick().repeat(2 * frame.frame_cycles(0) + flight_cycles)
        # A flit alone, at the start of a frame.
        ctx.set(entrance.payload, 5)
        while not ctx.get(entrance.ready):
            await ctx.tick()
        ctx.set(entrance.valid, 1)
        await ctx.tick()
        ctx.set(entrance.valid, 0)
        cycles = 1
        while not ctx.get(leave.valid):
            await ctx.tick()
            cycles += 1
        assert ctx.get(leave.payload) == 5
        # It is offered in the cycle of the slot, which is not the first one if the header takes whole phits.
        assert cycles == frame.latency_cycles - frame.slots[0] // phit_bits
        # Both directions as fast as they go: once the buffers are full of flits, each frame time has as many.
        for port in pair.ports:
            ctx.set(port.i.valid, 1)
        await ctx.tick().repeat(2 * sizes.round_trip_cycles)
        for _ in range(frames * frame.longest_cycles):
            _, _, *values = await ctx.tick().sample(*(port.o.valid for port in pair.ports))
            for side in (0, 1):
                found[side] += values[side]

    simulate(pair.module, bench)
    carried = frames * frame.longest_cycles * phit_bits
    assert [Fraction(flits * data_bits, carried) for flits in found] == [frame.goodput] * 2


def test_errors_of_any_weight_are_made_good() -> None:
    sizes = shape(16, 48, 1)
    frame = sizes.frame
    assert frame.longest_cycles > 1
    pair = LinkPair(sizes, 1)
    coin = Random(7)
    words = [coin.getrandbits(16) for _ in range(300)]
    bits = sizes.wires * frame.longest_cycles

    async def noise(ctx: Any) -> None:
        await pair.set_faults(ctx, Faults())
        for weight in (*range(1, 13), 20, 40):
            for side in (0, 1):
                flipped = sum(1 << place for place in coin.sample(range(bits), weight))
                for phit in range(frame.longest_cycles):
                    ctx.set(pair.flips[side], flipped >> phit * sizes.wires & (1 << sizes.wires) - 1)
                    await ctx.tick()
                ctx.set(pair.flips[side], 0)
            await ctx.tick().repeat(1 + coin.randrange(2 * frame.longest_cycles))

    async def source(ctx: Any) -> None:
        await put(ctx, pair.ports[0].i, words)

    async def sink(ctx: Any) -> None:
        assert await get(ctx, pair.ports[1].o, len(words)) == words

    simulate(pair.module, noise, source, sink, cycles=5000)


@pytest.mark.parametrize("mark", [1, 2])
def test_a_flip_of_one_mark_is_a_bad_frame_in_any_phit(mark: int) -> None:
    """So it takes a flag and both marks to cut a frame short, or to join two."""
    sizes = shape(16, 48, 0)
    pair = LinkPair(sizes, 0)

    async def bench(ctx: Any) -> None:
        await pair.set_faults(ctx, Faults())
        ctx.set(pair.ports[0].i.valid, 1)
        ctx.set(pair.ports[1].o.ready, 1)
        await ctx.tick().repeat(100)
        for _ in range(2 * sizes.frame.longest_cycles):
            ctx.set(pair.flips[0], 1 << sizes.wires - mark)
            assert ctx.get(pair.ports[1].crc_error)
            await ctx.tick()
            ctx.set(pair.flips[0], 0)
            # The rest of the frame is not trusted; the next ones are good again.
            await ctx.tick().repeat(7 * sizes.frame.longest_cycles)
            assert not ctx.get(pair.ports[1].crc_error)
            await ctx.tick()

    simulate(pair.module, bench)


def test_a_lost_flit_costs_a_round_trip_and_a_bad_frame_without_one_nothing() -> None:
    sizes = shape(84, 1024, 3)
    idle = LinkPair(sizes, 3).exchange((0, 1), Faults(flips=0.2, seed=3), chance=0.01)
    assert idle["crc_error"] > 0
    busy = LinkPair(sizes, 3).exchange((200, 200), Faults(flips=0.01, seed=5))
    # What was in flight with the lost flit is sent again: at most all that the buffer holds.
    assert 0 < busy["replayed"] <= busy["crc_error"] * sizes.depth
    assert busy["flip"] == busy["crc_error"] > 2


@pytest.mark.parametrize(
    ("phit_bits", "traffic"),
    [
        (1024, True),
        (48, False),
        pytest.param(1024, False, marks=pytest.mark.slow),
        pytest.param(48, True, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("cut", [(0,), (1,), (0, 1)])
def test_a_dead_link_is_dead_within_the_bound(phit_bits: int, traffic: bool, cut: tuple[int, ...]) -> None:
    flight_cycles, timeout = 4, 400
    sizes = LinkShape.fit(width=84, phit_bits=phit_bits, flight_cycles=flight_cycles, timeout_cycles=timeout)
    pair = LinkPair(sizes, flight_cycles)

    async def bench(ctx: Any) -> None:
        await pair.set_faults(ctx, Faults())
        for port in pair.ports:
            ctx.set(port.i.valid, traffic)
            ctx.set(port.o.ready, 1)
        await ctx.tick().repeat(timeout)
        assert all(ctx.get(port.up) and not ctx.get(port.dead) for port in pair.ports)
        for side in cut:
            ctx.set(pair.stuck[side], (1 << sizes.wires) - 1)
        died: dict[int, int] = {}
        for cycle in range(sizes.dead_cycles + 1):
            for side, port in enumerate(pair.ports):
                if ctx.get(port.dead):
                    died.setdefault(side, cycle)
            await ctx.tick()
        assert set(died) == {0, 1}
        # The side that hears nothing any more knows first.
        assert died[1 - cut[0]] <= timeout + 2 * sizes.frame.longest_cycles
        for port in pair.ports:
            assert not ctx.get(port.up)
            assert not ctx.get(port.i.ready)
        for side in cut:
            ctx.set(pair.stuck[side], 0)
        await ctx.tick().repeat(timeout)
        assert all(ctx.get(port.up) and not ctx.get(port.dead) for port in pair.ports)

    simulate(pair.module, bench)


@pytest.mark.parametrize("frames", ["idle", "busy"])
def test_wires_that_repeat_a_frame_for_ever_are_dead_once_a_flit_is_sent(frames: str) -> None:
    sizes = LinkShape.fit(width=8, phit_bits=1024, flight_cycles=0, timeout_cycles=50)
    ports = [LinkPort(shape=sizes) for _ in range(2)]
    m = Module()
    stuck, held = Signal(), Signal(sizes.wires)
    for side, port in enumerate(ports):
        m.submodules[f"port_{side}"] = port
    m.d.comb += [
        ports[0].rx.wires.eq(ports[1].tx.wires),
        ports[1].rx.wires.eq(Mux(stuck, held, ports[0].tx.wires)),
    ]
    with m.If(~stuck):
        m.d.sync += held.eq(ports[0].tx.wires)

    async def bench(ctx: Any) -> None:
        ctx.set(ports[0].i.valid, frames == "busy")
        ctx.set(ports[1].o.ready, 1)
        await ctx.tick().repeat(100)
        ctx.set(stuck, 1)
        await ctx.tick().repeat(60)
        assert ctx.get(ports[0].dead) == (frames == "busy")
        ctx.set(ports[0].i.valid, 1)
        await ctx.tick().repeat(60)
        assert ctx.get(ports[0].dead)

    simulate(m, bench)


def test_the_wires_of_an_idle_link_seldom_change() -> None:
    sizes = shape(84, 136, 0)
    pair = LinkPair(sizes, 0)
    periods = 4

    async def bench(ctx: Any) -> None:
        await ctx.tick().repeat(sizes.start_cycles)
        wires = [[ctx.get(port.tx.wires) for port in pair.ports]]
        for _ in range(periods * sizes.inversion_cycles):
            await ctx.tick()
            wires.append([ctx.get(port.tx.wires) for port in pair.ports])
        for way in zip(*wires, strict=True):
            assert sum(before != after for before, after in pairwise(way)) == periods

    simulate(pair.module, bench)


@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize("phit_bits", [1024, 48])
def test_either_side_may_leave_the_reset_first(late: int, phit_bits: int) -> None:
    sizes = shape(8, phit_bits, 2)
    held = Signal(init=1)
    ports = [LinkPort(shape=sizes) for _ in range(2)]
    m = Module()
    for side, port in enumerate(ports):
        m.submodules[f"port_{side}"] = ResetInserter(held if side == late else Const(0, 1))(port)
    m.d.comb += [ports[0].rx.wires.eq(ports[1].tx.wires), ports[1].rx.wires.eq(ports[0].tx.wires)]

    async def source(ctx: Any) -> None:
        await ctx.tick().repeat(77)
        ctx.set(held, 0)
        await put(ctx, ports[0].i, range(40))

    async def sink(ctx: Any) -> None:
        assert await get(ctx, ports[1].o, 40) == list(range(40))

    simulate(m, source, sink)


def test_both_sides_are_one_module() -> None:
    sizes = shape(84, 1024, 0)
    emitted = emit(LinkPort(shape=sizes), None)
    assert f"link_port_{sizes.text}" in emitted.modules
    assert len(emitted.modules) == len(set(emitted.modules)) == 5


def test_a_shape_follows_from_the_system() -> None:
    system = SystemSpec(
        die=DieSpec(clock_hz=2.0e9),
        link=LinkSpec(lanes=10, lane_rate=7.0e9, latency_seconds=4.6e-9, timeout_cycles=900),
    )
    assert (system.link_phit_bits, system.link_cycles) == (35, 10)
    sizes = LinkShape.of(system)
    assert sizes.frame == link_frame(system)
    assert (sizes.width, sizes.frame.phit_bits, sizes.timeout_cycles) == (
        flit_layout(system.nop).size,
        35,
        900,
    )
    assert (sizes.flight_cycles, sizes.wires) == (8, 36)
    assert sizes.header.size == sizes.frame.header_bits


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0}, "link: width = 0: must be an integer of at least 1"),
        ({"phit_bits": 0}, "link: phit_bits = 0: must be an integer of at least 1"),
        ({"flight_cycles": -1}, "link: flight_cycles = -1: must be an integer of at least 0"),
        (
            {"timeout_cycles": 9},
            "link.timeout_cycles = 9: must be at least 22, what the link takes to start",
        ),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match="^link") as caught:
        LinkShape.fit(**{"width": 8, "phit_bits": 1024, "flight_cycles": 0, "timeout_cycles": 99, **fields})
    assert str(caught.value) == message


def test_buffers_are_a_power_of_two() -> None:
    with pytest.raises(ValueError, match=r"^link: depth = 6: must be a power of two$"):
        LinkShape(frame=replace(shape(8, 64, 0).frame, depth=6), timeout_cycles=100)
