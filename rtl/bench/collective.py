"""Bench-only tops for collectives: dies with engines and routers, each with a memory of its own for its program."""

from __future__ import annotations

from functools import reduce
from operator import and_, or_

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from chiplet.specs import DieSpec, MemorySpec, NopSpec
from rtl.bench.die import HOST, MEMORY
from rtl.bench.memory import BenchMemory
from rtl.block import Block, check_integers, place
from rtl.counters import ADDRESS_BITS
from rtl.die import Die
from rtl.flit import SIDES, Port, flit_layout, opposite
from rtl.router import Router
from rtl.streams import joined

__all__ = ["CollectiveMesh", "CollectiveNode"]

_STEP = {Port.NORTH: (-1, 0), Port.EAST: (0, 1), Port.SOUTH: (1, 0), Port.WEST: (0, -1)}
_SETTINGS = {"latency": 16, "interval": 16, "stall": 16, "seed": 32, "reseed": 1}


class CollectiveNode(Block):
    """A die with an engine, its router, and a memory for its program.

    Parameters
    ----------
    die, nop, memory : DieSpec, NopSpec, MemorySpec
        As for :class:`rtl.die.Die`.
    memory_depth : int
        Words of the memory.

    Members
    -------
    row, col : In(nop.coordinate_bits)
        Place in the mesh.
    {side}_in : In(stream), {side}_out : Out(stream)
        Flits from and to the neighbours.
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
                **{f"{side.text}_in": In(flit) for side in SIDES},
                **{f"{side.text}_out": Out(flit) for side in SIDES},
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
        router = Router(nop=self._nop)
        memory = BenchMemory(
            word_bytes=self._memory.word_bytes,
            depth=self._memory_depth,
            outstanding=self._memory.outstanding,
        )
        place(m, platform, "die", die)
        place(m, platform, "router", router)
        place(m, platform, "memory", memory)
        for sender, receiver in (
            (die.request, memory.request),
            (memory.response, die.response),
            *((getattr(self, f"{s.text}_in"), getattr(router, f"{s.text}_in")) for s in SIDES),
            *((getattr(router, f"{s.text}_out"), getattr(self, f"{s.text}_out")) for s in SIDES),
            *((getattr(die, f"engine_{s.text}_out"), getattr(router, f"engine_{s.text}_in")) for s in SIDES),
            *((getattr(router, f"engine_{s.text}_out"), getattr(die, f"engine_{s.text}_in")) for s in SIDES),
        ):
            m.d.comb += joined(sender, receiver)
        m.d.comb += [
            *(block.row.eq(self.row) for block in (die, router)),
            *(block.col.eq(self.col) for block in (die, router)),
            self.host_read_data.eq(die.host_read_data),
            self.done.eq(die.done),
            self.error.eq(die.error),
            *(getattr(die, f"host_{name}").eq(getattr(self, f"host_{name}")) for name in HOST),
            *(getattr(memory, name).eq(getattr(self, f"memory_{name}")) for name in MEMORY),
        ]
        return m


class CollectiveMesh(Block):
    """``rows`` x ``cols`` nodes and links without latency between them.

    Parameters
    ----------
    die, nop, memory, memory_depth
        As for :class:`CollectiveNode`.
    rows, cols : int
        At least 1, at most ``nop.longest_side``.

    Members
    -------
    host_node : In(16)
        Node, numbered row by row, whose registers are read, and written unless ``host_all`` is high.
    host_all : In(1)
        Writes go to all nodes, so that they start in the same cycle.
    host_address, host_write, host_write_data, host_read, host_read_data
        Registers, see :mod:`rtl.counters`.
    done, error : Out(1)
        All dies are done; one has met an error.
    memory_* : In
        Settings of all memories.
    """

    def __init__(
        self, *, die: DieSpec, nop: NopSpec, memory: MemorySpec, memory_depth: int, rows: int, cols: int
    ) -> None:
        check_integers("mesh", minimum=1, rows=rows, cols=cols)
        for name, value in (("rows", rows), ("cols", cols)):
            if value > nop.longest_side:
                raise ValueError(
                    f"mesh: {name} = {value}: must be at most {nop.longest_side}, which nop.coordinate_bits = "
                    f"{nop.coordinate_bits} can address"
                )
        self._die, self._nop, self._memory, self._memory_depth = die, nop, memory, memory_depth
        self._rows, self._cols = rows, cols
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
                *(getattr(node, f"memory_{name}").eq(getattr(self, f"memory_{name}")) for name in _SETTINGS),
            ]
            for side in SIDES:
                neighbour = nodes.get((row + _STEP[side][0], col + _STEP[side][1]))
                if neighbour is None:  # an edge: nothing comes, nothing goes, as signals are 0 by default
                    continue
                sender, receiver = (
                    getattr(node, f"{side.text}_out"),
                    getattr(neighbour, f"{opposite(side).text}_in"),
                )
                m.d.comb += joined(sender, receiver)
        m.d.comb += [
            self.host_read_data.eq(Array(node.host_read_data for node in nodes.values())[self.host_node]),
            self.done.eq(reduce(and_, (node.done for node in nodes.values()))),
            self.error.eq(reduce(or_, (node.error for node in nodes.values()))),
        ]
        return m
