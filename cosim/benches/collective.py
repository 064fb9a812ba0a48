"""Bench of a mesh of dies with engines: fill programs and exchange buffers, start all in one cycle, read the results.

Python is not in the cycle loop. What to do comes as a :class:`cosim.jobs.collective.CollectiveJob`.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, ReadOnly, RisingEdge, Timer

from cosim.benches.observer import Observer
from cosim.jobs.collective import CollectiveJob, exchange_path, program_words, save_counters, save_result
from cosim.jobs.die import CLOCK_NS, FOLDER_VARIABLE, save_changes
from rtl.interface.register_map import COMMANDS, CONTROL, COUNTERS, ENGINE_COUNTERS, PROGRAM, counter_address


@cocotb.test()
async def run_collective(dut: Any) -> None:
    """Run the programs of the job; counters and exchange buffers are written however it ends."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    job = CollectiveJob.load(folder)
    for name in ("address", "write", "write_data", "read", "node", "all"):
        getattr(dut, f"host_{name}").value = 0
    dut.memory_latency.value = job.latency
    dut.memory_interval.value = 1
    dut.memory_stall.value = job.stall
    dut.memory_seed.value = job.seed
    dut.memory_reseed.value = 1
    links = job.link_job
    if links is not None:
        for name in ("link", "seed", "reseed", "cut", "select"):
            getattr(dut, name).value = 0
        for name, value in links.registers.items():
            getattr(dut, name).value = value
        dut.cut_link.value = links.cut_link or 0
    dut.rst.value = 1

    for node in range(len(job.commands)):
        contents = getattr(dut, f"node_{node}").memory.contents
        for address, word in program_words(folder, node, word_bytes=job.word_bytes):
            contents[address].value = word
        filled = exchange_path(folder, node).read_bytes()
        for place, part in enumerate(_parts(dut, node, job)):
            part.value = int.from_bytes(filled[4 * place : 4 * place + 4], "little")

    Clock(dut.clk, CLOCK_NS, unit="ns", impl="gpi").start()
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    dut.memory_reseed.value = 0
    observer = Observer(dut, job.observed)
    coin = Random(job.seed)
    for link in range(links.links if links else 0):
        dut.link.value = link
        dut.seed.value = coin.randrange(1, 1 << 32)
        dut.reseed.value = 1
        await RisingEdge(dut.clk)
        dut.reseed.value = 0
    for node, count in enumerate(job.commands):
        await _write(dut, node, COMMANDS, count)
    dut.host_all.value = 1
    await _write(dut, 0, PROGRAM, 0)
    await _write(dut, 0, CONTROL, 1)
    dut.host_all.value = 0
    over = (RisingEdge(dut.done), RisingEdge(dut.error))
    if links is not None and links.cut_link is not None:
        await First(*over, ClockCycles(dut.clk, max(1, links.cut_cycle)))
        dut.cut.value = 1
    await RisingEdge(dut.clk)
    if not (dut.done.value or dut.error.value):
        await First(*over, Timer(CLOCK_NS * job.most_cycles, unit="ns"))
    await RisingEdge(dut.clk)
    if links is not None and dut.error.value:
        await ClockCycles(dut.clk, links.dead_cycles)  # until both ends know
    await ReadOnly()
    state = "error" if dut.error.value else "done" if dut.done.value else "stuck"
    await RisingEdge(dut.clk)

    counters: list[dict[str, int]] = []
    for node in range(len(job.commands)):
        values = {}
        for name in (*COUNTERS, *ENGINE_COUNTERS):
            low = await _read(dut, node, counter_address(name))
            values[name] = await _read(dut, node, counter_address(name) + 1) << 32 | low
        counters.append(values)
        save_result(folder, node, [part.value for part in _parts(dut, node, job)])
    of_links: list[dict[str, int]] = []
    for link in range(links.links if links else 0):
        dut.link.value = link
        of_links.append({})
        for number, name in enumerate(job.link_counters):
            dut.select.value = number
            await RisingEdge(dut.clk)
            await ReadOnly()
            of_links[link][name] = dut.value.value.to_unsigned()
            await RisingEdge(dut.clk)
    save_counters(folder, state, counters, of_links)
    if job.observed:
        save_changes(folder, observer.changes)


def _parts(dut: Any, node: int, job: CollectiveJob) -> list[Any]:
    """The 32-bit parts of the words of an exchange buffer, in order."""
    exchange = getattr(dut, f"node_{node}").die.exchange
    parts = range(job.word_bytes // 4)
    banks = [[getattr(exchange, f"bank_{bank}_{part}").mem for part in parts] for bank in range(job.banks)]
    return [banks[word % job.banks][part][word // job.banks] for word in range(job.words) for part in parts]


async def _write(dut: Any, node: int, address: int, value: int) -> None:
    dut.host_node.value = node
    dut.host_address.value = address
    dut.host_write_data.value = value
    dut.host_write.value = 1
    await RisingEdge(dut.clk)
    dut.host_write.value = 0


async def _read(dut: Any, node: int, address: int) -> int:
    dut.host_node.value = node
    dut.host_address.value = address
    dut.host_read.value = 1
    await RisingEdge(dut.clk)
    dut.host_read.value = 0
    await ReadOnly()
    value: int = dut.host_read_data.value.to_unsigned()
    await RisingEdge(dut.clk)
    return value
