"""Operand buffer that delivers a row or a column of a stored block in every cycle.

Element (i, j) of a stored block lies in bank (i + j) mod B, at address base + (j div B) * pitch + i. B neighbours
along a row are then in B different banks, and so are B neighbours along a column: this is the whole transposing
path. A rotation brings the banks in order.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from chiplet.machine.pipelining import SRAM_LATENCY
from rtl.block import Block, Bundle, place
from rtl.lib.delay import delayed
from rtl.lib.rotate import Rotate
from rtl.lib.sram import Sram, with_latency
from rtl.lib.widths import count_bits, index_bits

__all__ = ["OperandBuffer", "OperandReadPort", "OperandWritePort", "last_address", "vector_latency"]


def vector_latency(sram_latency: int) -> int:
    """Cycles from a read of an operand buffer to its vector: those of its SRAMs, and one behind the rotation."""
    return sram_latency + 1


class OperandReadPort(Bundle):
    """Read port of an operand buffer, seen from the reader; the vector that is read goes elsewhere.

    Members
    -------
    enable, address, rotate, column, count : Out
        Vector of B elements, :func:`vector_latency` cycles later. Along a row: ``address`` for all banks. Along a
        column (``column``): lane l is one address further than lane l - 1. ``rotate`` is (i + j) mod B of lane 0. Lanes
        from ``count`` on are 0; their addresses may lie beyond the depth.
    """

    def __init__(self, *, lanes: int, depth: int) -> None:
        super().__init__(
            {
                "enable": Out(1),
                "address": Out(index_bits(depth)),
                "rotate": Out(index_bits(lanes)),
                "column": Out(1),
                "count": Out(count_bits(lanes)),
            }
        )


def last_address(port: Any, address: Value) -> Value:
    """Highest address of the lanes that a read at ``address`` takes, with the other signals of its port."""
    return Mux(port.column, address + port.count - 1, address)


class OperandWritePort(Bundle):
    """Write port of an operand buffer, seen from the writer.

    Members
    -------
    enable, address, next, rotate, split, count, data : Out
        Up to B neighbours of a row. Element e goes to bank ``rotate`` + e, at ``address`` for e below ``split`` and at
        ``next`` from there on. Only the first ``count`` elements are written.
    """

    def __init__(self, *, lanes: int, depth: int, width: int) -> None:
        super().__init__(
            {
                "enable": Out(1),
                "address": Out(index_bits(depth)),
                "next": Out(index_bits(depth)),
                "rotate": Out(index_bits(lanes)),
                "split": Out(count_bits(lanes)),
                "count": Out(count_bits(lanes)),
                "data": Out(lanes * width),
            }
        )


class OperandBank(Block):
    """One bank: an SRAM that finds out which element of a write and which lane of a read is its own.

    Members
    -------
    number : In
        Number of the bank, constant.
    read_enable, read_address, read_column, read_count : In
        As in :class:`OperandReadPort`.
    column_rotate : In
        ``rotate`` of a column; of a row it holds still.
    read_data : Out(width)
        The element of the bank, ``sram_latency`` cycles later.
    write_enable, write_address, write_next, write_rotate, write_split, write_count : In
        As in :class:`OperandWritePort`.
    write_data : In(width)
        The element of the bank.
    """

    def __init__(self, *, lanes: int, width: int, depth: int, macro: bool, sram_latency: int) -> None:
        self._lanes, self._width, self._depth, self._macro = lanes, width, depth, macro
        self._latency = sram_latency
        super().__init__(
            {
                "number": In(index_bits(lanes)),
                "read_enable": In(1),
                "read_address": In(index_bits(depth)),
                "read_column": In(1),
                "read_count": In(count_bits(lanes)),
                "column_rotate": In(index_bits(lanes)),
                "read_data": Out(width),
                "write_enable": In(1),
                "write_address": In(index_bits(depth)),
                "write_next": In(index_bits(depth)),
                "write_rotate": In(index_bits(lanes)),
                "write_split": In(count_bits(lanes)),
                "write_count": In(count_bits(lanes)),
                "write_data": In(width),
            }
        )

    @property
    def block_name(self) -> str:
        return with_latency(f"operand_bank_{self._depth}x{self._width}_of_{self._lanes}", self._latency)

    def elaborate(self, platform: object) -> Module:
        m = Module()

        def behind(first: Signal) -> Value:
            """How many banks this one comes after bank ``first``, modulo the number of banks."""
            return Mux(first <= self.number, self.number - first, self.number + self._lanes - first)

        sram = Sram(width=self._width, depth=self._depth, macro=self._macro, sram_latency=self._latency)
        place(m, platform, "sram", sram)
        lane = Signal.like(self.column_rotate)
        element = Signal.like(self.write_rotate)
        m.d.comb += [
            lane.eq(behind(self.column_rotate)),
            # Lanes that are 0 are not read: they may lie behind the last address.
            sram.read_enable.eq(
                self.read_enable & Mux(self.read_column, lane < self.read_count, self.read_count != 0)
            ),
            sram.read_address.eq(self.read_address + Mux(self.read_column, lane, 0)),
            self.read_data.eq(sram.read_data),
            element.eq(behind(self.write_rotate)),
            sram.write_enable.eq(self.write_enable & (element < self.write_count)),
            sram.write_address.eq(Mux(element < self.write_split, self.write_address, self.write_next)),
            sram.write_data.eq(self.write_data),
        ]
        return m


class OperandBuffer(Block):
    """B banks of elements, one write and one read a cycle.

    Parameters
    ----------
    lanes : int
        Banks B, and elements of a vector.
    width : int
        Bits of an element.
    depth : int
        Words of a bank.
    macro : bool
        SRAMs as black boxes.
    sram_latency : int
        Cycles from a read of an SRAM to its word.

    Members
    -------
    read : In(OperandReadPort)
        Reads a vector.
    read_data : Out(lanes * width)
        The vector; holds until the next one.
    write : In(OperandWritePort)
        Writes a part of a row.
    """

    def __init__(
        self,
        *,
        lanes: int,
        width: int,
        depth: int,
        macro: bool = False,
        sram_latency: int = SRAM_LATENCY,
    ) -> None:
        self._lanes, self._width, self._depth, self._macro = lanes, width, depth, macro
        self._latency = sram_latency
        super().__init__(
            {
                "read": In(OperandReadPort(lanes=lanes, depth=depth)),
                "read_data": Out(lanes * width),
                "write": In(OperandWritePort(lanes=lanes, depth=depth, width=width)),
            }
        )

    @property
    def block_name(self) -> str:
        return with_latency(f"operand_buffer_{self._lanes}x{self._depth}x{self._width}", self._latency)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, width = self._lanes, self._width

        write_lanes = Rotate(lanes=lanes, width=width)
        read_lanes = Rotate(lanes=lanes, width=width)
        place(m, platform, "write_lanes", write_lanes)
        place(m, platform, "read_lanes", read_lanes)
        m.d.comb += [
            write_lanes.i.eq(self.write.data),
            write_lanes.amount.eq(Mux(self.write.rotate == 0, 0, lanes - self.write.rotate)),
        ]

        # Only a column needs the lane that a bank serves: hold it still otherwise.
        column_rotate = Signal.like(self.read.rotate)
        m.d.comb += column_rotate.eq(Mux(self.read.column, self.read.rotate, 0))

        bank_data = []
        for b in range(lanes):
            bank = OperandBank(
                lanes=lanes,
                width=width,
                depth=self._depth,
                macro=self._macro,
                sram_latency=self._latency,
            )
            place(m, platform, f"bank_{b}", bank)
            m.d.comb += [
                bank.number.eq(b),
                bank.read_enable.eq(self.read.enable),
                bank.read_address.eq(self.read.address),
                bank.read_column.eq(self.read.column),
                bank.read_count.eq(self.read.count),
                bank.column_rotate.eq(column_rotate),
                bank.write_enable.eq(self.write.enable),
                bank.write_address.eq(self.write.address),
                bank.write_next.eq(self.write.next),
                bank.write_rotate.eq(self.write.rotate),
                bank.write_split.eq(self.write.split),
                bank.write_count.eq(self.write.count),
                bank.write_data.eq(write_lanes.o.word_select(b, width)),
            ]
            bank_data.append(bank.read_data)

        rotate = Signal.like(self.read.rotate)
        count = Signal.like(self.read.count)
        reading = Signal()
        mask = Signal(lanes)
        comes, its_rotate, its_count = (
            delayed(m, value, cycles=self._latency - 1, name=f"coming_{name}", reset_less=False)
            for name, value in (
                ("read", self.read.enable),
                ("rotate", self.read.rotate),
                ("count", self.read.count),
            )
        )
        m.d.sync += reading.eq(comes)
        with m.If(comes):
            m.d.sync += [rotate.eq(its_rotate), count.eq(its_count)]
        m.d.comb += [
            read_lanes.i.eq(Cat(bank_data)),
            read_lanes.amount.eq(rotate),
            mask.eq((Const(1, lanes + 1) << count) - 1),
        ]
        with m.If(reading):
            m.d.sync += self.read_data.eq(
                Cat(Mux(mask[lane], read_lanes.o.word_select(lane, width), 0) for lane in range(lanes))
            )
        return m
