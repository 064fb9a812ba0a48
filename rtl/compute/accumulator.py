"""Accumulator buffer: 32-bit sums, one bank a column, with the adder that sums over K tiles.

Column c works c cycles after column 0, as the sums leave the array, so nothing has to be deskewed. Each column keeps
even and odd addresses in two SRAMs. The array uses ascending addresses, so the SRAM that it does not use serves the
units that read sums out of the buffer or write them into it.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from chiplet.machine.specs import Dtype
from rtl.block import Block, Bundle, place
from rtl.compute.mac import Adder
from rtl.lib.delay import Delay
from rtl.lib.sram import Sram

__all__ = [
    "AccumulatorBuffer",
    "AccumulatorColumn",
    "AccumulatorReadPort",
    "AccumulatorWritePort",
    "accumulate_layout",
]


def accumulate_layout(depth: int) -> data.StructLayout:
    """Control that travels along the columns with a row of sums, one cycle ahead of them."""
    return data.StructLayout(
        {
            "valid": 1,
            "first": 1,  # the sums replace what is stored
            "near": 1,  # the stored sum is the one that leaves the adder now
            "far": 1,  # the stored sum left the adder a cycle ago, and is not readable yet
            "panel_end": 1,
            "command_end": 1,
            "address": ceil_log2(depth),
        }
    )


class AccumulatorReadPort(Bundle):
    """Read port of the accumulator buffer, seen from the reader.

    Members
    -------
    valid, address : Out; ready : In(1)
        A row is asked for in a cycle in which valid and ready are high: in each one while the array is still, in every
        other one while it adds to ascending addresses.
    come : In(1), sums : In(cols * 32)
        A row has come: for this one cycle. Two cycles after it was asked for at the earliest, in order.
    """

    def __init__(self, *, cols: int, depth: int) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "address": Out(ceil_log2(depth)),
                "ready": In(1),
                "come": In(1),
                "sums": In(cols * 32),
            }
        )


class AccumulatorWritePort(Bundle):
    """Write port of the accumulator buffer, seen from the writer.

    Members
    -------
    valid, address, sums : Out; ready : In(1)
        A row, written when valid and ready are high, and held until then. It can be read in the next cycle.
    """

    def __init__(self, *, cols: int, depth: int) -> None:
        super().__init__(
            {"valid": Out(1), "address": Out(ceil_log2(depth)), "sums": Out(cols * 32), "ready": In(1)}
        )


class AccumulatorColumn(Block):
    """One column of the accumulator buffer: two SRAMs of ``depth / 2`` sums and an adder of P stages.

    Parameters
    ----------
    dtype : str
        ``bf16`` sums in fp32, ``int8`` in int32.
    stages : int
        Pipeline stages P of the adder. Two sums for one address must be at least P cycles apart.
    depth : int
        Sums in the column, even.
    macro : bool
        SRAMs as black boxes.

    Members
    -------
    control_in, control_out : accumulate_layout(depth), as plain bits
        ``control_in`` comes a cycle before its sum; ``control_out`` is the same one cycle later, for the next column.
    psum : In(32)
        Sum of one tile, from the array.
    read_start, read_address : In
        Read one sum; the address holds while ``read_waits``.
    read_waits : Out(1)
        High from the cycle after ``read_start`` while the SRAM serves the array. When it is low, ``read_sum`` is there
        in the next cycle.
    read_sum : Out(32)
        The sum read last.
    write_asked, write_address, write_sum : In; written : Out(1)
        Write one sum; all hold until ``written``, which is high until ``write_done``.
    write_done : In(1)
        The sum is written in all columns.

    Raises
    ------
    ValueError
        If ``depth`` is not an even number of at least 2.
    """

    def __init__(self, *, dtype: Dtype, stages: int, depth: int, macro: bool = False) -> None:
        if depth < 2 or depth % 2:
            raise ValueError(f"depth must be an even number of at least 2, not {depth}")
        self._dtype, self._stages, self._depth, self._macro = dtype, stages, depth, macro
        self._layout = accumulate_layout(depth)
        super().__init__(
            {
                "control_in": In(self._layout.size),
                "control_out": Out(self._layout.size),
                "psum": In(32),
                "read_start": In(1),
                "read_address": In(ceil_log2(depth)),
                "read_waits": Out(1),
                "read_sum": Out(32),
                "write_asked": In(1),
                "write_address": In(ceil_log2(depth)),
                "write_sum": In(32),
                "written": Out(1),
                "write_done": In(1),
            }
        )

    @property
    def block_name(self) -> str:
        return f"accumulator_column_{self._depth}_{self._dtype}_p{self._stages}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stages = self._stages
        control = self._layout(self.control_in)
        adding = Signal(self._layout)
        m.d.sync += adding.eq(self.control_in)
        m.d.comb += self.control_out.eq(adding)

        # Reads of the array come first; another one takes the SRAM that the array does not read.
        reads = Signal()
        grant = Signal()
        captured = Signal()
        captured_odd = Signal()
        array_odd, read_odd = control.address[0], self.read_address[0]
        m.d.comb += [
            reads.eq(control.valid & ~control.first),
            grant.eq((self.read_start | self.read_waits) & ~(reads & (array_odd == read_odd))),
        ]
        m.d.sync += [
            self.read_waits.eq((self.read_start | self.read_waits) & ~grant),
            captured.eq(grant),
            captured_odd.eq(read_odd),
        ]

        adder = Adder(dtype=self._dtype, stages=stages)
        place(m, platform, "adder", adder)
        writing = Delay(width=self._layout.size, cycles=stages, reset_less=False)
        place(m, platform, "writing", writing)
        write = self._layout(writing.o)
        m.d.comb += writing.i.eq(adding)

        # So do its writes.
        write_odd = self.write_address[0]
        fill = Signal()
        m.d.comb += fill.eq(
            self.write_asked & ~self.written & ~(write.valid & (write.address[0] == write_odd))
        )
        m.d.sync += self.written.eq((self.written | fill) & ~self.write_done)

        read_data = []
        for odd, name in ((0, "even"), (1, "odd")):
            sram = Sram(width=32, depth=self._depth // 2, macro=self._macro)
            place(m, platform, name, sram)
            array_reads = Signal(name=f"array_reads_{name}")
            array_writes = Signal(name=f"array_writes_{name}")
            bits = len(sram.read_address)
            m.d.comb += [
                array_reads.eq(reads & (array_odd == odd)),
                sram.read_enable.eq(array_reads | (grant & (read_odd == odd))),
                sram.read_address.eq(Mux(array_reads, control.address[1:], self.read_address[1:])[:bits]),
                array_writes.eq(write.valid & (write.address[0] == odd)),
                sram.write_enable.eq(array_writes | (fill & (write_odd == odd))),
                sram.write_address.eq(Mux(array_writes, write.address[1:], self.write_address[1:])[:bits]),
                sram.write_data.eq(Mux(array_writes, adder.o, self.write_sum)),
            ]
            read_data.append(sram.read_data)

        written = Signal(32, reset_less=True)
        stored = Signal(32)
        m.d.sync += written.eq(adder.o)
        m.d.comb += [
            stored.eq(Mux(adding.address[0], read_data[1], read_data[0])),
            adder.a.eq(Mux(adding.first, 0, Mux(adding.near, adder.o, Mux(adding.far, written, stored)))),
            adder.b.eq(self.psum),
        ]
        with m.If(captured):
            m.d.sync += self.read_sum.eq(Mux(captured_odd, read_data[1], read_data[0]))
        return m


class AccumulatorBuffer(Block):
    """All columns of the accumulator buffer.

    Parameters
    ----------
    cols : int
        Columns of the array.
    dtype, stages, depth, macro
        As for :class:`AccumulatorColumn`.

    Members
    -------
    control : In
        For column 0, a cycle before its sum.
    psum : In(cols * 32)
        From the array, column c a cycle later than column c - 1.
    result, panel_end, command_end : Out(1)
        A row is complete (written at the end of this cycle); it is the last one of its panel, of its command. What is
        asked for from the next cycle on is there.
    read : In(AccumulatorReadPort), write : In(AccumulatorWritePort)
        Rows of sums; not for addresses that the array adds to meanwhile.
    """

    def __init__(self, *, cols: int, dtype: Dtype, stages: int, depth: int, macro: bool = False) -> None:
        self._cols, self._dtype, self._stages, self._depth, self._macro = cols, dtype, stages, depth, macro
        self._layout = accumulate_layout(depth)
        super().__init__(
            {
                "control": In(self._layout.size),
                "psum": In(cols * 32),
                "result": Out(1),
                "panel_end": Out(1),
                "command_end": Out(1),
                "read": In(AccumulatorReadPort(cols=cols, depth=depth)),
                "write": In(AccumulatorWritePort(cols=cols, depth=depth)),
            }
        )

    @property
    def block_name(self) -> str:
        return f"accumulator_{self._cols}x{self._depth}_{self._dtype}_p{self._stages}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        control = self.control
        waits, sums, written = [], [], []
        asked = Signal()  # a row of which not every column is known to have read its sum
        start = Signal()
        address = Signal.like(self.read.address)
        held = Signal.like(self.read.address)
        for c in range(self._cols):
            column = AccumulatorColumn(
                dtype=self._dtype, stages=self._stages, depth=self._depth, macro=self._macro
            )
            place(m, platform, f"column_{c}", column)
            m.d.comb += [
                column.control_in.eq(control),
                column.psum.eq(self.psum.word_select(c, 32)),
                column.read_start.eq(start),
                column.read_address.eq(address),
                column.write_asked.eq(self.write.valid),
                column.write_address.eq(self.write.address),
                column.write_sum.eq(self.write.sums.word_select(c, 32)),
                column.write_done.eq(self.write.ready),
            ]
            control = column.control_out
            waits.append(column.read_waits)
            sums.append(column.read_sum)
            written.append(column.written)
        m.d.comb += [
            self.read.ready.eq(~Cat(waits).any()),
            start.eq(self.read.valid & self.read.ready),
            address.eq(Mux(self.read.ready, self.read.address, held)),
            self.read.sums.eq(Cat(sums)),
            self.write.ready.eq(Cat(written).all()),
        ]
        m.d.sync += [
            held.eq(address),
            asked.eq(start | (asked & ~self.read.ready)),
            self.read.come.eq(asked & self.read.ready),
        ]

        # The last column adds now; its sum leaves the adder after P cycles and can be read a cycle later.
        last = self._layout(control)
        result = Delay(width=1, cycles=self._stages, reset_less=False)
        ends = Delay(width=2, cycles=self._stages, reset_less=False)
        place(m, platform, "result_delay", result)
        place(m, platform, "end_delay", ends)
        m.d.comb += [
            result.i.eq(last.valid),
            self.result.eq(result.o),
            ends.i.eq(Cat(last.valid & last.panel_end, last.valid & last.command_end)),
            Cat(self.panel_end, self.command_end).eq(ends.o),
        ]
        return m
