"""Writes the results of a pass to the scratchpad: rows of y, and one value a row."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import BUFFER_ADDRESS_BITS
from rtl.block import Block, place
from rtl.compute.mac import rounded_bf16
from rtl.interface.isa import VECTOR
from rtl.interface.scratchpad_port import STROBE_BYTES, ScratchpadWritePort
from rtl.lib.queue import Queue

__all__ = ["ResultWriter"]

_WAITING = 2
"""Words of each kind that wait: one that comes and one that is refused."""


class ResultWriter(Block):
    """Collects beats in words and writes these; parts of a word beyond the end of a row are left as they are.

    Members
    -------
    load : In(1)
        Begin; allowed when everything of the pass before has been written.
    y, y_pitch, row, result : In
        As in VECTOR; they hold until ``written``.
    reduces : In(1)
        The pass ends with the last row's value, not with y.
    enable : In(1)
        A beat and a row's value may come. Allowed while ``room``.
    valid, row_end, pass_end : In(1), mask : In(lanes), values : In(32 * lanes)
        A beat of y.
    row_valid, row_last : In(1), row_value : In(32)
        A row's value.
    room : Out(1)
        There is room for a beat and a row's value.
    write : Out(ScratchpadWritePort)
    beyond : Out(1)
        The next word belongs beyond the scratchpad, and is not written.
    written : Out(1)
        The last word of the pass is written, in this cycle or before.
    """

    def __init__(self, *, depth: int, word_bytes: int, lanes: int) -> None:
        self._depth, self._word_bytes, self._lanes = depth, word_bytes, lanes
        super().__init__(
            {
                "load": In(1),
                "y": In(BUFFER_ADDRESS_BITS),
                "y_pitch": In(VECTOR["y_pitch"].width),
                "row": In(BUFFER_ADDRESS_BITS),
                "result": In(2),
                "reduces": In(1),
                "enable": In(1),
                "valid": In(1),
                "row_end": In(1),
                "pass_end": In(1),
                "mask": In(lanes),
                "values": In(32 * lanes),
                "row_valid": In(1),
                "row_last": In(1),
                "row_value": In(32),
                "room": Out(1),
                "write": Out(ScratchpadWritePort(depth=depth, word_bytes=word_bytes)),
                "beyond": Out(1),
                "written": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        return f"result_writer_{self._depth}x{self._word_bytes}_l{self._lanes}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, bits = self._lanes, 8 * self._word_bytes
        groups = self._word_bytes // 4 // lanes
        bf16 = Signal()
        m.d.comb += bf16.eq(self.result == 2)

        # y: each beat has its place in the word.
        values = [self.values.word_select(n, 32) for n in range(lanes)]
        beat = {"fp32": Cat(values), "bf16": Cat(rounded_bf16(value) for value in values)}
        parts = {
            "fp32": Cat(bit.replicate(4 // STROBE_BYTES) for bit in self.mask),
            "bf16": Cat(bit.replicate(2 // STROBE_BYTES) for bit in self.mask),
        }
        slot = Signal(range(2 * groups))
        filled = {"fp32": groups, "bf16": 2 * groups}

        def placed(of: dict[str, Value]) -> Value:
            """The beat's bits at their place, zeros elsewhere."""
            spread = {name: Cat(Mux(slot == n, of[name], 0) for n in range(filled[name])) for name in of}
            return Mux(bf16, spread["bf16"], spread["fp32"])

        word_bits = bits + bits // (8 * STROBE_BYTES)
        gathered = Signal(word_bits)
        word = Signal(word_bits)
        comes = Signal()
        word_end = Signal()
        address = Signal(BUFFER_ADDRESS_BITS)
        row_address = Signal(BUFFER_ADDRESS_BITS)
        next_row = Signal(BUFFER_ADDRESS_BITS)
        m.d.comb += [
            comes.eq(self.enable & self.valid & (self.result != 0)),
            word_end.eq(self.row_end | (slot == Mux(bf16, 2 * groups - 1, groups - 1))),
            word.eq(gathered | Cat(placed(beat), placed(parts))),
            next_row.eq(row_address + self.y_pitch),
        ]
        with m.If(self.load):
            m.d.sync += [row_address.eq(self.y), address.eq(self.y)]
        with m.Elif(comes):
            m.d.sync += [slot.eq(Mux(word_end, 0, slot + 1)), gathered.eq(Mux(word_end, 0, word))]
            with m.If(word_end):
                m.d.sync += address.eq(address + 1)
            with m.If(self.row_end):
                m.d.sync += [row_address.eq(next_row), address.eq(next_row)]
        words = Queue(width=len(word) + len(address), depth=_WAITING)
        place(m, platform, "words", words)
        m.d.comb += [words.i.valid.eq(comes & word_end), words.i.payload.eq(Cat(word, address))]

        # Values of rows, side by side.
        sums = self._word_bytes // 4
        row_slot = Signal(range(max(sums, 2)))
        row_gathered = Signal(word_bits)
        row_word = Signal(word_bits)
        row_place = Signal(BUFFER_ADDRESS_BITS)
        row_comes = Signal()
        row_word_end = Signal()
        ones = C((1 << 4 // STROBE_BYTES) - 1, 4 // STROBE_BYTES)
        row_placed = [
            Cat(Mux(row_slot == n, value, 0) for n in range(sums)) for value in (self.row_value, ones)
        ]
        m.d.comb += [
            row_comes.eq(self.enable & self.row_valid & self.reduces),
            row_word_end.eq(self.row_last | (row_slot == sums - 1)),
            row_word.eq(row_gathered | Cat(*row_placed)),
        ]
        with m.If(self.load):
            m.d.sync += row_place.eq(self.row)
        with m.Elif(row_comes):
            m.d.sync += [
                row_slot.eq(Mux(row_word_end, 0, row_slot + 1)),
                row_gathered.eq(Mux(row_word_end, 0, row_word)),
                row_place.eq(row_place + row_word_end),
            ]
        row_words = Queue(width=len(row_word) + len(row_place), depth=_WAITING)
        place(m, platform, "row_words", row_words)
        m.d.comb += [
            row_words.i.valid.eq(row_comes & row_word_end),
            row_words.i.payload.eq(Cat(row_word, row_place)),
            self.room.eq(words.i.ready & row_words.i.ready),
        ]

        # One write port: values of rows first.
        outgoing = Signal(len(words.o.payload), reset_less=True)
        full = Signal()
        free = Signal()
        ending = Signal()
        m.d.comb += [
            free.eq(~full | self.write.ready),
            row_words.o.ready.eq(free),
            words.o.ready.eq(free & ~row_words.o.valid),
            self.beyond.eq(full & (outgoing[word_bits:] >= self._depth)),
            self.write.valid.eq(full & ~self.beyond),
            Cat(self.write.data, self.write.strobe).eq(outgoing[:word_bits]),
            self.write.address.eq(outgoing[word_bits:]),
            self.written.eq(ending & ~words.o.valid & ~row_words.o.valid & free),
        ]
        with m.If(free):
            m.d.sync += [
                full.eq(words.o.valid | row_words.o.valid),
                outgoing.eq(Mux(row_words.o.valid, row_words.o.payload, words.o.payload)),
            ]
        with m.If(self.written):
            m.d.sync += ending.eq(0)
        with m.If(
            self.enable & Mux(self.reduces, self.row_valid & self.row_last, self.valid & self.pass_end)
        ):
            m.d.sync += ending.eq(1)
        return m
