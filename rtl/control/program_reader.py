"""Program reader: asks for the commands of a program ahead of their turn, and shows them in order."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.queue_depths import COMMAND_READS, COMMANDS_AHEAD
from chiplet.machine.specs import MemorySpec
from rtl.block import Block, place
from rtl.interface.isa import COMMAND_BITS, COUNT_BITS, MEMORY_ADDRESS_BITS
from rtl.interface.memory_port import request_layout
from rtl.lib.sram import with_latency
from rtl.lib.sram_queue import SramQueue

__all__ = ["ProgramReader"]


class ProgramReader(Block):
    """Reads a program from memory, as far ahead as the queue of commands that have come has room.

    Parameters
    ----------
    memory : MemorySpec
        The memory that holds the program.
    macro : bool
        Whether the SRAM of the queue is a hard macro.
    sram_latency : int
        Cycles from a read of an SRAM to its word.

    Members
    -------
    start, address, commands
        Begin a program: memory word of its first command, and number of commands.
    request : Out(stream), response : In(stream)
        Reads of the program, and the words read.
    command : Out(stream)
        Commands in order.
    """

    def __init__(self, *, memory: MemorySpec, macro: bool, sram_latency: int = SRAM_LATENCY) -> None:
        self._memory, self._macro, self._latency = memory, macro, sram_latency
        super().__init__(
            {
                "start": In(1),
                "address": In(MEMORY_ADDRESS_BITS),
                "commands": In(COUNT_BITS),
                "request": Out(stream.Signature(request_layout(memory.word_bytes).size)),
                "response": In(stream.Signature(8 * memory.word_bytes)),
                "command": Out(stream.Signature(COMMAND_BITS)),
            }
        )

    @property
    def block_name(self) -> str:
        return with_latency(f"program_reader_{self._memory.word_bytes}", self._latency)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = self._memory.command_words
        come = SramQueue(
            width=COMMAND_BITS, depth=COMMANDS_AHEAD, macro=self._macro, sram_latency=self._latency
        )
        place(m, platform, "commands_ahead", come)
        connect(m, come.o, flipped(self.command))

        address = Signal(MEMORY_ADDRESS_BITS)
        to_ask = Signal(COUNT_BITS)  # commands
        word = Signal(range(max(words, 2)))
        held = Signal(range(COMMANDS_AHEAD + 1))  # commands on their way or in the queue
        in_flight = Signal(range(COMMAND_READS + 1))  # words
        request = Signal(request_layout(self._memory.word_bytes))
        sent = Signal()
        asked = Signal()
        left = Signal()
        got = Signal()
        m.d.comb += [
            request.tag.eq(1),
            request.address.eq(address),
            self.request.payload.eq(request),
            self.request.valid.eq((to_ask != 0) & (held != COMMANDS_AHEAD) & (in_flight != COMMAND_READS)),
            sent.eq(self.request.valid & self.request.ready),
            asked.eq(sent & (word == words - 1)),
            left.eq(self.command.valid & self.command.ready),
            got.eq(self.response.valid & self.response.ready),
        ]
        m.d.sync += [held.eq(held + asked - left), in_flight.eq(in_flight + sent - got)]
        with m.If(sent):
            m.d.sync += [address.eq(address + 1), word.eq(Mux(asked, 0, word + 1))]
        with m.If(asked):
            m.d.sync += to_ask.eq(to_ask - 1)
        with m.If(self.start):
            m.d.sync += [address.eq(self.address), to_ask.eq(self.commands)]

        # Words come in order: the last one completes the command, for which the queue has room.
        parts = [
            Signal(8 * self._memory.word_bytes, name=f"part_{n}", reset_less=True) for n in range(words - 1)
        ]
        part = Signal(range(max(words, 2)))
        m.d.comb += [
            self.response.ready.eq(1),
            come.i.valid.eq(got & (part == words - 1)),
            come.i.payload.eq(Cat(*parts, self.response.payload)),
        ]
        with m.If(got):
            m.d.sync += part.eq(Mux(part == words - 1, 0, part + 1))
            if parts:
                with m.If(part != words - 1):
                    m.d.sync += Array(parts)[part].eq(self.response.payload)
        return m
