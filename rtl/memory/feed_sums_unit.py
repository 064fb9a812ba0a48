"""Feed sums unit: copies sums from the scratchpad into the accumulator buffer, panel after panel.

They lie in the scratchpad as the drain unit puts them there: a row holds the panels side by side, so a panel may start
in the middle of a word.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.specs import SUM_BYTES, DieSpec
from rtl.block import Block, place
from rtl.compute.accumulator import AccumulatorWritePort
from rtl.interface.isa import COUNT_BITS, FEED_SUMS, SEMAPHORES
from rtl.interface.scratchpad_port import ScratchpadReadPort
from rtl.interface.semaphore_port import SemaphorePort, semaphore_mask
from rtl.lib.sram import with_latency
from rtl.memory.scratchpad_reader import WORD_BLOCK, ScratchpadReader

__all__ = ["FeedSumsUnit"]


class FeedSumsUnit(Block):
    """From the scratchpad to the accumulator buffer.

    Parameters
    ----------
    die : DieSpec
        Accumulator buffer.
    depth, word_bytes : int
        Words of the scratchpad, and their bytes.
    sram_latency : int
        Cycles from a read of the scratchpad to its word.

    Members
    -------
    command : In(stream)
        FEED_SUMS commands.
    semaphores : Out(SemaphorePort)
        Semaphores that its commands, their panels and their rows wait for, and that they and their panels post.
    read : Out(ScratchpadReadPort)
        Read port of the scratchpad.
    write : Out(AccumulatorWritePort)
        Write port of the accumulator buffer.
    idle, beyond, buffer_beyond : Out(1)
        No command is here; a word beyond the scratchpad is asked for; a row belongs beyond the accumulator buffer, and
        is not written.
    busy, stall_semaphore, words : Out(1)
        For the counters: a command is here; it waits for semaphores; a word comes.
    """

    def __init__(
        self, *, die: DieSpec, depth: int, word_bytes: int, sram_latency: int = SRAM_LATENCY
    ) -> None:
        self._die, self._depth, self._word_bytes = die, depth, word_bytes
        self._latency = sram_latency
        super().__init__(
            {
                "command": In(stream.Signature(FEED_SUMS.size)),
                "semaphores": Out(SemaphorePort(of_unit=True)),
                "read": Out(ScratchpadReadPort(depth=depth, word_bytes=word_bytes)),
                "write": Out(AccumulatorWritePort(cols=die.cols, depth=die.accumulator_depth)),
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
        sums = f"{self._die.cols}x{self._die.accumulator_depth}"
        name = f"feed_sums_unit_{sums}_{self._depth}x{self._word_bytes}"
        return with_latency(name, self._latency)

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        cols = self._die.cols
        word_sums = self._word_bytes // SUM_BYTES
        offset_bits = exact_log2(word_sums)
        row_words = -(-(cols + word_sums - 1) // word_sums)
        reader = ScratchpadReader(depth=self._depth, word_bytes=self._word_bytes, sram_latency=self._latency)
        place(m, platform, "reader", reader)
        connect(m, reader.read, flipped(self.read))

        command = Signal(FEED_SUMS)
        # Its semaphores as masks, decoded before they are needed.
        command_waits = Signal(SEMAPHORES)
        panel_waits = Signal(SEMAPHORES)
        row_waits = Signal(SEMAPHORES)
        has_row_wait = Signal()
        active = Signal()
        begun = Signal()  # the semaphores of the command are taken
        in_panel = Signal()  # those of the panel are taken
        panels_left = Signal(COUNT_BITS)
        rows_left = Signal(COUNT_BITS)
        panel = Signal.like(command.base)
        following = Signal.like(command.base)
        address = Signal(len(command.base) + 1)
        column = Signal(len(command.source) + offset_bits)  # place of the panel's first sum in its row
        offset = Signal(max(1, offset_bits))
        columns = Signal(range(cols + 1))
        words = Signal(range(row_words + 1))  # of a row of the panel
        rows_wait = Signal()
        go = Signal()
        last_panel = Signal()
        panel_over = Signal()
        written = Signal()
        block = Signal(WORD_BLOCK)
        m.d.comb += [
            rows_wait.eq(reader.asks & has_row_wait),
            self.semaphores.wait.eq(Mux(in_panel, row_waits, panel_waits | Mux(begun, 0, command_waits))),
            go.eq(active & ~in_panel & self.semaphores.ok),
            self.semaphores.take.eq(go | (reader.row_take & rows_wait)),
            self.stall_semaphore.eq(
                active & Mux(in_panel, rows_wait & reader.waiting, 1) & ~self.semaphores.ok
            ),
            last_panel.eq(panels_left == 1),
            offset.eq(column[:offset_bits] if offset_bits else 0),
            columns.eq(Mux(last_panel, command.last_cols, cols)),
            words.eq((offset + columns + word_sums - 1) >> offset_bits),
            block.base.eq(command.source + column[offset_bits:]),
            block.pitch.eq(command.source_pitch),
            block.rows.eq(command.rows),
            block.words.eq(words),
            reader.block.valid.eq(go),  # the reader is free: the panel before has been written
            reader.block.payload.eq(block),
            reader.row_ok.eq(~rows_wait | self.semaphores.ok),
            self.beyond.eq(reader.beyond),
        ]

        # The words of a row, the last one that came on top.
        row = Signal(row_words * word_sums * 32)
        come = Signal(range(row_words + 1))
        whole = Signal()
        taken = Signal()
        m.d.comb += [
            whole.eq(in_panel & (come == words)),
            reader.o.ready.eq(in_panel & ~whole),
            taken.eq(reader.o.valid & reader.o.ready),
            self.words.eq(taken),
        ]
        with m.If(taken):
            m.d.sync += come.eq(come + 1)
            with m.Switch(come):
                for n in range(row_words):
                    with m.Case(n):
                        m.d.sync += row.word_select(n, word_sums * 32).eq(reader.o.payload)
        # Shifted to its place step by step: a shift by any number of bits would tie every bit to every other.
        placed: Signal = row
        for bit in range(offset_bits):
            shifted = Signal.like(row, name=f"shifted_{bit}")
            m.d.comb += shifted.eq(Mux(offset[bit], placed[32 << bit :], placed))
            placed = shifted
        m.d.comb += [
            self.buffer_beyond.eq(whole & (address >= self._die.accumulator_depth)),
            self.write.valid.eq(whole & ~self.buffer_beyond),
            self.write.address.eq(address),
            self.write.sums.eq(placed),
            written.eq(self.write.valid & self.write.ready),
            panel_over.eq(written & (rows_left == 1)),
            following.eq(panel + command.step),
            self.command.ready.eq(~active | (panel_over & last_panel)),
            self.semaphores.post.eq(
                Mux(panel_over, semaphore_mask(command.panel_post), 0)
                | Mux(
                    panel_over & last_panel,
                    semaphore_mask(command.post_0, command.post_1),
                    0,
                )
            ),
            self.busy.eq(active),
            self.idle.eq(~active),
        ]
        with m.If(go):
            m.d.sync += [begun.eq(1), in_panel.eq(1), rows_left.eq(command.rows), address.eq(panel)]
        with m.If(written):
            m.d.sync += [come.eq(0), rows_left.eq(rows_left - 1), address.eq(address + 1)]
        with m.If(panel_over):
            m.d.sync += [
                in_panel.eq(0),
                panels_left.eq(panels_left - 1),
                panel.eq(Mux(following == command.wrap, 0, following)),
                column.eq(column + cols),
            ]
            with m.If(last_panel):
                m.d.sync += active.eq(0)
        with m.If(self.command.valid & self.command.ready):
            incoming = FEED_SUMS(self.command.payload)
            m.d.sync += [
                command.eq(incoming),
                command_waits.eq(semaphore_mask(incoming.wait_0, incoming.wait_1)),
                panel_waits.eq(semaphore_mask(incoming.panel_wait)),
                row_waits.eq(semaphore_mask(incoming.row_wait)),
                has_row_wait.eq(incoming.row_wait != 0),
                active.eq(1),
                begun.eq(0),
                panels_left.eq(incoming.panels),
                panel.eq(incoming.base),
                column.eq(0),
            ]
        return m
