"""Bench-only top: a package with a memory behind each IO die, and counters of what passes between them."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import SystemSpec
from rtl.bench.axi_memory import AxiBenchMemory
from rtl.bench.memory import CONTENTS, SETTINGS
from rtl.block import Block, place
from rtl.interface.axi import connect_axi
from rtl.interface.io_dies import io_die_names
from rtl.package.package import Package, host_widths

__all__ = ["AXI_COUNTERS", "PackageBench", "contents_name"]

AXI_COUNTERS = {"reads": ("rvalid", "rready"), "writes": ("wvalid", "wready")}
"""Words that are counted at each AXI port: read, and written."""


def contents_name(io_die: str) -> str:
    """Hierarchical name of the contents of the memory behind an IO die."""
    return f"{io_die}_memory.memory.{CONTENTS}"


class PackageBench(Block):
    """A package and its memories. Each has its own contents, see :func:`contents_name`.

    Parameters
    ----------
    system : SystemSpec
        As for :class:`rtl.package.package.Package`.
    memory_depth : int
        Words of each memory.
    direct : bool
        Without link adapters.

    Members
    -------
    host_*, done, error
        Of the package.
    memory_* : In
        Settings of the memories, see :class:`rtl.bench.memory.BenchMemory`. Each adds its number to ``memory_seed``.
    io_west_0_reads, io_west_0_writes, ... : Out(32)
        Words read and written at the AXI port of each IO die since reset.
    """

    def __init__(self, *, system: SystemSpec, memory_depth: int, direct: bool = False) -> None:
        self._system, self._memory_depth, self._direct = system, memory_depth, direct
        super().__init__(
            {
                **{f"host_{name}": In(width) for name, width in host_widths(system).items()},
                "host_read_data": Out(32),
                "done": Out(1),
                "error": Out(1),
                **{f"memory_{name}": In(bits) for name, bits in SETTINGS.items()},
                **{
                    f"{io_die}_{count}": Out(32)
                    for io_die in io_die_names(system).values()
                    for count in AXI_COUNTERS
                },
            }
        )

    @property
    def block_name(self) -> str:
        return f"bench_{Package(system=self._system, direct=self._direct).block_name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        package = Package(system=self._system, direct=self._direct)
        place(m, platform, "chiplets", package)
        m.d.comb += [
            self.host_read_data.eq(package.host_read_data),
            self.done.eq(package.done),
            self.error.eq(package.error),
            *(
                getattr(package, f"host_{name}").eq(getattr(self, f"host_{name}"))
                for name in host_widths(self._system)
            ),
        ]
        for number, name in enumerate(io_die_names(self._system).values()):
            memory = AxiBenchMemory(
                nop=self._system.nop, memory=self._system.memory, depth=self._memory_depth
            )
            place(m, platform, f"{name}_memory", memory)
            m.d.comb += [
                *connect_axi(package, memory, manager_prefix=f"{name}_m_axi_", subordinate_prefix="s_axi_"),
                *(
                    getattr(memory, setting).eq(getattr(self, f"memory_{setting}"))
                    for setting in SETTINGS
                    if setting != "seed"
                ),
                memory.seed.eq(self.memory_seed + number),
            ]
            for count, (valid, ready) in AXI_COUNTERS.items():
                total = getattr(self, f"{name}_{count}")
                with m.If(getattr(memory, f"s_axi_{valid}") & getattr(memory, f"s_axi_{ready}")):
                    m.d.sync += total.eq(total + 1)
        return m
