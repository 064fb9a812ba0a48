"""Messages of up to two lengths as packets of flits, and back, for both ends of the memory plane."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.memory_plane import packet_flits
from chiplet.machine.specs import NopSpec
from rtl.block import Block, check_integers, place
from rtl.interface.flit import flit_layout
from rtl.lib.queue import Queue

__all__ = ["Packer", "Unpacker", "packed_layout", "unpacked_layout"]

_QUEUE_DEPTH = 2  # one message leaves while the next one is completed


def packed_layout(nop: NopSpec, bits: int) -> data.StructLayout:
    """A message to send: its target, ``source`` as in :mod:`rtl.interface.flit`, and whether it is short."""
    place_bits = nop.coordinate_bits
    return data.StructLayout(
        {"data": bits, "col": place_bits, "row": place_bits, "source": place_bits, "short": 1}
    )


def unpacked_layout(nop: NopSpec, bits: int) -> data.StructLayout:
    """A received message; in a short one, the bits that were not sent are undefined."""
    return data.StructLayout({"data": bits, "source": nop.coordinate_bits})


class Packer(Block):
    """Cuts messages into packets, one flit per cycle, lowest bits first.

    Parameters
    ----------
    nop : NopSpec
        Width of a flit and of coordinates.
    bits, short_bits : int
        Bits of a message, of which only the lowest ``short_bits`` are sent if it is short. At least 1.

    Members
    -------
    i : In(stream)
        Messages, see :func:`packed_layout`. One is taken with its last flit.
    o : Out(stream)
        Flits.
    """

    def __init__(self, *, nop: NopSpec, bits: int, short_bits: int) -> None:
        check_integers("packer", minimum=1, bits=bits, short_bits=short_bits)
        self._nop, self._bits, self._short_bits = nop, bits, short_bits
        super().__init__(
            {
                "i": In(stream.Signature(packed_layout(nop, bits).size)),
                "o": Out(stream.Signature(flit_layout(nop).size)),
            }
        )

    @property
    def block_name(self) -> str:
        return f"packer_{self._bits}_{self._short_bits}_in_{self._nop.flit_bits}_c{self._nop.coordinate_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        nop = self._nop
        most, short = packet_flits(self._bits, nop), packet_flits(self._short_bits, nop)
        message = packed_layout(nop, self._bits)(self.i.payload)
        flit = Signal(flit_layout(nop))
        number = Signal(range(most))
        part = Signal(nop.flit_bits)
        with m.Switch(number):
            for index in range(most):
                with m.Case(index):
                    m.d.comb += part.eq(message.data[index * nop.flit_bits : (index + 1) * nop.flit_bits])
        m.d.comb += [
            flit.data.eq(part),
            flit.col.eq(message.col),
            flit.row.eq(message.row),
            flit.source.eq(message.source),
            flit.tail.eq(number == Mux(message.short, short - 1, most - 1)),
            self.o.payload.eq(flit),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready & flit.tail),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += number.eq(Mux(flit.tail, 0, number + 1))
        return m


class Unpacker(Block):
    """Puts messages together from their packets, one flit per cycle.

    Parameters
    ----------
    nop : NopSpec
        Width of a flit and of coordinates.
    bits : int
        Bits of the longest message, at least 1.

    Members
    -------
    i : In(stream)
        Flits of whole packets. Ready depends on registers only.
    o : Out(stream)
        Messages, see :func:`unpacked_layout`.
    """

    def __init__(self, *, nop: NopSpec, bits: int) -> None:
        check_integers("unpacker", minimum=1, bits=bits)
        self._nop, self._bits = nop, bits
        super().__init__(
            {
                "i": In(stream.Signature(flit_layout(nop).size)),
                "o": Out(stream.Signature(unpacked_layout(nop, bits).size)),
            }
        )

    @property
    def block_name(self) -> str:
        return f"unpacker_{self._bits}_of_{self._nop.flit_bits}_c{self._nop.coordinate_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        nop, bits = self._nop, self._bits
        most = packet_flits(bits, nop)
        layout = unpacked_layout(nop, bits)
        flit = flit_layout(nop)(self.i.payload)
        queue = Queue(width=layout.size, depth=_QUEUE_DEPTH)
        place(m, platform, "queue", queue)
        number = Signal(range(most))
        kept = [Signal(nop.flit_bits, name=f"part_{n}", reset_less=True) for n in range(most - 1)]
        # The part that arrives now is not in its register yet; the last part has none.
        parts = [*(Mux(number == n, flit.data, part) for n, part in enumerate(kept)), flit.data]
        message = Signal(layout)
        m.d.comb += [
            message.data.eq(Cat(parts)[:bits]),
            message.source.eq(flit.source),
            queue.i.payload.eq(message),
            queue.i.valid.eq(self.i.valid & flit.tail),
            self.i.ready.eq(queue.i.ready),
        ]
        connect(m, queue.o, flipped(self.o))
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += number.eq(Mux(flit.tail, 0, number + 1))
            for n, part in enumerate(kept):
                with m.If(number == n):
                    m.d.sync += part.eq(flit.data)
        return m
