"""Store unit: copies blocks of whole words from the scratchpad to memory."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.specs import MemorySpec
from rtl.block import Block, place
from rtl.interface.isa import MEMORY_ADDRESS_BITS, STORE, Opcode
from rtl.interface.memory_port import request_layout
from rtl.interface.scratchpad_port import ScratchpadReadPort
from rtl.interface.semaphore_port import SemaphorePort, semaphore_mask
from rtl.lib.sram import with_latency
from rtl.memory.block_addresses import BlockAddresses
from rtl.memory.command_reader import CommandReader

__all__ = ["StoreUnit"]


class StoreUnit(Block):
    """From the scratchpad to memory.

    Parameters
    ----------
    memory : MemorySpec
        Width of a word.
    depth : int
        Words of the scratchpad.
    sram_latency : int
        Cycles from a read of the scratchpad to its word.

    Members
    -------
    command : In(stream)
        STORE commands.
    semaphores : Out(SemaphorePort)
        Semaphores that its commands and their rows wait for, and that they post.
    read : Out(ScratchpadReadPort)
        Read port of the scratchpad.
    request : Out(stream)
        Write requests.
    idle, beyond : Out(1)
        No command is here; a word beyond the scratchpad is asked for.
    busy, stall_semaphore, stall_request, words : Out(1)
        For the counters: a command is here; it waits for semaphores; a request is not taken; a word leaves.
    """

    def __init__(self, *, memory: MemorySpec, depth: int, sram_latency: int = SRAM_LATENCY) -> None:
        self._memory, self._depth, self._latency = memory, depth, sram_latency
        super().__init__(
            {
                "command": In(stream.Signature(STORE.size)),
                "semaphores": Out(SemaphorePort(of_unit=True)),
                "read": Out(ScratchpadReadPort(depth=depth, word_bytes=memory.word_bytes)),
                "request": Out(stream.Signature(request_layout(memory.word_bytes).size)),
                "idle": Out(1),
                "beyond": Out(1),
                "busy": Out(1),
                "stall_semaphore": Out(1),
                "stall_request": Out(1),
                "words": Out(1),
            },
            names={"semaphores": ""},
        )

    @property
    def block_name(self) -> str:
        name = f"store_unit_{self._depth}x{self._memory.word_bytes}"
        return with_latency(name, self._latency)

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        reader = CommandReader(
            opcode=Opcode.STORE,
            depth=self._depth,
            word_bytes=self._memory.word_bytes,
            sram_latency=self._latency,
        )
        targets = BlockAddresses(address_bits=MEMORY_ADDRESS_BITS, pitch_bits=STORE["memory_pitch"].width)
        place(m, platform, "reader", reader)
        place(m, platform, "targets", targets)
        connect(m, flipped(self.command), reader.command)
        connect(m, reader.read, flipped(self.read))
        command = Signal(STORE)
        following = STORE(reader.begun.payload)
        request = Signal(request_layout(self._memory.word_bytes))
        sent = Signal()
        m.d.comb += [
            self.semaphores.wait.eq(reader.semaphores.wait),
            reader.semaphores.ok.eq(self.semaphores.ok),
            self.semaphores.take.eq(reader.semaphores.take),
            reader.begun.ready.eq(~targets.busy | (sent & targets.last)),
            targets.load.eq(reader.begun.valid & reader.begun.ready),
            targets.base.eq(following.address),
            targets.pitch.eq(following.memory_pitch),
            targets.rows.eq(following.rows),
            targets.words.eq(following.words),
            targets.step.eq(sent),
            request.write.eq(1),
            request.address.eq(targets.address),
            request.strobe.eq(~0),
            request.data.eq(reader.words.payload),
            self.request.payload.eq(request),
            self.request.valid.eq(targets.busy & reader.words.valid),
            sent.eq(self.request.valid & self.request.ready),
            reader.words.ready.eq(sent),
            self.semaphores.post.eq(
                Mux(sent & targets.last, semaphore_mask(command.post_0, command.post_1), 0)
            ),
            self.busy.eq(reader.busy | reader.begun.valid | targets.busy),
            self.idle.eq(~self.busy),
            self.beyond.eq(reader.beyond),
            self.stall_semaphore.eq(reader.stall_semaphore),
            self.stall_request.eq(self.request.valid & ~self.request.ready),
            self.words.eq(sent),
        ]
        with m.If(targets.load):
            m.d.sync += command.eq(following)
        return m
