"""Reads an operand of a pass out of the scratchpad ahead of time and offers a value for each lane."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.queue_depths import OPERAND_WORDS_SPARE
from chiplet.machine.specs import BUFFER_ADDRESS_BITS
from rtl.block import Block, check_integers, place
from rtl.interface.isa import COUNT_BITS, VECTOR
from rtl.interface.scratchpad_port import ScratchpadReadPort
from rtl.interface.vector_operations import Spread
from rtl.lib.queue import Queue
from rtl.lib.sram import with_latency

__all__ = ["OperandReader"]


class OperandReader(Block):
    """The values of one operand, beat after beat: ``lanes`` elements of a row, or one element for all lanes.

    Parameters
    ----------
    depth, word_bytes : int
        Words of the scratchpad, and bytes of a word, a power of two of at least 4.
    lanes : int
        A power of two, at most ``word_bytes`` / 4.
    sram_latency : int
        Cycles from a read to its word.

    Members
    -------
    load : In(1)
        Begin; allowed when everything of the pass before has been taken.
    base, pitch, rows, cols, spread, bf16 : In
        As in VECTOR; they hold from ``load`` until the last beat is taken.
    read : Out(ScratchpadReadPort)
    valid : Out(1), values : Out(32 * lanes)
        The next beat's values are here; fp32, or 32 bits as they are.
    beyond : Out(1)
        The next word lies beyond the scratchpad, and is not read.
    take, row_end, pass_end : In(1)
        The values are taken; they are the last of a row, and of the pass.
    """

    def __init__(self, *, depth: int, word_bytes: int, lanes: int, sram_latency: int = SRAM_LATENCY) -> None:
        check_integers("operand reader", minimum=1, depth=depth, lanes=lanes, sram_latency=sram_latency)
        self._depth, self._word_bytes, self._lanes = depth, word_bytes, lanes
        self._latency = sram_latency
        super().__init__(
            {
                "load": In(1),
                "base": In(BUFFER_ADDRESS_BITS),
                "pitch": In(VECTOR["a_pitch"].width),
                "rows": In(COUNT_BITS),
                "cols": In(COUNT_BITS),
                "spread": In(2),
                "bf16": In(1),
                "read": Out(ScratchpadReadPort(depth=depth, word_bytes=word_bytes)),
                "valid": Out(1),
                "values": Out(32 * lanes),
                "beyond": Out(1),
                "take": In(1),
                "row_end": In(1),
                "pass_end": In(1),
            }
        )

    @property
    def block_name(self) -> str:
        return with_latency(f"operand_reader_{self._depth}x{self._word_bytes}_l{self._lanes}", self._latency)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sums = self._word_bytes // 4
        ahead = self._latency + OPERAND_WORDS_SPARE

        # Words, row after row; a column and a value are a row of words.
        by_row = Signal()
        across = Signal(COUNT_BITS)  # elements side by side in words
        words = Signal(COUNT_BITS)
        left = Signal(COUNT_BITS)
        rows_left = Signal(COUNT_BITS)
        row_address = Signal(BUFFER_ADDRESS_BITS)
        address = Signal(BUFFER_ADDRESS_BITS)
        next_row = Signal(BUFFER_ADDRESS_BITS)
        held = Signal(range(ahead + 1))  # words read, or on their way, that have not been taken
        asked = Signal()
        given = Signal()
        count = Signal(COUNT_BITS)
        bits = exact_log2(sums)
        m.d.comb += [
            by_row.eq(self.spread >= Spread.ROW),
            across.eq(Mux(by_row, self.cols, Mux(self.spread == Spread.COLUMN, self.rows, 1))),
            count.eq(
                Mux(self.bf16, across + (2 * sums - 1) >> bits + 1, across + (sums - 1) >> bits),
            ),
            next_row.eq(row_address + Mux(self.spread == Spread.MATRIX, self.pitch, 0)),
            self.beyond.eq((rows_left != 0) & (address >= self._depth)),
            self.read.valid.eq((rows_left != 0) & (held != ahead) & ~self.beyond),
            self.read.address.eq(address),
            asked.eq(self.read.valid & self.read.ready),
        ]
        m.d.sync += held.eq(held + asked - given)
        with m.If(self.load):
            m.d.sync += [
                row_address.eq(self.base),
                address.eq(self.base),
                words.eq(count),
                left.eq(count),
                rows_left.eq(Mux(by_row, self.rows, 1)),
            ]
        with m.Elif(asked):
            m.d.sync += [address.eq(address + 1), left.eq(left - 1)]
            with m.If(left == 1):
                m.d.sync += [
                    row_address.eq(next_row),
                    address.eq(next_row),
                    left.eq(words),
                    rows_left.eq(rows_left - 1),
                ]

        queue = Queue(width=8 * self._word_bytes, depth=ahead)
        place(m, platform, "words", queue)
        coming: Value = asked
        for n in range(self._latency):
            later = Signal(name=f"coming_{n}")
            m.d.sync += later.eq(coming)
            coming = later
        m.d.comb += [queue.i.valid.eq(coming), queue.i.payload.eq(self.read.data)]

        # Values: a group of lanes of the word, or one element of it.
        word = queue.o.payload
        groups = sums // self._lanes
        slot = Signal(range(2 * sums))
        last = Signal(range(2 * sums))
        wide = 32 * self._lanes
        whole = word.word_select(slot[: exact_log2(groups)] if groups > 1 else C(0, 1), wide)
        half = word.word_select(slot[: exact_log2(groups) + 1], wide // 2)
        group = Mux(self.bf16, Cat(Cat(C(0, 16), half.word_select(n, 16)) for n in range(self._lanes)), whole)
        element = Signal(32)
        m.d.comb += [
            element.eq(
                Mux(
                    self.bf16,
                    Cat(C(0, 16), word.word_select(slot, 16)),
                    word.word_select(slot[:bits] if bits else C(0, 1), 32),
                )
            ),
            last.eq(
                Mux(
                    by_row,
                    Mux(self.bf16, 2 * groups - 1, groups - 1),
                    Mux(self.bf16, 2 * sums - 1, sums - 1),
                )
            ),
            self.valid.eq(queue.o.valid),
            self.values.eq(Mux(by_row, group, element.replicate(self._lanes))),
            given.eq(queue.o.valid & queue.o.ready),
        ]
        advance = Signal()  # to the next element, or group
        m.d.comb += [
            advance.eq(self.take & (by_row | ((self.spread == Spread.COLUMN) & self.row_end))),
            queue.o.ready.eq(
                (self.take & (self.pass_end | (by_row & self.row_end))) | (advance & (slot == last))
            ),
        ]
        with m.If(queue.o.ready):
            m.d.sync += slot.eq(0)
        with m.Elif(advance):
            m.d.sync += slot.eq(slot + 1)
        return m
