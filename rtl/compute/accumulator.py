"""Accumulator buffer: 32-bit sums, one bank a column, with the adder that sums over K tiles.

Column c works c cycles after column 0, as the sums leave the array, so nothing has to be deskewed. Each column keeps
even and odd addresses in two SRAMs. The array uses ascending addresses, so the SRAM that it does not use serves the
units that read sums out of the buffer or write them into it.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.specs import Dtype
from rtl.block import Block, Bundle, place
from rtl.compute.mac import Adder
from rtl.lib.delay import Delay, delayed
from rtl.lib.sram import Sram, with_latency

__all__ = [
    "AccumulatorBuffer",
    "AccumulatorColumn",
    "AccumulatorReadPort",
    "AccumulatorWritePort",
    "accumulate_layout",
]


def accumulate_layout(depth: int, sram_latency: int = SRAM_LATENCY) -> data.StructLayout:
    """Control that travels along the columns with a row of sums, ``sram_latency`` cycles ahead of them."""
    return data.StructLayout(
        {
            "valid": 1,
            "first": 1,  # the sums replace what is stored
            "near": 1,  # the stored sum is the one that leaves the adder now
            "far": sram_latency,  # bit n: it left the adder n + 1 cycles ago, and could not be read
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
        A row has come: for this one cycle. ``sram_latency`` + 1 cycles after it was asked for at the earliest, in
        order.
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
    sram_latency : int
        Cycles from a read of an SRAM to its word.

    Members
    -------
    control_in, control_out : accumulate_layout(depth, sram_latency), as plain bits
        ``control_in`` comes ``sram_latency`` cycles before its sum; ``control_out`` is the same one cycle later, for
        the next column.
    psum : In(32)
        Sum of one tile, from the array.
    read_start, read_address : In
        Read one sum; the address holds while ``read_waits``.
    read_waits : Out(1)
        High from the cycle after ``read_start`` while the SRAM serves the array. When it is low, ``read_sum`` is there
        ``sram_latency`` cycles later.
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

    def __init__(
        self,
        *,
        dtype: Dtype,
        stages: int,
        depth: int,
        macro: bool = False,
        sram_latency: int = SRAM_LATENCY,
    ) -> None:
        if depth < 2 or depth % 2:
            raise ValueError(f"depth must be an even number of at least 2, not {depth}")
        self._dtype, self._stages, self._depth, self._macro = dtype, stages, depth, macro
        self._latency = sram_latency
        self._layout = accumulate_layout(depth, sram_latency)
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
        return with_latency(f"accumulator_column_{self._depth}_{self._dtype}_p{self._stages}", self._latency)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stages = self._stages
        control = self._layout(self.control_in)
        adding = Signal(self._layout)
        travelling: Value = self.control_in
        for cycle in range(1, self._latency):
            later = Signal(self._layout.size, name=f"control_{cycle}")
            m.d.sync += later.eq(travelling)
            travelling = later
            if cycle == 1:
                m.d.comb += self.control_out.eq(later)
        m.d.sync += adding.eq(travelling)
        if self._latency == 1:
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
        late = self._latency - 1
        granted = delayed(m, grant, cycles=late, name="granted", reset_less=False)
        granted_odd = delayed(m, read_odd, cycles=late, name="granted_odd", reset_less=False)
        m.d.sync += [
            self.read_waits.eq((self.read_start | self.read_waits) & ~grant),
            captured.eq(granted),
            captured_odd.eq(granted_odd),
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
            sram = Sram(width=32, depth=self._depth // 2, macro=self._macro, sram_latency=self._latency)
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

        stored = Signal(32)
        m.d.comb += stored.eq(Mux(adding.address[0], read_data[1], read_data[0]))
        # The sum that left the adder last is the one that counts.
        ways = []
        sum_before: Value = adder.o
        for cycle in range(self._latency):
            written = Signal(32, name=f"written_{cycle}" if cycle else "written", reset_less=True)
            m.d.sync += written.eq(sum_before)
            ways.append((adding.far[cycle], written))
            sum_before = written
        old: Value = stored
        for far, written in reversed(ways):
            old = Mux(far, written, old)
        m.d.comb += [
            adder.a.eq(Mux(adding.first, 0, Mux(adding.near, adder.o, old))),
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
    dtype, stages, depth, macro, sram_latency
        As for :class:`AccumulatorColumn`.

    Members
    -------
    control : In
        For column 0, ``sram_latency`` cycles before its sum.
    psum : In(cols * 32)
        From the array, column c a cycle later than column c - 1.
    result, panel_end, command_end : Out(1)
        A row is complete (written at the end of this cycle); it is the last one of its panel, of its command. What is
        asked for from the next cycle on is there.
    read : In(AccumulatorReadPort), write : In(AccumulatorWritePort)
        Rows of sums; not for addresses that the array adds to meanwhile.
    """

    def __init__(
        self,
        *,
        cols: int,
        dtype: Dtype,
        stages: int,
        depth: int,
        macro: bool = False,
        sram_latency: int = SRAM_LATENCY,
    ) -> None:
        self._cols, self._dtype, self._stages, self._depth, self._macro = cols, dtype, stages, depth, macro
        self._latency = sram_latency
        self._layout = accumulate_layout(depth, sram_latency)
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
        name = f"accumulator_{self._cols}x{self._depth}_{self._dtype}_p{self._stages}"
        return with_latency(name, self._latency)

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
                dtype=self._dtype,
                stages=self._stages,
                depth=self._depth,
                macro=self._macro,
                sram_latency=self._latency,
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
        taken = asked & self.read.ready
        comes = delayed(m, taken, cycles=self._latency - 1, name="comes", reset_less=False)
        m.d.sync += [
            held.eq(address),
            asked.eq(start | (asked & ~self.read.ready)),
            self.read.come.eq(comes),
        ]

        # The last column adds now, or as many cycles later as a read takes longer than one; its sum leaves the adder
        # after P cycles and can be read a cycle later.
        last = self._layout(control)
        leaves = self._stages + self._latency - 1
        result = Delay(width=1, cycles=leaves, reset_less=False)
        ends = Delay(width=2, cycles=leaves, reset_less=False)
        place(m, platform, "result_delay", result)
        place(m, platform, "end_delay", ends)
        m.d.comb += [
            result.i.eq(last.valid),
            self.result.eq(result.o),
            ends.i.eq(Cat(last.valid & last.panel_end, last.valid & last.command_end)),
            Cat(self.panel_end, self.command_end).eq(ends.o),
        ]
        return m
