"""Bench of a mesh under traffic: seed the nodes, start, wait until every flit has arrived, read counters.

Python is not in the cycle loop. The job is a :class:`cosim.jobs.traffic.TrafficJob`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, First, RisingEdge, Timer

from cosim.benches.faulty_links import cut_links
from cosim.benches.host import clear, read_selected, release_reset
from cosim.jobs.base import CLOCK_NS, FOLDER_VARIABLE
from cosim.jobs.mesh import MeshCounters
from cosim.jobs.traffic import STUCK_CYCLES, TrafficJob
from rtl.bench.faulty_link import LINK_COUNTERS
from rtl.bench.traffic import SOURCE_COUNTERS, TRAFFIC_COUNTERS


@cocotb.test()
async def run_traffic(dut: Any) -> None:
    """Run the traffic of the job. Counters are written even if flits are lost: they show it."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    job = TrafficJob.load(folder)
    links = job.link_job
    clear(dut, ("start", "node", "seed", "seed_arrivals", "seed_targets", "select"))
    clear(dut, ("target_row", "target_col", "load_target", "source", "source_select", "loaded"))
    if job.packets is not None:
        clear(dut, ("cycle", "load_packet"))
    dut.first.value = job.first
    dut.last.value = job.last
    dut.chance.value = job.chance
    dut.length.value = job.length
    if links is not None:
        clear(dut, ("link", "seed_link", "select_link", "cut", "cut_link"))
        for name, value in links.registers.items():
            getattr(dut, name).value = value
    dut.rst.value = 1

    await release_reset(dut)
    random = Random(job.seed)
    strobes = (dut.seed_arrivals, dut.seed_targets)
    await _seed(dut, random, dut.node, job.nodes, strobes)
    await _load(dut, job)
    if links is not None:
        await _seed(dut, random, dut.link, links.links, (dut.seed_link,))
    dut.start.value = 1
    await _until_done(dut, job)

    node_counters = await read_selected(dut, dut.node, job.nodes, dut.select, dut.value, TRAFFIC_COUNTERS)
    link_counters: list[dict[str, int]] = []
    if links is not None:
        link_counters = await read_selected(
            dut, dut.link, links.links, dut.select_link, dut.link_value, LINK_COUNTERS
        )
    sources = []
    for node in range(job.nodes):
        dut.node.value = node
        counted = await read_selected(
            dut, dut.source, job.nodes, dut.source_select, dut.source_value, SOURCE_COUNTERS
        )
        sources.append(tuple(counted))
    MeshCounters(
        nodes=tuple(node_counters),
        links=tuple(link_counters),
        sources=tuple(sources),
        finished=dut.finished.value.to_unsigned(),
    ).save(folder)


async def _load(dut: Any, job: TrafficJob) -> None:
    """Load fixed targets, and packets of a trace."""
    for node, target in enumerate(job.targets or ()):
        await _load_one(dut, node, divmod(target, job.cols), dut.load_target)
    for node, cycle, target, flits in job.packets or ():
        dut.cycle.value = cycle
        dut.length.value = flits
        await _load_one(dut, node, divmod(target, job.cols), dut.load_packet)
    dut.loaded.value = sum(flits for *_, flits in job.packets or ())


async def _load_one(dut: Any, node: int, place: tuple[int, int], strobe: Any) -> None:
    dut.node.value = node
    dut.target_row.value, dut.target_col.value = place
    strobe.value = 1
    await RisingEdge(dut.clk)
    strobe.value = 0


async def _seed(dut: Any, random: Random, number: Any, count: int, strobes: Sequence[Any]) -> None:
    """Seed the random numbers of each of ``count`` units; ``number`` selects the unit."""
    for unit in range(count):
        number.value = unit
        for strobe in strobes:
            dut.seed.value = random.randrange(1, 1 << 32)
            strobe.value = 1
            await RisingEdge(dut.clk)
            strobe.value = 0


async def _until_done(dut: Any, job: TrafficJob) -> None:
    """Wait until all flits have arrived, no more flits arrive, or both ends of a dead link know."""
    links = job.link_job
    death = [] if links is None else [RisingEdge(dut.dead)]
    patience = STUCK_CYCLES if links is None else STUCK_CYCLES + links.dead_cycles
    cutting = None if links is None else cocotb.start_soon(cut_links(dut, links.cuts))
    await First(*death, ClockCycles(dut.clk, job.last))
    if cutting is not None:
        await cutting
    received = -1
    while received != dut.received.value.to_unsigned():
        received = dut.received.value.to_unsigned()
        if links is not None and (dut.dead.value or links.cuts):
            if not dut.dead.value:
                await First(*death, ClockCycles(dut.clk, patience))
            await ClockCycles(dut.clk, links.dead_cycles)
            break
        if dut.drained.value:
            break
        await First(RisingEdge(dut.drained), *death, Timer(CLOCK_NS * patience, unit="ns"))
        await RisingEdge(dut.clk)
