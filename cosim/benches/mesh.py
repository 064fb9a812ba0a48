"""Bench of a mesh under random traffic: seed the nodes, start, wait until every flit has arrived, read counters.

Python is not in the cycle loop. What to do comes as a :class:`cosim.run.traffic.TrafficJob` in the folder of the run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, ReadOnly, RisingEdge, Timer

from cosim.jobs.die import CLOCK_NS, FOLDER_VARIABLE
from cosim.jobs.traffic import STUCK_CYCLES, TrafficJob, save_counters
from rtl.bench.faulty_link import LINK_COUNTERS
from rtl.bench.traffic import TRAFFIC_COUNTERS


@cocotb.test()
async def run_traffic(dut: Any) -> None:
    """Run the traffic of the job. Counters are written also if flits stay behind: who reads them can tell."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    job = TrafficJob.load(folder)
    links = job.link_job
    for name in ("start", "node", "seed", "seed_arrivals", "seed_targets", "select"):
        getattr(dut, name).value = 0
    dut.first.value = job.first
    dut.last.value = job.last
    dut.rate.value = job.rate
    if links is not None:
        for name in ("link", "seed_link", "select_link"):
            getattr(dut, name).value = 0
        for name, value in links.registers.items():
            getattr(dut, name).value = value
        dut.cut.value = links.cut_link is not None
        dut.cut_link.value = links.cut_link or 0
        dut.cut_cycle.value = links.cut_cycle
    dut.rst.value = 1

    # The clock of the interface layer: that of Python would be called twice a cycle.
    Clock(dut.clk, CLOCK_NS, unit="ns", impl="gpi").start()
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    coin = Random(job.seed)
    strobes = (dut.seed_arrivals, dut.seed_targets)
    await _seed(dut, coin, dut.node, job.nodes, strobes)
    if links is not None:
        await _seed(dut, coin, dut.link, links.links, (dut.seed_link,))
    dut.start.value = 1
    await _until_done(dut, job)

    nodes = await _counters(dut, dut.node, job.nodes, dut.select, dut.value, TRAFFIC_COUNTERS)
    of_links: list[dict[str, int]] = []
    if links is not None:
        of_links = await _counters(dut, dut.link, links.links, dut.select_link, dut.link_value, LINK_COUNTERS)
    save_counters(folder, nodes, of_links)


async def _seed(dut: Any, coin: Random, number: Any, count: int, strobes: Sequence[Any]) -> None:
    """Give each of ``count`` units, which ``number`` selects, its own random numbers."""
    for unit in range(count):
        number.value = unit
        for strobe in strobes:
            dut.seed.value = coin.randrange(1, 1 << 32)
            strobe.value = 1
            await RisingEdge(dut.clk)
            strobe.value = 0


async def _until_done(dut: Any, job: TrafficJob) -> None:
    """Wait until every flit has arrived, or none does any more, or a link is dead at both ends."""
    links = job.link_job
    over = [] if links is None else [RisingEdge(dut.dead)]
    patience = STUCK_CYCLES if links is None else STUCK_CYCLES + links.dead_cycles
    await First(*over, ClockCycles(dut.clk, job.last))
    received = -1
    while received != dut.received.value.to_unsigned():
        received = dut.received.value.to_unsigned()
        if links is not None and (dut.dead.value or links.cut_link is not None):
            if not dut.dead.value:
                await First(*over, ClockCycles(dut.clk, patience))
            await ClockCycles(dut.clk, links.dead_cycles)
            break
        if dut.drained.value:
            break
        await First(RisingEdge(dut.drained), *over, Timer(CLOCK_NS * patience, unit="ns"))
        await RisingEdge(dut.clk)


async def _counters(
    dut: Any, number: Any, count: int, select: Any, value: Any, names: Sequence[str]
) -> list[dict[str, int]]:
    """Read the counters ``names`` of ``count`` units, which ``number`` selects."""
    found: list[dict[str, int]] = []
    for unit in range(count):
        number.value = unit
        found.append({})
        for place, name in enumerate(names):
            select.value = place
            await RisingEdge(dut.clk)
            await ReadOnly()
            found[unit][name] = value.value.to_unsigned()
            await RisingEdge(dut.clk)
    return found
