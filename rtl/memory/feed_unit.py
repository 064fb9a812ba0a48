"""Feed unit: copies blocks of operands from the scratchpad into the banks of one operand buffer.

Its two halves work on different commands: the reader asks for words, the writer spreads each word that comes over the
banks, up to B elements in a cycle.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.pipelining import SRAM_LATENCY
from rtl.block import Block, check_integers, place
from rtl.compute.operand_buffer import OperandWritePort
from rtl.interface.isa import COUNT_BITS, FEED_ACTIVATION, FEED_WEIGHT, Opcode
from rtl.interface.scratchpad_port import ScratchpadReadPort
from rtl.interface.semaphore_port import SemaphorePort, semaphore_mask
from rtl.lib.sram import with_latency
from rtl.memory.command_reader import CommandReader

__all__ = ["FeedUnit"]

assert FEED_ACTIVATION == FEED_WEIGHT, "one block feeds both"


class FeedUnit(Block):
    """From the scratchpad to an operand buffer.

    Parameters
    ----------
    lanes, width, depth : int
        Banks B of the operand buffer, bits of an element, words of a bank.
    scratchpad_depth, word_bytes : int
        Words of the scratchpad, and their bytes.
    sram_latency : int
        Cycles from a read of the scratchpad to its word.

    Members
    -------
    command : In(stream)
        FEED_ACTIVATION or FEED_WEIGHT commands, which have the same fields.
    semaphores : Out(SemaphorePort)
        Semaphores that its commands and their rows wait for, and that they post.
    read : Out(ScratchpadReadPort)
        Read port of the scratchpad.
    write : Out(OperandWritePort)
        Write port of the operand buffer.
    idle : Out(1)
        No command is here.
    beyond, buffer_beyond : Out(1)
        A word beyond the scratchpad is asked for; an element belongs beyond the banks, and is not written.
    busy, stall_semaphore, words : Out(1)
        For the counters: a command is here; it waits for semaphores; a word is used up.

    Raises
    ------
    ValueError
        If a size is not a positive integer.
    """

    def __init__(
        self,
        *,
        lanes: int,
        width: int,
        depth: int,
        scratchpad_depth: int,
        word_bytes: int,
        sram_latency: int = SRAM_LATENCY,
    ) -> None:
        sizes = {"lanes": lanes, "width": width, "depth": depth}
        check_integers("feed unit", minimum=1, **sizes)
        self._lanes, self._width, self._depth = lanes, width, depth
        self._scratchpad_depth, self._word_bytes = scratchpad_depth, word_bytes
        self._latency = sram_latency
        super().__init__(
            {
                "command": In(stream.Signature(FEED_ACTIVATION.size)),
                "semaphores": Out(SemaphorePort(of_unit=True)),
                "read": Out(ScratchpadReadPort(depth=scratchpad_depth, word_bytes=word_bytes)),
                "write": Out(OperandWritePort(**sizes)),
                "idle": Out(1),
                "beyond": Out(1),
                "buffer_beyond": Out(1),
                "busy": Out(1),
                "stall_semaphore": Out(1),
                "words": Out(1),
            },
            names={"semaphores": ""},
        )

    @property
    def block_name(self) -> str:
        buffer = f"{self._lanes}x{self._depth}x{self._width}"
        name = f"feed_unit_{buffer}_{self._scratchpad_depth}x{self._word_bytes}"
        return with_latency(name, self._latency)

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self._lanes
        reader = CommandReader(
            opcode=Opcode.FEED_ACTIVATION,
            depth=self._scratchpad_depth,
            word_bytes=self._word_bytes,
            sram_latency=self._latency,
        )
        place(m, platform, "reader", reader)
        connect(m, flipped(self.command), reader.command)
        connect(m, reader.read, flipped(self.read))

        # A word wider than the banks is written in steps of up to B elements.
        word_elements = 8 * self._word_bytes // self._width
        group = min(word_elements, lanes)
        steps = -(-word_elements // group)
        tail = word_elements - (steps - 1) * group

        command = Signal(FEED_ACTIVATION)
        following = FEED_ACTIVATION(reader.begun.payload)
        begun = Signal()  # the command is being carried out
        step = Signal(range(max(steps, 2)))
        left = Signal(COUNT_BITS)  # elements of the row that are still to come
        rows_left = Signal(COUNT_BITS)
        row_lane = Signal(range(lanes))  # bank of the row's first element
        col_lane = Signal(range(lanes))  # j mod B
        row_address = Signal(len(command.base) + 1)
        address = Signal(len(command.base) + 1)
        next_address = Signal(len(command.base) + 1)

        count = Signal(range(lanes + 1))
        taken = Signal(range(lanes + 1))
        rotate = Signal(range(2 * lanes))
        advance = Signal(range(2 * lanes))
        split = Signal(range(lanes + 1))
        write = Signal()
        last_step = Signal()
        last_of_row = Signal()
        over = Signal()
        m.d.comb += [
            last_step.eq(step == steps - 1),
            taken.eq(Mux(last_step, tail, group)),
            last_of_row.eq(left <= taken),
            count.eq(Mux(last_of_row, left, taken)),
            rotate.eq(row_lane + col_lane),
            advance.eq(col_lane + taken),
            split.eq(lanes - col_lane),
            next_address.eq(address + command.pitch),
            write.eq(begun & reader.words.valid),
            over.eq(write & last_of_row & (rows_left == 1)),
            reader.words.ready.eq(begun & (last_step | last_of_row)),
            reader.begun.ready.eq(~begun | over),
            self.words.eq(reader.words.valid & reader.words.ready),
            self.buffer_beyond.eq(
                write & ((address >= self._depth) | ((count > split) & (next_address >= self._depth)))
            ),
        ]
        with m.If(write):
            m.d.sync += [
                step.eq(Mux(last_step, 0, step + 1)),
                left.eq(left - taken),
                col_lane.eq(advance),
            ]
            with m.If(advance >= lanes):
                m.d.sync += [col_lane.eq(advance - lanes), address.eq(next_address)]
            with m.If(last_of_row):
                m.d.sync += [
                    left.eq(command.cols),
                    rows_left.eq(rows_left - 1),
                    step.eq(0),
                    row_lane.eq(Mux(row_lane == lanes - 1, 0, row_lane + 1)),
                    col_lane.eq(0),
                    row_address.eq(row_address + 1),
                    address.eq(row_address + 1),
                ]
        with m.If(reader.begun.ready):
            m.d.sync += begun.eq(reader.begun.valid)
            with m.If(reader.begun.valid):
                m.d.sync += [
                    command.eq(following),
                    left.eq(following.cols),
                    rows_left.eq(following.rows),
                    step.eq(0),
                    row_lane.eq(following.lane),
                    col_lane.eq(0),
                    row_address.eq(following.base),
                    address.eq(following.base),
                ]

        # The writes are registered on their way to the banks: a cycle more before they can be read.
        posted = Signal()
        post = Signal.like(self.semaphores.post)
        padded = Cat(reader.words.payload, Const(0, (steps * group - word_elements) * self._width))
        m.d.sync += [posted.eq(over), self.write.enable.eq(write & ~self.buffer_beyond)]
        with m.If(over):
            m.d.sync += post.eq(semaphore_mask(command.post_0, command.post_1))
        with m.If(write):
            m.d.sync += [
                self.write.address.eq(address),
                self.write.next.eq(next_address),
                self.write.rotate.eq(Mux(rotate >= lanes, rotate - lanes, rotate)),
                self.write.split.eq(split),
                self.write.count.eq(count),
                self.write.data.eq(padded.word_select(step, group * self._width)),
            ]
        m.d.comb += [
            self.semaphores.wait.eq(reader.semaphores.wait),
            reader.semaphores.ok.eq(self.semaphores.ok),
            self.semaphores.take.eq(reader.semaphores.take),
            self.semaphores.post.eq(Mux(posted, post, 0)),
            self.busy.eq(reader.busy | reader.begun.valid | begun | posted),
            self.idle.eq(~self.busy),
            self.beyond.eq(reader.beyond),
            self.stall_semaphore.eq(reader.stall_semaphore),
        ]
        return m
