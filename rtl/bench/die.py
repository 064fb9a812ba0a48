"""Bench-only top: one compute die with its memory."""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import DieSpec, MemorySpec
from rtl.bench.memory import BenchMemory
from rtl.block import Block, place
from rtl.die.die import Die
from rtl.interface.register_map import ADDRESS_BITS

__all__ = ["DieBench"]

HOST = ("address", "write", "write_data", "read")
MEMORY = ("latency", "interval", "stall", "seed", "reseed")


class DieBench(Block):
    """A die and the memory behind its port.

    Parameters
    ----------
    die, memory : DieSpec, MemorySpec
        As for :class:`rtl.die.die.Die`.
    memory_depth : int
        Words of the memory.

    Members
    -------
    host_*, done, error
        Of the die.
    memory_* : In
        Settings of the memory, see :class:`rtl.bench.memory.BenchMemory`.
    """

    def __init__(self, *, die: DieSpec, memory: MemorySpec, memory_depth: int) -> None:
        self._die, self._memory, self._memory_depth = die, memory, memory_depth
        super().__init__(
            {
                "host_address": In(ADDRESS_BITS),
                "host_write": In(1),
                "host_write_data": In(32),
                "host_read": In(1),
                "host_read_data": Out(32),
                "done": Out(1),
                "error": Out(1),
                "memory_latency": In(16),
                "memory_interval": In(16),
                "memory_stall": In(16),
                "memory_seed": In(32),
                "memory_reseed": In(1),
            }
        )

    @property
    def block_name(self) -> str:
        return f"bench_die_{self._die.rows}x{self._die.cols}_{self._die.dtype}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        die = Die(die=self._die, memory=self._memory)
        memory = BenchMemory(
            word_bytes=self._memory.word_bytes,
            depth=self._memory_depth,
            outstanding=self._memory.outstanding,
        )
        place(m, platform, "die", die)
        place(m, platform, "memory", memory)
        m.d.comb += [
            memory.request.payload.eq(die.request.payload),
            memory.request.valid.eq(die.request.valid),
            die.request.ready.eq(memory.request.ready),
            die.response.payload.eq(memory.response.payload),
            die.response.valid.eq(memory.response.valid),
            memory.response.ready.eq(die.response.ready),
            self.host_read_data.eq(die.host_read_data),
            self.done.eq(die.done),
            self.error.eq(die.error),
            *(getattr(die, f"host_{name}").eq(getattr(self, f"host_{name}")) for name in HOST),
            *(getattr(memory, name).eq(getattr(self, f"memory_{name}")) for name in MEMORY),
        ]
        return m
