"""Addresses of the words of a block, row after row."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from rtl.block import Block, check_integers
from rtl.interface.isa import COUNT_BITS

__all__ = ["BlockAddresses"]


class BlockAddresses(Block):
    """Counts through ``rows`` x ``words`` words; row i begins at ``base`` + i x ``pitch``.

    Parameters
    ----------
    address_bits, pitch_bits : int
        Widths of addresses and of the pitch; addresses wrap around.

    Members
    -------
    load : In(1), base, pitch, rows, words : In
        Begin with a block; allowed while none is under way, and in the last step of one.
    step : In(1)
        Go on to the next word; allowed while ``busy``.
    busy : Out(1), address : Out
        A word is left, and its address.
    row_begin, row_end, last : Out(1)
        It is the first word of its row, the last one of its row, the last one of all.
    """

    def __init__(self, *, address_bits: int, pitch_bits: int) -> None:
        check_integers("block addresses", minimum=1, address_bits=address_bits, pitch_bits=pitch_bits)
        self._address_bits, self._pitch_bits = address_bits, pitch_bits
        super().__init__(
            {
                "load": In(1),
                "base": In(address_bits),
                "pitch": In(pitch_bits),
                "rows": In(COUNT_BITS),
                "words": In(COUNT_BITS),
                "step": In(1),
                "busy": Out(1),
                "address": Out(address_bits),
                "row_begin": Out(1),
                "row_end": Out(1),
                "last": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        return f"block_addresses_{self._address_bits}_{self._pitch_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pitch = Signal(self._pitch_bits)
        words = Signal(COUNT_BITS)
        words_left = Signal(COUNT_BITS)
        rows_left = Signal(COUNT_BITS)
        one_word = Signal()  # rows have one word each
        last_row = Signal()
        row_address = Signal(self._address_bits)
        next_row = Signal(self._address_bits)
        m.d.comb += next_row.eq(row_address + pitch)
        # What is said of a word is known a step before, so that it comes out of registers.
        with m.If(self.load):
            m.d.sync += [
                self.busy.eq(1),
                self.address.eq(self.base),
                row_address.eq(self.base),
                pitch.eq(self.pitch),
                words.eq(self.words),
                words_left.eq(self.words),
                rows_left.eq(self.rows),
                self.row_begin.eq(1),
                self.row_end.eq(self.words == 1),
                self.last.eq((self.words == 1) & (self.rows == 1)),
                one_word.eq(self.words == 1),
                last_row.eq(self.rows == 1),
            ]
        with m.Elif(self.step):
            m.d.sync += [
                self.busy.eq(~self.last),
                self.address.eq(Mux(self.row_end, next_row, self.address + 1)),
                words_left.eq(Mux(self.row_end, words, words_left - 1)),
                self.row_begin.eq(self.row_end),
                self.row_end.eq(Mux(self.row_end, one_word, words_left == 2)),
                self.last.eq(Mux(self.row_end, one_word & (rows_left == 2), (words_left == 2) & last_row)),
            ]
            with m.If(self.row_end):
                m.d.sync += [
                    row_address.eq(next_row),
                    rows_left.eq(rows_left - 1),
                    last_row.eq(rows_left == 2),
                ]
        return m
