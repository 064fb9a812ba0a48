"""Links with faults: their random numbers, and links that die in the course of a run."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from cocotb.triggers import ClockCycles, First, RisingEdge
from cocotb.utils import get_sim_time

from cosim.jobs.base import CLOCK_NS
from cosim.jobs.mesh import Cut

__all__ = ["cut_links", "cycle_now", "seed_links"]


def cycle_now() -> int:
    """Cycles since the start of the simulation."""
    return round(get_sim_time("ns") / CLOCK_NS)


async def seed_links(dut: Any, links: int, seed: int) -> None:
    """Start the random numbers of each link."""
    random = Random(seed)
    for link in range(links):
        dut.link.value = link
        dut.seed.value = random.randrange(1, 1 << 32)
        dut.reseed.value = 1
        await RisingEdge(dut.clk)
        dut.reseed.value = 0


async def cut_links(dut: Any, cuts: Sequence[Cut], *ended: Any) -> list[int]:
    """Let links die, each so many cycles from now on; none after one of the triggers ``ended``.

    Returns when each has died, as of :func:`cycle_now`: those of the first ones of ``cuts``, which are in the order of
    time.
    """
    passed, died = 0, []
    for cut in cuts:
        if cut.cycle > passed:
            wait = ClockCycles(dut.clk, cut.cycle - passed)
            if await First(*ended, wait) is not wait:
                break
            passed = cut.cycle
        dut.cut_link.value = cut.link
        dut.cut.value = 1
        await RisingEdge(dut.clk)
        died.append(cycle_now())
        dut.cut.value = 0
        passed += 1
    return died
