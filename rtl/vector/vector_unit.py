"""The vector unit: takes VECTOR commands in order, each when its semaphores allow."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.block import Block, place
from rtl.interface.isa import VECTOR
from rtl.interface.scratchpad_port import ScratchpadReadPort, ScratchpadWritePort
from rtl.interface.semaphore_port import SemaphorePort, semaphore_mask
from rtl.vector.pass_pipeline import PASS_OPERANDS, PassPipeline
from rtl.vector.vector_shape import VectorShape

__all__ = ["VectorUnit"]


class VectorUnit(Block):
    """Passes over the scratchpad, one at a time; the next one begins when the results of the last one are written.

    Parameters
    ----------
    shape : VectorShape
        Sizes.

    Members
    -------
    command : In(stream)
        VECTOR commands.
    semaphores : Out(SemaphorePort)
        Semaphores that its commands wait for and post.
    read : array of Out(ScratchpadReadPort), write : Out(ScratchpadWritePort)
        Read ports of a, b and d; write port.
    idle, beyond : Out(1)
        No command is here; a word beyond the scratchpad is to be read or written, and is not.
    busy, stall_semaphore, stall_read, stall_write : Out(1)
        For the counters: a command is here; it waits for semaphores; a beat waits for an operand; for room for results.
    """

    def __init__(self, *, shape: VectorShape) -> None:
        self._shape = shape
        size = {"depth": shape.depth, "word_bytes": shape.word_bytes}
        super().__init__(
            {
                "command": In(stream.Signature(VECTOR.size)),
                "semaphores": Out(SemaphorePort(of_unit=True)),
                "read": Out(ScratchpadReadPort(**size)).array(len(PASS_OPERANDS)),
                "write": Out(ScratchpadWritePort(**size)),
                "idle": Out(1),
                "beyond": Out(1),
                "busy": Out(1),
                "stall_semaphore": Out(1),
                "stall_read": Out(1),
                "stall_write": Out(1),
            },
            names={"semaphores": ""},
        )

    @property
    def block_name(self) -> str:
        return f"vector_unit_{self._shape.text}"

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pipeline = PassPipeline(shape=self._shape)
        place(m, platform, "pipeline", pipeline)
        for inner, outer in zip(pipeline.read, self.read, strict=True):
            connect(m, inner, flipped(outer))
        connect(m, pipeline.write, flipped(self.write))
        command = Signal(VECTOR)
        active = Signal()
        started = Signal()
        go = Signal()
        m.d.comb += [
            self.semaphores.wait.eq(
                Mux(active & ~started, semaphore_mask(command.wait_0, command.wait_1, command.wait_2), 0)
            ),
            go.eq(active & ~started & self.semaphores.ok),
            self.semaphores.take.eq(go),
            self.semaphores.post.eq(Mux(pipeline.over, semaphore_mask(command.post_0, command.post_1), 0)),
            pipeline.start.eq(go),
            pipeline.command.eq(command),
            self.command.ready.eq(~active | pipeline.over),
            self.idle.eq(~active),
            self.beyond.eq(pipeline.beyond),
            self.busy.eq(active),
            self.stall_semaphore.eq(active & ~started & ~self.semaphores.ok),
            self.stall_read.eq(pipeline.stall_read),
            self.stall_write.eq(pipeline.stall_write),
        ]
        with m.If(go):
            m.d.sync += started.eq(1)
        with m.If(pipeline.over):
            m.d.sync += [active.eq(0), started.eq(0)]
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += [command.eq(self.command.payload), active.eq(1), started.eq(0)]
        return m
