"""Command reader: the half of a unit that reads what its commands want from the scratchpad."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.queue_depths import COMMANDS_SPARE
from rtl.block import Block, place
from rtl.interface.isa import LAYOUTS, SEMAPHORES, Opcode
from rtl.interface.scratchpad_port import ScratchpadReadPort
from rtl.interface.semaphore_port import SemaphoreWaitPort, semaphore_mask
from rtl.lib.queue import Queue
from rtl.lib.sram import with_latency
from rtl.memory.scratchpad_reader import WORD_BLOCK, ScratchpadReader

__all__ = ["CommandReader"]


class CommandReader(Block):
    """Waits for the semaphores of its commands and of their rows, and reads their words.

    A command begins while the last word of the one before is read.

    Parameters
    ----------
    opcode : Opcode
        Commands, of one block each: the fields ``base`` and ``pitch``, or ``source`` and ``source_pitch`` if there are.
    depth, word_bytes : int
        Words of the scratchpad, and their bytes.
    sram_latency : int
        Cycles from a read of the scratchpad to its word.

    Members
    -------
    command : In(stream)
        The commands.
    semaphores : Out(SemaphoreWaitPort)
        Semaphores that they wait for.
    read : Out(ScratchpadReadPort)
        Read port of the scratchpad.
    begun : Out(stream)
        Commands whose words come.
    words : Out(stream)
        The words.
    busy, stall_semaphore, beyond : Out(1)
        A command is here that has not read all of its words; it waits for semaphores; a word beyond the scratchpad is
        asked for.
    """

    def __init__(
        self, *, opcode: Opcode, depth: int, word_bytes: int, sram_latency: int = SRAM_LATENCY
    ) -> None:
        self._opcode, self._depth, self._word_bytes = opcode, depth, word_bytes
        self._latency = sram_latency
        self._layout = LAYOUTS[opcode]
        super().__init__(
            {
                "command": In(stream.Signature(self._layout.size)),
                "semaphores": Out(SemaphoreWaitPort()),
                "read": Out(ScratchpadReadPort(depth=depth, word_bytes=word_bytes)),
                "begun": Out(stream.Signature(self._layout.size)),
                "words": Out(stream.Signature(8 * word_bytes)),
                "busy": Out(1),
                "stall_semaphore": Out(1),
                "beyond": Out(1),
            },
            names={"semaphores": ""},
        )

    @property
    def block_name(self) -> str:
        name = f"command_reader_{self._opcode.name.lower()}_{self._depth}x{self._word_bytes}"
        return with_latency(name, self._latency)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        reader = ScratchpadReader(depth=self._depth, word_bytes=self._word_bytes, sram_latency=self._latency)
        begun = Queue(width=self._layout.size, depth=self._latency + COMMANDS_SPARE)
        place(m, platform, "reader", reader)
        place(m, platform, "commands", begun)
        connect(m, reader.read, flipped(self.read))
        connect(m, reader.o, flipped(self.words))
        connect(m, begun.o, flipped(self.begun))

        prefix = "source" if "source" in self._layout.members else "base"
        pitch = "source_pitch" if prefix == "source" else "pitch"
        command = Signal(self._layout)
        waits = Signal()
        go = Signal()
        # Semaphores as masks, decoded before they are needed: of the command, and of the rows of the one that is read.
        command_waits = Signal(SEMAPHORES)
        row_waits = Signal(SEMAPHORES)
        has_row_wait = Signal()
        rows_wait = Signal()  # the next word needs the semaphore of its row
        block = Signal(WORD_BLOCK)
        room = Signal()
        m.d.comb += [
            rows_wait.eq(reader.asks & has_row_wait),
            room.eq(reader.block.ready & begun.i.ready & ~rows_wait),
            self.semaphores.wait.eq(Mux(rows_wait, row_waits, command_waits)),
            go.eq(waits & room & self.semaphores.ok),
            self.semaphores.take.eq(go | (reader.row_take & rows_wait)),
            self.command.ready.eq(~waits | go),
            block.base.eq(command[prefix]),
            block.pitch.eq(command[pitch]),
            block.rows.eq(command.rows),
            block.words.eq(command.words),
            reader.block.valid.eq(go),
            reader.block.payload.eq(block),
            reader.row_ok.eq(~rows_wait | self.semaphores.ok),
            begun.i.valid.eq(go),
            begun.i.payload.eq(command),
            self.busy.eq(waits | reader.busy),
            self.stall_semaphore.eq(Mux(rows_wait, reader.waiting, waits & room) & ~self.semaphores.ok),
            self.beyond.eq(reader.beyond),
        ]
        m.d.sync += waits.eq(self.command.valid | (waits & ~go))
        with m.If(self.command.valid & self.command.ready):
            incoming = self._layout(self.command.payload)
            m.d.sync += [
                command.eq(incoming),
                command_waits.eq(semaphore_mask(incoming.wait_0, incoming.wait_1)),
            ]
        with m.If(go):
            m.d.sync += [
                row_waits.eq(semaphore_mask(command.row_wait)),
                has_row_wait.eq(command.row_wait != 0),
            ]
        return m
