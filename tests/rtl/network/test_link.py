# amaranth: UnusedElaboratable=no
"""Link adapter: the stream that comes out is the one that went in, whatever the wires do; rate, latency, death."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from amaranth.hdl import Const, Module, Mux, ResetInserter, Signal
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chiplet.machine.specs import DieSpec, LinkSpec, SystemSpec
from rtl.emit.emitter import emit
from rtl.interface.link_shape import LINK_CYCLES, LinkShape
from rtl.network.link import LinkPort
from tests.rtl.harness import get, put, simulate
from tests.rtl.links import Faults, LinkPair

TIMEOUT = 2000


def shape(width: int, phit_bits: int, flight_cycles: int) -> LinkShape:
    return LinkShape.fit(
        width=width, phit_bits=phit_bits, flight_cycles=flight_cycles, timeout_cycles=TIMEOUT
    )


@hypothesis_settings(max_examples=15, deadline=None)
@given(
    width=st.integers(1, 90),
    phit_bits=st.sampled_from([1, 7, 16, 33, 64, 1024]),
    flight_cycles=st.integers(0, 20),
    depth=st.sampled_from([None, 1, 2, 4]),
    flips=st.sampled_from([0.0, 0.002, 0.03, 0.15]),
    burst=st.sampled_from([0, 1, 0b101, 255]),
    stalls=st.sampled_from([0.0, 0.002]),
    chance=st.sampled_from([1.0, 0.5]),
    seed=st.integers(1, 1 << 20),
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
    seed: int,
) -> None:
    sizes = shape(width, phit_bits, flight_cycles)
    if depth is not None:
        sizes = LinkShape(width=width, phit_bits=phit_bits, depth=depth, timeout_cycles=TIMEOUT)
    # The chance is that of a frame; a frame of one bit a cycle takes long, so fewer of them are sent.
    faults = Faults(flips=flips / sizes.frame_cycles, burst=burst, stalls=stalls, stall_mask=31, seed=seed)
    count = max(3, 100 // sizes.frame_cycles)
    LinkPair(sizes, flight_cycles).exchange((count, count // 2), faults, chance=chance)


@pytest.mark.parametrize(
    ("width", "phit_bits", "flight_cycles"),
    [(84, 1024, 0), (84, 1024, 9), (1, 64, 3), (84, 44, 0), (84, 17, 6), (5, 1, 2), (84, 130, 20)],
)
def test_a_flit_every_frame_time_in_both_directions_after_the_latency(
    width: int, phit_bits: int, flight_cycles: int
) -> None:
    sizes = shape(width, phit_bits, flight_cycles)
    pair = LinkPair(sizes, flight_cycles)
    frames = 3 * sizes.depth + 5
    sent: list[list[int]] = [[], []]
    found: list[list[int]] = [[], []]

    async def bench(ctx: Any) -> None:
        await pair.set_faults(ctx, Faults())
        strobes = []
        for port in pair.ports:
            ctx.set(port.i.valid, 1)
            ctx.set(port.o.ready, 1)
            strobes += [port.i.ready, port.o.valid]
        await ctx.tick().repeat(2 * sizes.round_trip_cycles(flight_cycles))
        for cycle in range(frames * sizes.frame_cycles):
            _, _, *values = await ctx.tick().sample(*strobes)
            for side in (0, 1):
                sent[side] += [cycle] * values[2 * side]
                found[1 - side] += [cycle] * values[2 * side + 1]

    simulate(pair.module, bench)
    for side in (0, 1):
        steps = {after - before for before, after in pairwise(sent[side])}
        assert steps == {sizes.frame_cycles}
        assert len(sent[side]) == frames
        assert {after - before for before, after in pairwise(found[side])} == {sizes.frame_cycles}


@pytest.mark.parametrize(("phit_bits", "flight_cycles"), [(1024, 0), (1024, 7), (64, 0), (50, 5)])
def test_the_latency_of_a_flit_is_that_of_the_shape(phit_bits: int, flight_cycles: int) -> None:
    sizes = shape(84, phit_bits, flight_cycles)
    pair = LinkPair(sizes, flight_cycles)
    entrance, exit_ = pair.ports[0].i, pair.ports[1].o

    async def bench(ctx: Any) -> None:
        await pair.set_faults(ctx, Faults())
        await ctx.tick().repeat(50)
        for flit in (5, (1 << 84) - 1):
            ctx.set(entrance.valid, 1)
            ctx.set(entrance.payload, flit)
            await ctx.tick().until(entrance.ready)
            ctx.set(entrance.valid, 0)
            cycles = 1
            while not ctx.get(exit_.valid):
                await ctx.tick()
                cycles += 1
            assert ctx.get(exit_.payload) == flit
            assert cycles == sizes.latency_cycles(flight_cycles)
            ctx.set(exit_.ready, 1)
            await ctx.tick()
            ctx.set(exit_.ready, 0)

    simulate(pair.module, bench)
    if (phit_bits, flight_cycles) == (1024, 0):
        assert sizes.latency_cycles(0) == LINK_CYCLES == 2


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
    flight_cycles, timeout = 4, 150
    sizes = LinkShape.fit(width=84, phit_bits=phit_bits, flight_cycles=flight_cycles, timeout_cycles=timeout)
    pair = LinkPair(sizes, flight_cycles)

    async def bench(ctx: Any) -> None:
        await pair.set_faults(ctx, Faults())
        for port in pair.ports:
            ctx.set(port.i.valid, traffic)
            ctx.set(port.o.ready, 1)
        await ctx.tick().repeat(3 * timeout)
        assert all(ctx.get(port.up) and not ctx.get(port.dead) for port in pair.ports)
        for side in cut:
            ctx.set(pair.channels[side].cut, 1)
        died: dict[int, int] = {}
        for cycle in range(sizes.dead_cycles(flight_cycles) + 1):
            for side, port in enumerate(pair.ports):
                if ctx.get(port.dead):
                    died.setdefault(side, cycle)
            await ctx.tick()
        assert set(died) == {0, 1}
        # The side that hears nothing any more knows first.
        assert died[1 - cut[0]] <= timeout + sizes.frame_cycles
        for port in pair.ports:
            assert not ctx.get(port.up)
            assert not ctx.get(port.i.ready)
            assert not ctx.get(port.tx.wires)
        for side in cut:
            ctx.set(pair.channels[side].cut, 0)
        await ctx.tick().repeat(2 * timeout)
        assert all(ctx.get(port.dead) for port in pair.ports)

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
    emitted = emit(LinkPort(shape=shape(84, 1024, 0)), None)
    assert emitted.modules == ("crc32c_99", "link_port_84x8_p131_t2000")


def test_a_shape_follows_from_the_system() -> None:
    system = SystemSpec(
        die=DieSpec(clock_hz=2.0e9),
        link=LinkSpec(lanes=10, lane_rate=7.0e9, latency_seconds=4.6e-9, timeout_cycles=300),
    )
    assert (system.link_phit_bits, system.link_cycles) == (35, 10)
    sizes = LinkShape.of(system, width=70)
    assert LinkShape.flight_cycles(system) == 8
    assert (sizes.width, sizes.phit_bits, sizes.timeout_cycles) == (70, 35, 300)
    assert (sizes.frame_bits, sizes.frame_cycles, sizes.wires) == (70 + 3 + 12 + 32, 4, 36)
    assert sizes.round_trip_cycles(8) == 30 <= sizes.depth * sizes.frame_cycles == 32
    assert sizes.latency_cycles(8) == 13


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0}, "link: width = 0: must be an integer of at least 1"),
        ({"phit_bits": 0}, "link: phit_bits = 0: must be an integer of at least 1"),
        ({"flight_cycles": -1}, "link: flight_cycles = -1: must be an integer of at least 0"),
        (
            {"timeout_cycles": 9},
            "link.timeout_cycles = 9: must be at least 10, two round trips of the link",
        ),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match="^link") as caught:
        LinkShape.fit(**{"width": 8, "phit_bits": 1024, "flight_cycles": 0, "timeout_cycles": 99, **fields})
    assert str(caught.value) == message


def test_buffers_are_a_power_of_two() -> None:
    with pytest.raises(ValueError, match=r"^link: depth = 6: must be a power of two$"):
        LinkShape(width=8, phit_bits=64, depth=6, timeout_cycles=100)
