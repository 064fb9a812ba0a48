"""Bench-only tops for collectives: dies with engines and routers, each with a memory of its own for its program."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from rtl.bench.die import HOST, MEMORY
from rtl.bench.memory import BenchMemory
from rtl.bench.router_mesh import MeshLinks, RouterMesh, fault_members
from rtl.block import Block, place
from rtl.die.die import Die
from rtl.interface.flit import SIDES, flit_layout
from rtl.interface.register_map import ADDRESS_BITS
from rtl.lib.streams import joined

__all__ = ["CollectiveMesh", "CollectiveNode"]

_SETTINGS = {"latency": 16, "interval": 16, "stall": 16, "seed": 32, "reseed": 1}


class CollectiveNode(Block):
    """A die with an engine, and a memory for its program.

    Parameters
    ----------
    die, nop, memory : DieSpec, NopSpec, MemorySpec
        As for :class:`rtl.die.die.Die`.
    memory_depth : int
        Words of the memory.

    Members
    -------
    row, col : In(nop.coordinate_bits)
        Place in the mesh.
    engine_{side}_in : In(stream), engine_{side}_out : Out(stream)
        Flits from and to the router.
    dead : In(4)
        Sides, from north on, whose link is dead.
    host_*, done, error
        Of the die.
    memory_* : In
        Settings of the memory.
    """

    def __init__(self, *, die: DieSpec, nop: NopSpec, memory: MemorySpec, memory_depth: int) -> None:
        self._die, self._nop, self._memory, self._memory_depth = die, nop, memory, memory_depth
        flit = stream.Signature(flit_layout(nop).size)
        super().__init__(
            {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                **{f"engine_{side.text}_in": In(flit) for side in SIDES},
                **{f"engine_{side.text}_out": Out(flit) for side in SIDES},
                "dead": In(len(SIDES)),
                "host_address": In(ADDRESS_BITS),
                "host_write": In(1),
                "host_write_data": In(32),
                "host_read": In(1),
                "host_read_data": Out(32),
                "done": Out(1),
                "error": Out(1),
                **{f"memory_{name}": In(width) for name, width in _SETTINGS.items()},
            }
        )

    @property
    def block_name(self) -> str:
        return f"bench_node_{self._die.rows}x{self._die.cols}_{self._die.dtype}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        die = Die(die=self._die, memory=self._memory, nop=self._nop)
        memory = BenchMemory(
            word_bytes=self._memory.word_bytes,
            depth=self._memory_depth,
            outstanding=self._memory.outstanding,
        )
        place(m, platform, "die", die)
        place(m, platform, "memory", memory)
        for sender, receiver in (
            (die.request, memory.request),
            (memory.response, die.response),
            *((getattr(self, f"engine_{s.text}_in"), getattr(die, f"engine_{s.text}_in")) for s in SIDES),
            *((getattr(die, f"engine_{s.text}_out"), getattr(self, f"engine_{s.text}_out")) for s in SIDES),
        ):
            m.d.comb += joined(sender, receiver)
        m.d.comb += [
            die.row.eq(self.row),
            die.col.eq(self.col),
            *(getattr(die, f"link_dead_{side.text}").eq(self.dead[n]) for n, side in enumerate(SIDES)),
            self.host_read_data.eq(die.host_read_data),
            self.done.eq(die.done),
            self.error.eq(die.error),
            *(getattr(die, f"host_{name}").eq(getattr(self, f"host_{name}")) for name in HOST),
            *(getattr(memory, name).eq(getattr(self, f"memory_{name}")) for name in MEMORY),
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

    Members
    -------
    host_node : In(16)
        Node, numbered row by row, whose registers are read, and written unless ``host_all`` is high.
    host_all : In(1)
        Writes go to all nodes, so that they start in the same cycle.
    host_address, host_write, host_write_data, host_read, host_read_data
        Registers, see :mod:`rtl.control.counters`.
    done, error : Out(1)
        All dies are done; one has met an error.
    memory_* : In
        Settings of the memories. Each adds its number to ``memory_seed``.
    flip_rate, burst, stall_rate, stall_mask, link, seed, reseed, cut_link, cut, dead, select, value
        Only with adapters, see :class:`rtl.bench.router_mesh.RouterMesh`.
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
    ) -> None:
        self._mesh = RouterMesh(nop=nop, rows=rows, cols=cols, links=links, engines=True)
        faults = fault_members() if links else {}
        self._faults = [name for name in faults if name not in ("now", "dead", "value")]
        self._die, self._nop, self._memory, self._memory_depth = die, nop, memory, memory_depth
        self._rows, self._cols, self._links = rows, cols, links
        super().__init__(
            {
                "host_node": In(16),
                "host_all": In(1),
                "host_address": In(ADDRESS_BITS),
                "host_write": In(1),
                "host_write_data": In(32),
                "host_read": In(1),
                "host_read_data": Out(32),
                "done": Out(1),
                "error": Out(1),
                **{f"memory_{name}": In(width) for name, width in _SETTINGS.items()},
                **{name: member for name, member in faults.items() if name != "now"},
            }
        )

    @property
    def block_name(self) -> str:
        return f"bench_collective_{self._rows}x{self._cols}_{self._die.dtype}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        nodes = {
            (row, col): CollectiveNode(
                die=self._die, nop=self._nop, memory=self._memory, memory_depth=self._memory_depth
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
                node.host_address.eq(self.host_address),
                node.host_write.eq(self.host_write & (chosen | self.host_all)),
                node.host_write_data.eq(self.host_write_data),
                node.host_read.eq(self.host_read & chosen),
                *(
                    getattr(node, f"memory_{name}").eq(getattr(self, f"memory_{name}"))
                    for name in _SETTINGS
                    if name != "seed"
                ),
                node.memory_seed.eq(self.memory_seed + number),
            ]
            for side in SIDES:
                name = f"engine_{side.text}"
                m.d.comb += joined(getattr(mesh, f"{name}_out_{number}"), getattr(node, f"{name}_in"))
                m.d.comb += joined(getattr(node, f"{name}_out"), getattr(mesh, f"{name}_in_{number}"))
            if self._links is not None:
                m.d.comb += node.dead.eq(getattr(mesh, f"dead_{number}"))
        if self._links is not None:
            now = Signal(32)
            m.d.sync += now.eq(now + 1)
            m.d.comb += [
                mesh.now.eq(now),
                self.dead.eq(mesh.dead),
                self.value.eq(mesh.value),
                *(getattr(mesh, name).eq(getattr(self, name)) for name in self._faults),
            ]
        m.d.comb += [
            self.host_read_data.eq(Array(node.host_read_data for node in nodes.values())[self.host_node]),
            self.done.eq(Cat(node.done for node in nodes.values()).all()),
            self.error.eq(Cat(node.error for node in nodes.values()).any()),
        ]
        return m
