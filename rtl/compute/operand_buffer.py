"""Operand buffer that delivers a row or a column of a stored block in every cycle.

Element (i, j) of a stored block lies in bank (i + j) mod B, at address base + (j div B) * pitch + i. B neighbours
along a row are then in B different banks, and so are B neighbours along a column: this is the whole transposing
path. A rotation brings the banks in order.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Member, Out
from amaranth.utils import ceil_log2

from rtl.block import Block, place
from rtl.lib.rotate import Rotate
from rtl.lib.sram import Sram

__all__ = ["READ_LATENCY", "OperandBuffer", "read_port"]

READ_LATENCY = 2
"""Cycles from a read to its vector."""


def count_bits(lanes: int) -> int:
    """Width of a number of lanes, 0 to ``lanes``."""
    return ceil_log2(lanes + 1)


def lane_bits(lanes: int) -> int:
    """Width of the index of a lane."""
    return max(1, ceil_log2(lanes))


def read_port(lanes: int, depth: int) -> dict[str, Member]:
    """Members with which a unit reads an operand buffer, without ``read_`` in front, see :class:`OperandBuffer`."""
    return {
        "enable": Out(1),
        "address": Out(max(1, ceil_log2(depth))),
        "rotate": Out(lane_bits(lanes)),
        "column": Out(1),
        "count": Out(count_bits(lanes)),
    }


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

    Members
    -------
    read_enable, read_address, read_rotate, read_column, read_count
        Vector of B elements in two cycles. Along a row: ``read_address`` for all banks. Along a column
        (``read_column``): lane l is one address further than lane l - 1. ``read_rotate`` is (i + j) mod B of lane 0.
        Lanes from ``read_count`` on are 0.
    read_data : Out(lanes * width)
        Holds until the next vector.
    write_enable, write_address, write_next, write_rotate, write_split, write_count, write_data
        Up to B neighbours of a row. Element e goes to bank ``write_rotate`` + e, at ``write_address`` for e below
        ``write_split`` and at ``write_next`` from there on. Only the first ``write_count`` elements are written.
    """

    def __init__(self, *, lanes: int, width: int, depth: int, macro: bool = False) -> None:
        self._lanes, self._width, self._depth, self._macro = lanes, width, depth, macro
        address = max(1, ceil_log2(depth))
        super().__init__(
            {
                "read_enable": In(1),
                "read_address": In(address),
                "read_rotate": In(lane_bits(lanes)),
                "read_column": In(1),
                "read_count": In(count_bits(lanes)),
                "read_data": Out(lanes * width),
                "write_enable": In(1),
                "write_address": In(address),
                "write_next": In(address),
                "write_rotate": In(lane_bits(lanes)),
                "write_split": In(count_bits(lanes)),
                "write_count": In(count_bits(lanes)),
                "write_data": In(lanes * width),
            }
        )

    @property
    def block_name(self) -> str:
        return f"operand_buffer_{self._lanes}x{self._depth}x{self._width}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, width = self._lanes, self._width

        def behind(bank: int, first: Signal) -> Value:
            """How many banks ``bank`` comes after bank ``first``, modulo ``lanes``."""
            if bank == lanes - 1:
                return bank - first
            return Mux(first <= bank, bank - first, bank + lanes - first)

        write_lanes = Rotate(lanes=lanes, width=width)
        read_lanes = Rotate(lanes=lanes, width=width)
        place(m, platform, "write_lanes", write_lanes)
        place(m, platform, "read_lanes", read_lanes)
        m.d.comb += [
            write_lanes.i.eq(self.write_data),
            write_lanes.amount.eq(Mux(self.write_rotate == 0, 0, lanes - self.write_rotate)),
        ]

        # Only a column needs the lane that a bank serves: hold it still otherwise.
        column_rotate = Signal.like(self.read_rotate)
        m.d.comb += column_rotate.eq(Mux(self.read_column, self.read_rotate, 0))

        bank_data = []
        for b in range(lanes):
            sram = Sram(width=width, depth=self._depth, macro=self._macro)
            place(m, platform, f"bank_{b}", sram)
            lane = Signal.like(self.read_rotate, name=f"lane_{b}")
            element = Signal.like(self.write_rotate, name=f"element_{b}")
            m.d.comb += [
                lane.eq(behind(b, column_rotate)),
                sram.read_enable.eq(self.read_enable),
                sram.read_address.eq(self.read_address + Mux(self.read_column, lane, 0)),
                element.eq(behind(b, self.write_rotate)),
                sram.write_enable.eq(self.write_enable & (element < self.write_count)),
                sram.write_address.eq(Mux(element < self.write_split, self.write_address, self.write_next)),
                sram.write_data.eq(write_lanes.o.word_select(b, width)),
            ]
            bank_data.append(sram.read_data)

        rotate = Signal.like(self.read_rotate)
        count = Signal.like(self.read_count)
        reading = Signal()
        mask = Signal(lanes)
        m.d.sync += reading.eq(self.read_enable)
        with m.If(self.read_enable):
            m.d.sync += [rotate.eq(self.read_rotate), count.eq(self.read_count)]
        m.d.comb += [
            read_lanes.i.eq(Cat(bank_data)),
            read_lanes.amount.eq(rotate),
            mask.eq((Const(1, lanes + 1) << count) - 1),
        ]
        with m.If(reading):
            m.d.sync += self.read_data.eq(
                read_lanes.o & Cat(mask[lane].replicate(width) for lane in range(lanes))
            )
        return m
