"""Bench-only top: a package with a memory behind each IO die, and counters of what passes between them."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.specs import SystemSpec
from rtl.bench.axi_memory import AxiBenchMemory
from rtl.bench.memory import CONTENTS, MemorySettings
from rtl.block import Block, Bundle, place
from rtl.interface.io_dies import io_die_names
from rtl.package.package import Package, PackageHostPort

__all__ = ["AXI_COUNTERS", "PackageBench", "contents_name"]

AXI_COUNTERS = ("reads", "writes")
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
    host : In(PackageHostPort), done, error : Out(1)
        Of the package.
    memory : In(MemorySettings)
        Settings of the memories. Each adds its number to the seed.
    counts : array
        ``reads`` and ``writes`` of each IO die: words read and written at its AXI port since reset; in Verilog
        ``io_west_0_reads`` and so on.
    """

    def __init__(self, *, system: SystemSpec, memory_depth: int, direct: bool = False) -> None:
        self._system, self._memory_depth, self._direct = system, memory_depth, direct
        io_dies = list(io_die_names(system).values())
        super().__init__(
            {
                "host": In(PackageHostPort(system)),
                "done": Out(1),
                "error": Out(1),
                "memory": In(MemorySettings()),
                "counts": Out(Bundle({name: Out(32) for name in AXI_COUNTERS})).array(len(io_dies)),
            },
            names={"counts": io_dies.__getitem__},
        )

    @property
    def block_name(self) -> str:
        return f"bench_{Package(system=self._system, direct=self._direct).block_name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        package = Package(system=self._system, direct=self._direct)
        place(m, platform, "chiplets", package)
        connect(m, flipped(self.host), package.host)
        m.d.comb += [self.done.eq(package.done), self.error.eq(package.error)]
        io_dies = io_die_names(self._system).values()
        for number, (name, axi, counts) in enumerate(zip(io_dies, package.axi, self.counts, strict=True)):
            memory = AxiBenchMemory(
                nop=self._system.nop, memory=self._system.memory, depth=self._memory_depth
            )
            place(m, platform, f"{name}_memory", memory)
            connect(m, axi, memory.s_axi)
            MemorySettings.numbered(m, self.memory, memory.settings, number)
            m.d.sync += [
                counts.reads.eq(counts.reads + (axi.rvalid & axi.rready)),
                counts.writes.eq(counts.writes + (axi.wvalid & axi.wready)),
            ]
        return m
