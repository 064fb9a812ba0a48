"""Bench of a mesh under random traffic: seed the nodes, start, wait until every flit has arrived, read counters.

Python is not in the cycle loop. What to do comes as a :class:`cosim.traffic.TrafficJob` in the folder of the run.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, ReadOnly, RisingEdge, Timer

from cosim.job import CLOCK_NS, FOLDER_VARIABLE
from cosim.traffic_job import STUCK_CYCLES, TrafficJob, save_counters
from rtl.bench.traffic import TRAFFIC_COUNTERS


@cocotb.test()
async def run_traffic(dut: Any) -> None:
    """Run the traffic of the job. Counters are written also if flits stay behind: who reads them can tell."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    job = TrafficJob.load(folder)
    for name in ("start", "node", "seed", "seed_arrivals", "seed_targets", "select"):
        getattr(dut, name).value = 0
    dut.first.value = job.first
    dut.last.value = job.last
    dut.rate.value = job.rate
    dut.rst.value = 1

    # The clock of the interface layer: that of Python would be called twice a cycle.
    Clock(dut.clk, CLOCK_NS, unit="ns", impl="gpi").start()
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    coin = Random(job.seed)
    for node in range(job.nodes):
        dut.node.value = node
        for strobe in (dut.seed_arrivals, dut.seed_targets):
            dut.seed.value = coin.randrange(1, 1 << 32)
            strobe.value = 1
            await RisingEdge(dut.clk)
            strobe.value = 0
    dut.start.value = 1
    await ClockCycles(dut.clk, job.last)

    received = -1
    while received != dut.received.value.to_unsigned():
        received = dut.received.value.to_unsigned()
        if dut.drained.value:
            break
        await First(RisingEdge(dut.drained), Timer(CLOCK_NS * STUCK_CYCLES, unit="ns"))
        await RisingEdge(dut.clk)

    counters: list[dict[str, int]] = []
    for node in range(job.nodes):
        dut.node.value = node
        counters.append({})
        for number, name in enumerate(TRAFFIC_COUNTERS):
            dut.select.value = number
            await RisingEdge(dut.clk)
            await ReadOnly()
            counters[node][name] = dut.value.value.to_unsigned()
            await RisingEdge(dut.clk)
    save_counters(folder, counters)
