"""Bench-only top: a package with a memory behind each IO die, and counters of what passes between them."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.specs import SystemSpec
from rtl.bench.axi_memory import AxiBenchMemory
from rtl.bench.channel import Channel
from rtl.bench.memory import CONTENTS, MemorySettings
from rtl.bench.router_mesh import MeshFaults
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
    faulty : bool
        Whether the wires of all links have faults; not with ``direct``.
    vector : bool
        With the vector units of the dies.

    Members
    -------
    host : In(PackageHostPort), done, error : Out(1)
        Of the package.
    memory : In(MemorySettings)
        Settings of the memories. Each adds its number to the seed.
    counts : array
        ``reads`` and ``writes`` of each IO die: words read and written at its AXI port since reset; in Verilog
        ``io_west_0_reads`` and so on.
    faults : In(MeshFaults)
        Only with ``faulty``: faults of all links, numbered in pairs in the order of
        :class:`rtl.package.package.Package`; so those of the collective plane have the numbers of
        :func:`rtl.bench.router_mesh.mesh_links`. ``dead`` and ``value`` stay 0.
    flips, stalls : Out(64)
        Only with ``faulty``: cycles with flipped bits, and stalls, of all links together.
    """

    def __init__(
        self,
        *,
        system: SystemSpec,
        memory_depth: int,
        direct: bool = False,
        faulty: bool = False,
        vector: bool = False,
    ) -> None:
        self._system, self._memory_depth, self._direct = system, memory_depth, direct
        self._faulty, self._vector = faulty, vector
        io_dies = list(io_die_names(system).values())
        faults = {"faults": In(MeshFaults()), "flips": Out(64), "stalls": Out(64)}
        super().__init__(
            {
                "host": In(PackageHostPort(system)),
                "done": Out(1),
                "error": Out(1),
                "memory": In(MemorySettings()),
                "counts": Out(Bundle({name: Out(32) for name in AXI_COUNTERS})).array(len(io_dies)),
                **(faults if faulty else {}),
            },
            names={"counts": io_dies.__getitem__, "faults": ""},
        )

    @property
    def block_name(self) -> str:
        return f"bench_{Package(system=self._system, direct=self._direct).block_name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        package = Package(
            system=self._system, direct=self._direct, open_links=self._faulty, vector=self._vector
        )
        place(m, platform, "chiplets", package)
        if self._faulty:
            self._wires(m, platform, package)
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

    def _wires(self, m: Module, platform: object, package: Package) -> None:
        """Put wires with faults between the ends of all links."""
        control = self.faults
        channels = []
        for pair, ends in enumerate(package.links):
            for way, (sender, receiver) in enumerate(((ends.a, ends.b), (ends.b, ends.a))):
                number = 2 * pair + way
                channel = Channel(wires=len(sender.tx.wires), cycles=0)
                place(m, platform, f"channel_{number}", channel)
                connect(m, flipped(control.faults), channel.faults)
                m.d.comb += [
                    channel.i.eq(sender.tx.wires),
                    receiver.rx.wires.eq(channel.o),
                    channel.seed.eq(control.seed),
                    channel.reseed.eq(control.reseed & (control.link == number)),
                    channel.cut.eq(control.cut & (control.cut_link == number)),
                ]
                channels.append(channel)
        m.d.sync += [
            self.flips.eq(self.flips + sum(channel.flip for channel in channels)),
            self.stalls.eq(self.stalls + sum(channel.stall for channel in channels)),
        ]
