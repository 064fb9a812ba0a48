"""Semaphores against integers."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rtl.control.semaphores import Semaphores
from rtl.interface.isa import SEMAPHORE_BITS, SEMAPHORES
from tests.rtl.harness import signal, simulate

MOST = (1 << SEMAPHORE_BITS) - 1
UNITS = tuple(f"unit_{n}" for n in range(5))
ALL = (1 << SEMAPHORES) - 2
"""Mask of all semaphores."""


@pytest.mark.parametrize(("units", "posters", "seed"), [(1, 0, 0), (2, 1, 1), (4, 3, 2)])
def test_every_cycle_matches_integers(units: int, posters: int, seed: int) -> None:
    names, others = UNITS[:units], tuple(f"other_{n}" for n in range(posters))
    dut = Semaphores(names, others)
    coin = Random(seed)
    values = [0] * SEMAPHORES
    owners = [coin.choice(names) for _ in range(SEMAPHORES)]  # the unit that waits on each

    async def bench(ctx: Any) -> None:
        overflow = False
        lost = 0  # mask of those that overflowed, which ends the program: nobody waits for them
        for cycle in range(60):
            clear = cycle == 40
            number = coin.randrange(SEMAPHORES) if coin.random() < 0.3 else 0
            value = coin.choice((0, 1, 31, 32, 255, 256, MOST, coin.randint(0, MOST)))
            ctx.set(dut.clear, clear)
            ctx.set(dut.set_number, number)
            ctx.set(dut.set_value, value)
            changes = [0] * SEMAPHORES
            for name in (*names, *others):
                post = coin.getrandbits(SEMAPHORES) & ALL
                post &= coin.getrandbits(SEMAPHORES) if coin.random() < 0.5 else ALL
                ctx.set(signal(dut, f"{name}_post"), post)
                wait = take = 0
                if name in names:
                    mine = sum(1 << s for s, owner in enumerate(owners) if owner == name)
                    wait = mine & ALL & ~lost & coin.getrandbits(SEMAPHORES) & coin.getrandbits(SEMAPHORES)
                    ctx.set(signal(dut, f"{name}_wait"), wait)
                    ok = all(values[s] for s in range(SEMAPHORES) if wait >> s & 1)
                    assert ctx.get(signal(dut, f"{name}_ok")) == ok
                    take = ok and coin.random() < 0.7
                    ctx.set(signal(dut, f"{name}_take"), take)
                for s in range(SEMAPHORES):
                    changes[s] += (post >> s & 1) - (wait >> s & 1 & take)
            assert ctx.get(dut.overflow) == overflow
            overflow = False
            for s in range(1, SEMAPHORES):
                total = values[s] + changes[s]
                assert total >= 0
                keeps = s != number and not clear
                overflow |= total > MOST and keeps
                lost = (lost | (total > MOST) << s) if keeps else lost & ~(1 << s)
                values[s] = value if s == number else 0 if clear else total & MOST
            await ctx.tick()

    simulate(dut, bench)


def test_all_units_post_one_semaphore_in_one_cycle() -> None:
    dut = Semaphores(UNITS)

    async def bench(ctx: Any) -> None:
        for unit in UNITS:
            ctx.set(signal(dut, f"{unit}_post"), 4)
        await ctx.tick()
        for unit in UNITS:
            ctx.set(signal(dut, f"{unit}_post"), 0)
        ctx.set(signal(dut, "unit_0_wait"), 4)
        ctx.set(signal(dut, "unit_0_take"), 1)
        for _ in UNITS:
            assert ctx.get(signal(dut, "unit_0_ok"))
            await ctx.tick()
        assert not ctx.get(signal(dut, "unit_0_ok"))

    simulate(dut, bench)


def test_a_semaphore_that_is_full_overflows() -> None:
    dut = Semaphores(UNITS[:2])

    async def bench(ctx: Any) -> None:
        ctx.set(dut.set_number, 63)
        ctx.set(dut.set_value, MOST)
        await ctx.tick()
        ctx.set(dut.set_number, 0)
        ctx.set(signal(dut, "unit_0_post"), 1 << 63)
        ctx.set(signal(dut, "unit_1_wait"), 1 << 63)
        ctx.set(signal(dut, "unit_1_take"), 1)
        await ctx.tick()
        assert not ctx.get(dut.overflow)  # one comes, one goes
        ctx.set(signal(dut, "unit_1_take"), 0)
        await ctx.tick()
        assert ctx.get(dut.overflow)
        ctx.set(signal(dut, "unit_0_post"), 0)
        await ctx.tick()
        assert not ctx.get(dut.overflow)

    simulate(dut, bench)
