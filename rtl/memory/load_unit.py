"""Load unit: copies blocks of whole words from memory to the scratchpad.

It asks for the words of a block row after row and goes on to the next command while words are still on their way. A
word that comes is written when its bank has a turn for it.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import BUFFER_ADDRESS_BITS, MemorySpec
from rtl.block import Block, place
from rtl.interface.isa import LOAD, MEMORY_ADDRESS_BITS
from rtl.interface.memory_port import request_layout
from rtl.interface.scratchpad_port import ScratchpadWritePort
from rtl.interface.semaphore_port import SemaphorePort, semaphore_mask
from rtl.lib.queue import Queue
from rtl.memory.block_addresses import BlockAddresses

__all__ = ["LoadUnit"]

UNDER_WAY = 4
"""Commands whose words have been asked for, or some of them, and have not all come."""


class LoadUnit(Block):
    """From memory to the scratchpad.

    Parameters
    ----------
    memory : MemorySpec
        Width of a word, and reads in flight.
    depth : int
        Words of the scratchpad.

    Members
    -------
    command : In(stream)
        LOAD commands.
    semaphores : Out(SemaphorePort)
        Semaphores that its commands wait for and post.
    request : Out(stream), response : In(stream)
        Read requests, and the words read (data only).
    write : Out(ScratchpadWritePort)
        Write port of the scratchpad.
    idle, beyond : Out(1)
        No command is here; a word belongs beyond the scratchpad, and is not written.
    busy, stall_semaphore, stall_request, words : Out(1)
        For the counters: a command is here; it waits for semaphores; a request is not taken; a word is written.
    """

    def __init__(self, *, memory: MemorySpec, depth: int) -> None:
        self._memory, self._depth = memory, depth
        super().__init__(
            {
                "command": In(stream.Signature(LOAD.size)),
                "semaphores": Out(SemaphorePort(of_unit=True)),
                "request": Out(stream.Signature(request_layout(memory.word_bytes).size)),
                "response": In(stream.Signature(8 * memory.word_bytes)),
                "write": Out(ScratchpadWritePort(depth=depth, word_bytes=memory.word_bytes)),
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
        return f"load_unit_{self._depth}x{self._memory.word_bytes}_{self._memory.outstanding}"

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sources = BlockAddresses(address_bits=MEMORY_ADDRESS_BITS, pitch_bits=LOAD["memory_pitch"].width)
        places = BlockAddresses(address_bits=BUFFER_ADDRESS_BITS, pitch_bits=BUFFER_ADDRESS_BITS)
        commands = Queue(width=LOAD.size, depth=UNDER_WAY)
        for name, block in {"sources": sources, "places": places, "commands": commands}.items():
            place(m, platform, name, block)

        # Asking for words: a command begins while the last word of the one before is asked for.
        command = Signal(LOAD)
        waits = Signal()
        go = Signal()
        asked = Signal()
        in_flight = Signal(range(self._memory.outstanding + 1))
        written = Signal()
        request = Signal(request_layout(self._memory.word_bytes))
        room = Signal()
        m.d.comb += [
            room.eq((~sources.busy | (asked & sources.last)) & commands.i.ready),
            self.semaphores.wait.eq(semaphore_mask(command.wait_0, command.wait_1)),
            go.eq(waits & room & self.semaphores.ok),
            self.semaphores.take.eq(go),
            self.command.ready.eq(~waits | go),
            commands.i.valid.eq(go),
            commands.i.payload.eq(command),
            sources.load.eq(go),
            sources.base.eq(command.address),
            sources.pitch.eq(command.memory_pitch),
            sources.rows.eq(command.rows),
            sources.words.eq(command.words),
            sources.step.eq(asked),
            request.address.eq(sources.address),
            self.request.payload.eq(request),
            self.request.valid.eq(sources.busy & (in_flight != self._memory.outstanding)),
            asked.eq(self.request.valid & self.request.ready),
            self.stall_semaphore.eq(waits & room & ~self.semaphores.ok),
            self.stall_request.eq(self.request.valid & ~self.request.ready),
        ]
        m.d.sync += [waits.eq(self.command.valid | (waits & ~go)), in_flight.eq(in_flight + asked - written)]
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += command.eq(self.command.payload)

        # Writing them.
        writing = Signal(LOAD)
        following = LOAD(commands.o.payload)
        m.d.comb += [
            commands.o.ready.eq(~places.busy | (written & places.last)),
            places.load.eq(commands.o.valid & commands.o.ready),
            places.base.eq(following.base),
            places.pitch.eq(following.pitch),
            places.rows.eq(following.rows),
            places.words.eq(following.words),
            places.step.eq(written),
            self.beyond.eq(places.busy & (places.address >= self._depth)),
            self.write.valid.eq(places.busy & self.response.valid & ~self.beyond),
            self.write.address.eq(places.address),
            self.write.strobe.eq(~0),
            self.write.data.eq(self.response.payload),
            written.eq(self.write.valid & self.write.ready),
            self.response.ready.eq(written),
            self.semaphores.post.eq(
                Mux(written & places.row_end, semaphore_mask(writing.row_post), 0)
                | Mux(written & places.last, semaphore_mask(writing.post_0, writing.post_1), 0)
            ),
            self.busy.eq(waits | sources.busy | commands.o.valid | places.busy),
            self.idle.eq(~self.busy),
            self.words.eq(written),
        ]
        with m.If(places.load):
            m.d.sync += writing.eq(following)
        return m
