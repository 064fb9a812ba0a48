"""Drain unit: copies sums from the accumulator buffer to the scratchpad, panel after panel, as they are or as bf16.

A row in the scratchpad holds the panels side by side without gaps, so a panel of C columns may start in the middle of a
word: its sums are shifted into place and only their part of the word is written. What the last panel leaves of its last
word is written as zeros.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.queue_depths import ROWS_SPARE
from chiplet.machine.specs import BUFFER_ADDRESS_BITS, DieSpec
from rtl.block import Block, place
from rtl.compute.accumulator import AccumulatorReadPort
from rtl.compute.mac import Bf16Rounding
from rtl.interface.isa import COUNT_BITS, DRAIN
from rtl.interface.scratchpad_port import STROBE_BYTES, ScratchpadWritePort
from rtl.interface.semaphore_port import SemaphorePort, semaphore_mask
from rtl.lib.queue import Queue
from rtl.lib.sram import with_latency

__all__ = ["DrainUnit"]

STROBE_BITS = 8 * STROBE_BYTES


class DrainUnit(Block):
    """From the accumulator buffer to the scratchpad.

    Parameters
    ----------
    die : DieSpec
        Accumulator buffer.
    depth, word_bytes : int
        Words of the scratchpad, and their bytes.
    sram_latency : int
        Cycles from a read of an SRAM to its word.

    Members
    -------
    command : In(stream)
        DRAIN commands.
    semaphores : Out(SemaphorePort)
        Semaphores that its commands and their panels wait for, and that they and their rows post.
    read : Out(AccumulatorReadPort)
        Read port of the accumulator buffer.
    write : Out(ScratchpadWritePort)
        Write port of the scratchpad.
    idle, beyond, buffer_beyond : Out(1)
        No command is here; a word belongs beyond the scratchpad, and is not written; a row beyond the accumulator
        buffer is asked for, and not read.
    busy, stall_semaphore, words : Out(1)
        For the counters: a command is here; it waits for semaphores; a word is written.
    """

    def __init__(
        self, *, die: DieSpec, depth: int, word_bytes: int, sram_latency: int = SRAM_LATENCY
    ) -> None:
        self._rows_ahead = sram_latency + ROWS_SPARE
        self._latency = sram_latency
        self._die, self._depth, self._word_bytes = die, depth, word_bytes
        super().__init__(
            {
                "command": In(stream.Signature(DRAIN.size)),
                "semaphores": Out(SemaphorePort(of_unit=True)),
                "read": Out(AccumulatorReadPort(cols=die.cols, depth=die.accumulator_depth)),
                "write": Out(ScratchpadWritePort(depth=depth, word_bytes=word_bytes)),
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
        die = self._die
        sums = f"{die.cols}x{die.accumulator_depth}_{die.dtype}"
        return with_latency(f"drain_unit_{sums}_{self._depth}x{self._word_bytes}", self._latency)

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        commands = Queue(width=DRAIN.size, depth=2)
        rows = Queue(width=self._die.cols * 32, depth=self._rows_ahead, passes=True)
        place(m, platform, "commands", commands)
        place(m, platform, "rows", rows)
        reading = self._elaborate_reader(m, commands, rows)
        writing = self._elaborate_writer(m, platform, commands, rows)
        m.d.comb += [
            self.busy.eq(reading | commands.o.valid | writing),
            self.idle.eq(~self.busy),
        ]
        return m

    def _elaborate_reader(self, m: Module, commands: Queue, rows: Queue) -> Signal:
        """Take commands, wait for the semaphores of each panel, and read its rows; return whether a command is here."""
        command = Signal(DRAIN)
        active = Signal()
        begun = Signal()  # the semaphores of the command are taken
        in_panel = Signal()  # those of the panel are taken
        panels_left = Signal(COUNT_BITS)
        rows_left = Signal(COUNT_BITS)
        panel = Signal.like(command.base)
        following = Signal.like(command.base)
        address = Signal(len(command.base) + 1)
        ahead = Signal(range(self._rows_ahead + 1))  # rows that were asked for and have not left their queue
        go = Signal()
        asked = Signal()
        panel_over = Signal()
        last_panel = Signal()
        m.d.comb += [
            self.semaphores.wait.eq(
                semaphore_mask(command.panel_wait)
                | Mux(begun, 0, semaphore_mask(command.wait_0, command.wait_1))
            ),
            go.eq(active & ~in_panel & (begun | commands.i.ready) & self.semaphores.ok),
            self.semaphores.take.eq(go),
            commands.i.valid.eq(go & ~begun),
            commands.i.payload.eq(command),
            self.stall_semaphore.eq(active & ~in_panel & ~self.semaphores.ok),
            self.buffer_beyond.eq(in_panel & (address >= self._die.accumulator_depth)),
            self.read.valid.eq(in_panel & (ahead != self._rows_ahead) & ~self.buffer_beyond),
            self.read.address.eq(address),
            asked.eq(self.read.valid & self.read.ready),
            rows.i.valid.eq(self.read.come),
            rows.i.payload.eq(self.read.sums),
            panel_over.eq(asked & (rows_left == 1)),
            last_panel.eq(panels_left == 1),
            following.eq(panel + command.step),
            self.command.ready.eq(~active | (panel_over & last_panel)),
        ]
        m.d.sync += ahead.eq(ahead + asked - (rows.o.valid & rows.o.ready))
        with m.If(go):
            m.d.sync += [begun.eq(1), in_panel.eq(1), rows_left.eq(command.rows), address.eq(panel)]
        with m.If(asked):
            m.d.sync += [rows_left.eq(rows_left - 1), address.eq(address + 1)]
        with m.If(panel_over):
            m.d.sync += [
                in_panel.eq(0),
                panels_left.eq(panels_left - 1),
                panel.eq(Mux(following == command.wrap, 0, following)),
            ]
            with m.If(last_panel):
                m.d.sync += active.eq(0)
        with m.If(self.command.valid & self.command.ready):
            incoming = DRAIN(self.command.payload)
            m.d.sync += [
                command.eq(incoming),
                active.eq(1),
                begun.eq(0),
                panels_left.eq(incoming.panels),
                panel.eq(incoming.base),
            ]
        return active

    def _elaborate_writer(self, m: Module, platform: object, commands: Queue, rows: Queue) -> Signal:
        """Put rows of sums into words and write them; return whether a command is being carried out."""
        cols = self._die.cols
        word_parts = self._word_bytes // STROBE_BYTES
        part_bits = exact_log2(word_parts)
        row_words = -(-(2 * cols + word_parts - 2) // word_parts)
        command = Signal(DRAIN)
        following = DRAIN(commands.o.payload)
        begun = Signal()
        panels_left = Signal(COUNT_BITS)
        rows_left = Signal(COUNT_BITS)  # whose words are not complete
        # Place of the panel's first sum in its row, in parts of words, and first word of the row.
        column = Signal(BUFFER_ADDRESS_BITS + part_bits)
        row_address = Signal(BUFFER_ADDRESS_BITS + 1)
        cast = command.cast if self._die.dtype == "bf16" else Const(0, 1)

        # Words of the row that is being written.
        parts = Signal(row_words * word_parts * STROBE_BITS)
        strobe = Signal(row_words * word_parts)
        address = Signal(BUFFER_ADDRESS_BITS + 1)
        post = Signal.like(self.semaphores.post)  # behind the last word
        sent = Signal()
        last_word = Signal()
        take_row = Signal()
        m.d.comb += [
            self.beyond.eq(strobe.any() & (address >= self._depth)),
            self.write.valid.eq(strobe.any() & ~self.beyond),
            self.write.address.eq(address),
            self.write.strobe.eq(strobe),
            self.write.data.eq(parts),
            sent.eq(self.write.valid & self.write.ready),
            last_word.eq(~strobe[word_parts:].any()),
            take_row.eq(begun & rows.o.valid & (~strobe.any() | (sent & last_word))),
            rows.o.ready.eq(take_row),
            self.semaphores.post.eq(Mux(sent & last_word, post, 0)),
            self.words.eq(sent),
        ]

        last_panel = Signal()
        last_row = Signal()
        over = Signal()
        m.d.comb += [
            last_panel.eq(panels_left == 1),
            last_row.eq(rows_left == 1),
            over.eq(take_row & last_row & last_panel),
            commands.o.ready.eq(~begun | over),
        ]
        placed, row_strobe = self._place_row(
            m, platform, rows.o.payload, command, cast, last_panel, column[:part_bits]
        )
        with m.If(sent):
            m.d.sync += [
                parts.eq(parts[word_parts * STROBE_BITS :]),
                strobe.eq(strobe[word_parts:]),
                address.eq(address + 1),
            ]
        with m.If(take_row):
            m.d.sync += [
                parts.eq(placed),
                strobe.eq(row_strobe),
                address.eq(row_address + column[part_bits:]),
                post.eq(
                    Mux(last_panel, semaphore_mask(command.row_post), 0)
                    | Mux(last_row, semaphore_mask(command.panel_post), 0)
                    | Mux(over, semaphore_mask(command.post_0, command.post_1), 0)
                ),
                rows_left.eq(rows_left - 1),
                row_address.eq(row_address + command.target_pitch),
            ]
            with m.If(last_row):
                m.d.sync += [
                    panels_left.eq(panels_left - 1),
                    rows_left.eq(command.rows),
                    row_address.eq(command.target),
                    column.eq(column + Mux(cast, cols, 2 * cols)),
                ]
        with m.If(commands.o.ready):
            m.d.sync += begun.eq(commands.o.valid)
            with m.If(commands.o.valid):
                m.d.sync += [
                    command.eq(following),
                    panels_left.eq(following.panels),
                    rows_left.eq(following.rows),
                    row_address.eq(following.target),
                    column.eq(0),
                ]
        return begun | strobe.any()

    def _place_row(
        self,
        m: Module,
        platform: object,
        sums: Signal,
        command: Any,
        cast: Any,
        last_panel: Signal,
        offset: Any,
    ) -> tuple[Signal, Signal]:
        """A row of sums shifted to its place in words, and the parts of the words that it fills."""
        cols = self._die.cols
        word_parts = self._word_bytes // STROBE_BYTES
        row_words = -(-(2 * cols + word_parts - 2) // word_parts)
        columns = Signal(range(cols + 1))
        kept = Signal(cols)
        masked = Signal(cols * 32)
        row = Signal(cols * 32)
        m.d.comb += [
            columns.eq(Mux(last_panel, command.last_cols, cols)),
            kept.eq((Const(1, 1) << columns) - 1),
            # A choice for each sum: an AND with a mask as wide as the row would name the bit of each sum 32 times.
            masked.eq(Cat(Mux(kept[c], sums.word_select(c, 32), 0) for c in range(cols))),
            row.eq(masked),
        ]
        if self._die.dtype == "bf16":
            rounded = []
            for c in range(cols):
                rounding = Bf16Rounding()
                place(m, platform, f"rounding_{c}", rounding)
                m.d.comb += rounding.i.eq(masked.word_select(c, 32))
                rounded.append(rounding.o)
            with m.If(cast):
                m.d.comb += row.eq(Cat(rounded))

        # Shifted to its place step by step: a shift by any number of bits would tie every bit to every other.
        placed = Signal(row_words * word_parts * STROBE_BITS)
        m.d.comb += placed.eq(row)
        for bit in range(len(offset)):
            shifted = Signal.like(placed, name=f"shifted_{bit}")
            distance = Const(0, STROBE_BITS << bit)
            m.d.comb += shifted.eq(Mux(offset[bit], Cat(distance, placed)[: len(placed)], placed))
            placed = shifted

        part_bits = exact_log2(word_parts)
        filled = Signal(range(row_words * word_parts + 1))
        cleared = Signal(range(row_words * word_parts + 1))
        strobe = Signal(row_words * word_parts)
        m.d.comb += [
            filled.eq(offset + Mux(cast, columns, columns << 1)),
            cleared.eq(Mux(last_panel, (filled + word_parts - 1) >> part_bits << part_bits, filled)),
            strobe.eq((Const(1, 1) << cleared) - (Const(1, 1) << offset)),
        ]
        return placed, strobe
