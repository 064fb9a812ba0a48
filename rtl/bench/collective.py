"""Bench-only tops for collectives: dies with engines and routers, each with a memory of its own for its program."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from chiplet.machine.vector_specs import VectorSpec
from rtl.bench.cycle import TIME_BITS
from rtl.bench.memory import BenchMemory, MemorySettings
from rtl.bench.router_mesh import MeshFaults, MeshLinks, RouterMesh
from rtl.block import Block, place
from rtl.die.die import Die
from rtl.interface.flit import SIDES, FlitPort, flit_layout
from rtl.interface.host_port import HostPort

__all__ = ["CollectiveMesh", "CollectiveNode"]


class CollectiveNode(Block):
    """A die with an engine, and a memory for its program.

    Parameters
    ----------
    die, nop, memory : DieSpec, NopSpec, MemorySpec
        As for :class:`rtl.die.die.Die`.
    memory_depth : int
        Words of the memory.
    vector : VectorSpec, optional
        As for the die; a die without vector unit is faster to simulate.

    Members
    -------
    row, col : In(nop.coordinate_bits)
        Place in the mesh.
    routers : In(FlitPort).array(4)
        On each side, flits to the router (``i``) and from it (``o``).
    dead : In(4)
        Sides, from north on, whose link is dead.
    host : In(HostPort), done, error : Out(1)
        Of the die.
    memory : In(MemorySettings)
        Settings of the memory.
    """

    def __init__(
        self,
        *,
        die: DieSpec,
        nop: NopSpec,
        memory: MemorySpec,
        memory_depth: int,
        vector: VectorSpec | None = None,
    ) -> None:
        self._die, self._nop, self._memory, self._memory_depth = die, nop, memory, memory_depth
        self._vector = vector
        super().__init__(
            {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                "routers": In(FlitPort(flit_layout(nop).size)).array(len(SIDES)),
                "dead": In(len(SIDES)),
                "host": In(HostPort()),
                "done": Out(1),
                "error": Out(1),
                "memory": In(MemorySettings()),
            }
        )

    @property
    def block_name(self) -> str:
        return f"bench_node_{self._die.rows}x{self._die.cols}_{self._die.dtype}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        die = Die(die=self._die, memory=self._memory, nop=self._nop, vector=self._vector)
        memory = BenchMemory(
            word_bytes=self._memory.word_bytes,
            depth=self._memory_depth,
            outstanding=self._memory.outstanding,
        )
        place(m, platform, "die", die)
        place(m, platform, "memory", memory)
        connect(m, flipped(self.host), die.host)
        connect(m, die.memory, memory.port)
        connect(m, flipped(self.memory), memory.settings)
        for n, (side, router) in enumerate(zip(die.sides, self.routers, strict=True)):
            connect(m, side.o, flipped(router.i))
            connect(m, flipped(router.o), side.i)
            m.d.comb += side.status.dead.eq(self.dead[n])
        m.d.comb += [
            die.row.eq(self.row),
            die.col.eq(self.col),
            self.done.eq(die.done),
            self.error.eq(die.error),
        ]
        return m


class CollectiveMesh(Block):
    """``rows`` x ``cols`` nodes, and their routers and links.

    Parameters
    ----------
    die, nop, memory, memory_depth
        As for :class:`CollectiveNode`.
    rows, cols : int
        At least 1, at most ``nop.longest_side``.
    links : MeshLinks, optional
        Adapters with faulty wires between the routers; without them links are wires without latency.
    vector : VectorSpec, optional
        As for :class:`CollectiveNode`.

    Members
    -------
    host_node : In(16)
        Node, numbered row by row, whose registers are read, and written unless ``host_all`` is high.
    host_all : In(1)
        Writes go to all nodes, so that they start in the same cycle.
    host : In(HostPort)
        Registers, see :mod:`rtl.control.counters`.
    done, error : Out(1)
        All dies are done; one has met an error.
    memory : In(MemorySettings)
        Settings of the memories. Each adds its number to the seed.
    faults : In(MeshFaults)
        Only with adapters: their faults and counters.
    """

    def __init__(
        self,
        *,
        die: DieSpec,
        nop: NopSpec,
        memory: MemorySpec,
        memory_depth: int,
        rows: int,
        cols: int,
        links: MeshLinks | None = None,
        vector: VectorSpec | None = None,
    ) -> None:
        self._vector = vector
        self._mesh = RouterMesh(nop=nop, rows=rows, cols=cols, links=links, engines=True)
        self._die, self._nop, self._memory, self._memory_depth = die, nop, memory, memory_depth
        self._rows, self._cols, self._links = rows, cols, links
        super().__init__(
            {
                "host_node": In(16),
                "host_all": In(1),
                "host": In(HostPort()),
                "done": Out(1),
                "error": Out(1),
                "memory": In(MemorySettings()),
                **({"faults": In(MeshFaults())} if links else {}),
            },
            names={"faults": ""},
        )

    @property
    def block_name(self) -> str:
        return f"bench_collective_{self._rows}x{self._cols}_{self._die.dtype}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        nodes = {
            (row, col): CollectiveNode(
                die=self._die,
                nop=self._nop,
                memory=self._memory,
                memory_depth=self._memory_depth,
                vector=self._vector,
            )
            for row in range(self._rows)
            for col in range(self._cols)
        }
        mesh = self._mesh
        place(m, platform, "mesh", mesh)
        for number, ((row, col), node) in enumerate(nodes.items()):
            place(m, platform, f"node_{number}", node)
            chosen = Signal(name=f"chosen_{number}")
            m.d.comb += [
                chosen.eq(self.host_node == number),
                node.row.eq(row),
                node.col.eq(col),
                node.host.address.eq(self.host.address),
                node.host.write.eq(self.host.write & (chosen | self.host_all)),
                node.host.write_data.eq(self.host.write_data),
                node.host.read.eq(self.host.read & chosen),
            ]
            MemorySettings.numbered(m, self.memory, node.memory, number)
            for engine, router in zip(node.routers, mesh.engines[number], strict=True):
                connect(m, engine, router)
            if self._links is not None:
                m.d.comb += node.dead.eq(mesh.dead_sides[number])
        if self._links is not None:
            connect(m, flipped(self.faults), mesh.faults)
            now = Signal(TIME_BITS)
            m.d.sync += now.eq(now + 1)
            m.d.comb += mesh.now.eq(now)
        m.d.comb += [
            self.host.read_data.eq(Array(node.host.read_data for node in nodes.values())[self.host_node]),
            self.done.eq(Cat(node.done for node in nodes.values()).all()),
            self.error.eq(Cat(node.error for node in nodes.values()).any()),
        ]
        return m
