"""Accumulator buffer: 32-bit sums, one bank a column, with the adder that sums over K tiles.

Column c works c cycles after column 0, as the sums leave the array, so nothing has to be deskewed. Each column keeps
even and odd addresses in two SRAMs. The array uses ascending addresses, so the SRAM that it does not read serves the
store unit.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from chiplet.machine.specs import Dtype
from rtl.block import Block, place
from rtl.compute.mac import Adder
from rtl.lib.delay import Delay
from rtl.lib.sram import Sram

__all__ = ["AccumulatorBuffer", "AccumulatorColumn", "accumulate_layout"]


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
    store_start, store_address
        Read one sum; the address holds until ``store_busy`` is low again.
    store_busy : Out(1)
        High from the cycle after ``store_start`` until ``store_data`` is valid.
    store_data : Out(32)
        The sum read last.

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
                "store_start": In(1),
                "store_address": In(ceil_log2(depth)),
                "store_busy": Out(1),
                "store_data": Out(32),
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

        # Reads of the array come first; a waiting store takes the SRAM that the array does not read.
        reads = Signal()
        waiting = Signal()
        pending = Signal()
        grant = Signal()
        captured = Signal()
        captured_odd = Signal()
        array_odd, store_odd = control.address[0], self.store_address[0]
        m.d.comb += [
            reads.eq(control.valid & ~control.first),
            waiting.eq(self.store_start | pending),
            grant.eq(waiting & ~(reads & (array_odd == store_odd))),
            self.store_busy.eq(pending | captured),
        ]
        m.d.sync += [pending.eq(waiting & ~grant), captured.eq(grant), captured_odd.eq(store_odd)]

        adder = Adder(dtype=self._dtype, stages=stages)
        place(m, platform, "adder", adder)
        writing = Delay(width=self._layout.size, cycles=stages, reset_less=False)
        place(m, platform, "writing", writing)
        write = self._layout(writing.o)
        m.d.comb += writing.i.eq(adding)

        read_data = []
        for odd, name in ((0, "even"), (1, "odd")):
            sram = Sram(width=32, depth=self._depth // 2, macro=self._macro)
            place(m, platform, name, sram)
            array_reads = Signal(name=f"array_reads_{name}")
            address_bits = len(sram.read_address)
            m.d.comb += [
                array_reads.eq(reads & (array_odd == odd)),
                sram.read_enable.eq(array_reads | (grant & (store_odd == odd))),
                sram.read_address.eq(
                    Mux(array_reads, control.address[1:], self.store_address[1:])[:address_bits]
                ),
                sram.write_enable.eq(write.valid & (write.address[0] == odd)),
                sram.write_address.eq(write.address[1:][:address_bits]),
                sram.write_data.eq(adder.o),
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
            m.d.sync += self.store_data.eq(Mux(captured_odd, read_data[1], read_data[0]))
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
        A row is complete (written at the end of this cycle); everything of a panel, of a command can be read.
    store_start, store_address, store_busy, store_data
        One row of ``cols`` sums, as for a column.
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
                "store_start": In(1),
                "store_address": In(ceil_log2(depth)),
                "store_busy": Out(1),
                "store_data": Out(cols * 32),
            }
        )

    @property
    def block_name(self) -> str:
        return f"accumulator_{self._cols}x{self._depth}_{self._dtype}_p{self._stages}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        control = self.control
        busy, stored = [], []
        for c in range(self._cols):
            column = AccumulatorColumn(
                dtype=self._dtype, stages=self._stages, depth=self._depth, macro=self._macro
            )
            place(m, platform, f"column_{c}", column)
            m.d.comb += [
                column.control_in.eq(control),
                column.psum.eq(self.psum.word_select(c, 32)),
                column.store_start.eq(self.store_start),
                column.store_address.eq(self.store_address),
            ]
            control = column.control_out
            busy.append(column.store_busy)
            stored.append(column.store_data)
        m.d.comb += [self.store_busy.eq(Cat(busy).any()), self.store_data.eq(Cat(stored))]

        # The last column adds now; its sum leaves the adder after P cycles and can be read a cycle later.
        last = self._layout(control)
        result = Delay(width=1, cycles=self._stages, reset_less=False)
        ends = Delay(width=2, cycles=self._stages + 1, reset_less=False)
        place(m, platform, "result_delay", result)
        place(m, platform, "end_delay", ends)
        m.d.comb += [
            result.i.eq(last.valid),
            self.result.eq(result.o),
            ends.i.eq(Cat(last.valid & last.panel_end, last.valid & last.command_end)),
            Cat(self.panel_end, self.command_end).eq(ends.o),
        ]
        return m
