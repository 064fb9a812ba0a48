"""Bench of a mesh of dies with engines: fill programs and scratchpads, start all in one cycle, read the results.

Python is not in the cycle loop. The job is a :class:`cosim.jobs.collective.CollectiveJob`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, First, ReadOnly, RisingEdge, Timer

from cosim.benches.faulty_links import cut_links, seed_links
from cosim.benches.host import (
    clear,
    post_semaphores,
    read_counters,
    read_selected,
    read_words,
    release_reset,
    set_limits,
    set_memory,
    write_register,
)
from cosim.benches.observer import Observer
from cosim.jobs.base import CLOCK_NS, FOLDER_VARIABLE
from cosim.jobs.collective import CollectiveJob, node_folder, scratchpad_path
from cosim.jobs.folder import image_words, save_changes, save_result
from cosim.jobs.mesh import MeshCounters
from rtl.interface.register_map import COMMANDS, CONTROL, PROGRAM


@cocotb.test()
async def run_collective(dut: Any) -> None:
    """Run the programs of the job. Counters and scratchpads are written however the run ends."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    job = CollectiveJob.load(folder)
    clear(dut, (f"host_{name}" for name in ("address", "write", "write_data", "read", "node", "all")))
    set_memory(dut, job)
    links = job.link_job
    if links is not None:
        clear(dut, ("link", "seed", "reseed", "cut", "select"))
        for name, value in links.registers.items():
            getattr(dut, name).value = value
        dut.cut_link.value = 0
    dut.rst.value = 1

    for node in range(len(job.commands)):
        contents = getattr(dut, f"node_{node}").memory.contents
        for address, word in image_words(node_folder(folder, node), word_bytes=job.word_bytes):
            contents[address].value = word
        initial = scratchpad_path(folder, node).read_bytes()
        size = job.word_bytes
        for place, word in enumerate(_words(dut, node, job)):
            word.value = int.from_bytes(initial[size * place : size * (place + 1)], "little")

    await release_reset(dut)
    dut.memory_reseed.value = 0
    observer = Observer(dut, job.observed)
    if links is not None:
        await seed_links(dut, links.links, job.seed)
    for node, commands in enumerate(job.commands):
        dut.host_node.value = node
        await write_register(dut, COMMANDS, commands)
    dut.host_node.value = 0
    dut.host_all.value = 1
    await write_register(dut, PROGRAM, 0)
    # A link that dies is found long before the watchdog ends the run.
    await set_limits(dut, memory_words=job.memory_words, most_cycles=4 * job.most_cycles)
    await write_register(dut, CONTROL, 1)
    await _open_gates(dut, job)
    ended = (RisingEdge(dut.done), RisingEdge(dut.error))
    died = [] if links is None else await cut_links(dut, links.cuts, *ended)
    await RisingEdge(dut.clk)
    if not (dut.done.value or dut.error.value):
        await First(*ended, Timer(CLOCK_NS * job.most_cycles, unit="ns"))
    await RisingEdge(dut.clk)
    if links is not None and (died or dut.error.value):
        await ClockCycles(dut.clk, links.dead_cycles)  # until both ends know
    await ReadOnly()
    state = "error" if dut.error.value else "done" if dut.done.value else "stuck"
    await RisingEdge(dut.clk)

    counters: list[dict[str, int]] = []
    for node in range(len(job.commands)):
        dut.host_node.value = node
        counters.append(await read_counters(dut, engine=True))
        save_result(folder, node, *read_words(_words(dut, node, job)), word_bytes=job.word_bytes)
    link_counters: list[dict[str, int]] = []
    if links is not None:
        link_counters = await read_selected(
            dut, dut.link, links.links, dut.select, dut.value, job.link_counters
        )
    MeshCounters(nodes=tuple(counters), links=tuple(link_counters), state=state).save(folder)
    if job.observed:
        save_changes(folder, observer.changes)


async def _open_gates(dut: Any, job: CollectiveJob) -> None:
    """Post the gates of all dies, while writes go to all of them; then let writes go to one again."""
    if job.posts:
        await ClockCycles(dut.clk, max(1, job.post_after))
        await post_semaphores(dut, job.posts)
    dut.host_all.value = 0


def _words(dut: Any, node: int, job: CollectiveJob) -> list[Any]:
    """The words of a scratchpad, in order."""
    scratchpad = getattr(dut, f"node_{node}").die.scratchpad
    banks = [getattr(scratchpad, f"bank_{bank}").mem for bank in range(job.banks)]
    return [banks[word % job.banks][word // job.banks] for word in range(job.words)]
