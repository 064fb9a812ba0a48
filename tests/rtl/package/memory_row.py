# amaranth: UnusedElaboratable=no
"""Row of memory-plane ports on routers with an IO die in the west, as Verilog for benches of other AXI models."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.specs import MemorySpec, NopSpec
from rtl.block import Block, place
from rtl.interface.axi import AxiPort
from rtl.interface.flit import RouterPort
from rtl.interface.memory_port import MemoryPort, MemoryRefusals
from rtl.network.router import Router
from rtl.package.io_die import IoDie
from rtl.package.memory_plane import MemoryPlanePort

__all__ = ["MemoryRow"]


class MemoryRow(Block):
    """Members: ``die`` and ``refused`` of each die, ``idle`` (bit n of die n), and the port ``m_axi`` of the IO die."""

    def __init__(self, *, dies: int, nop: NopSpec, memory: MemorySpec) -> None:
        self._dies, self._nop, self._memory = dies, nop, memory
        super().__init__(
            {
                "die": In(MemoryPort(memory.word_bytes)).array(dies),
                "refused": Out(MemoryRefusals()).array(dies),
                "idle": Out(dies),
                "m_axi": Out(AxiPort(nop=nop, memory=memory)),
            },
            names={"die": lambda n: f"die_{n}", "refused": lambda n: f"refused_{n}"},
        )

    @property
    def block_name(self) -> str:
        return f"memory_row_{self._dies}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row = 1
        io_die = IoDie(nop=self._nop, memory=self._memory, link=None)
        place(m, platform, "io_die", io_die)
        m.d.comb += io_die.line.eq(row)
        connect(m, io_die.m_axi, flipped(self.m_axi))
        tx, rx = io_die.mem.tx, io_die.mem.rx
        for number in range(self._dies):
            port = MemoryPlanePort(nop=self._nop, memory=self._memory)
            router = Router(nop=self._nop)
            place(m, platform, f"port_{number}", port)
            place(m, platform, f"router_{number}", router)
            for block in (port, router):
                m.d.comb += [block.row.eq(row), block.col.eq(number + 1)]
            m.d.comb += [port.io_row.eq(row), self.idle[number].eq(port.idle)]
            connect(m, flipped(self.die[number]), port.memory)
            connect(m, port.refused, flipped(self.refused[number]))
            connect(m, port.o, router.i[RouterPort.LOCAL])
            connect(m, router.o[RouterPort.LOCAL], port.i)
            connect(m, tx, router.i[RouterPort.WEST])
            connect(m, router.o[RouterPort.WEST], rx)
            tx, rx = router.o[RouterPort.EAST], router.i[RouterPort.EAST]
        return m
