"""Bench-only top: one compute die with its memory."""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.specs import DieSpec, MemorySpec
from chiplet.machine.vector_specs import VectorSpec
from rtl.bench.memory import BenchMemory, MemorySettings
from rtl.block import Block, place
from rtl.die.die import Die
from rtl.interface.host_port import HostPort

__all__ = ["DieBench"]


class DieBench(Block):
    """A die and the memory behind its port.

    Parameters
    ----------
    die, memory : DieSpec, MemorySpec
        As for :class:`rtl.die.die.Die`.
    memory_depth : int
        Words of the memory.
    vector : VectorSpec, optional
        As for the die; a die without vector unit is faster to simulate.

    Members
    -------
    host : In(HostPort), done, error : Out(1)
        Of the die.
    memory : In(MemorySettings)
        Settings of the memory.
    """

    def __init__(
        self, *, die: DieSpec, memory: MemorySpec, memory_depth: int, vector: VectorSpec | None = None
    ) -> None:
        self._die, self._memory, self._memory_depth = die, memory, memory_depth
        self._vector = vector
        super().__init__(
            {
                "host": In(HostPort()),
                "done": Out(1),
                "error": Out(1),
                "memory": In(MemorySettings()),
            }
        )

    @property
    def block_name(self) -> str:
        name = f"bench_die_{self._die.rows}x{self._die.cols}_{self._die.dtype}"
        return f"{name}_vector" if self._vector else name

    def elaborate(self, platform: object) -> Module:
        m = Module()
        die = Die(die=self._die, memory=self._memory, vector=self._vector)
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
        m.d.comb += [self.done.eq(die.done), self.error.eq(die.error)]
        return m
