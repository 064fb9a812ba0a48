"""Delay and Skew against a list of past inputs."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.sim import Simulator

from rtl.emit.conversions import Conversions
from rtl.emit.emitter import emit
from rtl.lib import delay
from rtl.lib.delay import Delay, Skew

SIZES = [1, 2, 3, 5, 8, 16]


def outputs(dut: Delay | Skew, values: list[int], *, reset_at: int | None = None) -> list[int]:
    """What ``dut`` shows while each of ``values`` is at its input; a reset during cycle ``reset_at``."""
    seen: list[int] = []

    async def bench(ctx: Any) -> None:
        for value in values:
            ctx.set(dut.i, value)
            seen.append(ctx.get(dut.o))
            await ctx.tick()

    m = Module()
    m.submodules.dut = dut
    m.domains.sync = domain = ClockDomain()
    cycle = Signal(32, reset_less=True)
    m.d.sync += cycle.eq(cycle + 1)
    if reset_at is not None:
        m.d.comb += domain.rst.eq(cycle == reset_at)
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


@pytest.mark.parametrize("cycles", [0, *SIZES])
@pytest.mark.parametrize("width", [1, 5, 32])
def test_delay_is_the_input_of_cycles_ago(width: int, cycles: int) -> None:
    rng = random.Random(cycles)
    values = [rng.getrandbits(width) for _ in range(40)]
    assert outputs(Delay(width=width, cycles=cycles), values) == ([0] * cycles + values)[:40]


@pytest.mark.parametrize("cycles", [1, 3])
def test_reset_clears_only_a_delay_that_is_not_reset_less(cycles: int) -> None:
    values = list(range(1, 21))
    kept = outputs(Delay(width=8, cycles=cycles), values, reset_at=9)
    cleared = outputs(Delay(width=8, cycles=cycles, reset_less=False), values, reset_at=9)
    assert kept == ([0] * cycles + values)[:20]
    assert cleared == [0 if 10 <= t < 10 + cycles else value for t, value in enumerate(kept)]


def test_long_delays_are_cut_into_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delay, "_REGISTER_BITS", 20)
    values = list(range(1, 41))
    for width, cycles in ((8, 7), (8, 4), (32, 3)):
        assert outputs(Delay(width=width, cycles=cycles), values) == ([0] * cycles + values)[:40]


@pytest.mark.parametrize("per_lane", [0, 1, 3])
@pytest.mark.parametrize("lanes", SIZES)
def test_skew_delays_each_lane_by_its_number(lanes: int, per_lane: int) -> None:
    rng = random.Random(lanes)
    width, length = 4, 64
    vectors = [[rng.getrandbits(width) for _ in range(lanes)] for _ in range(length)]
    packed = [sum(value << (width * lane) for lane, value in enumerate(vector)) for vector in vectors]
    seen = outputs(Skew(lanes=lanes, width=width, per_lane=per_lane), packed)
    for t, value in enumerate(seen):
        for lane in range(lanes):
            past = t - lane * per_lane
            expected = vectors[past][lane] if past >= 0 else 0
            assert value >> (width * lane) & ((1 << width) - 1) == expected


def test_long_delays_of_lanes_are_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """7 = 1 + 2 + 4 cycles: a register, and two blocks that other lanes have, too."""
    values = [random.Random(seed).getrandbits(32) for seed in range(30)]
    whole = outputs(Skew(lanes=8, width=4, per_lane=1), values)
    monkeypatch.setattr(delay, "_BLOCK_CYCLES", 2)
    assert outputs(Skew(lanes=8, width=4, per_lane=1), values) == whole
    assert emit(Skew(lanes=8, width=4, per_lane=1), None, conversions=Conversions()).modules[:-1] == (
        "delay_4x2",
        "delay_4x4",
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Delay(width=0, cycles=1), "Delay: width = 0: must be an integer of at least 1"),
        (lambda: Delay(width=1, cycles=-1), "Delay: cycles = -1: must be an integer of at least 0"),
        (
            lambda: Skew(lanes=True, width=1, per_lane=1),
            "Skew: lanes = True: must be an integer of at least 1",
        ),
        (
            lambda: Skew(lanes=1, width=1, per_lane=-2),
            "Skew: per_lane = -2: must be an integer of at least 0",
        ),
    ],
)
def test_impossible_parameters_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()
