"""Sender of a link adapter: puts flits into frames, and frames onto the wires."""

from __future__ import annotations

from functools import reduce
from math import ceil
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from chiplet.machine.link_frame import CRC_BITS
from rtl.block import Block, place
from rtl.interface.link_shape import LinkShape
from rtl.lib.crc import START, Crc

__all__ = ["LinkSender"]

_NOISE_BITS = 7
"""Bits of a shift register with feedback x^7 + x^6 + 1: it repeats after 127 steps."""


class LinkSender(Block):
    """One frame after the other, without a gap, each as long as there are flits for its slots.

    A phit leaves in every cycle, at half width in every second one: its lower half goes out first, over both halves of
    the lanes at the same time, and its upper half in the next cycle. In a frame that is inverted, all bits before the
    CRC are. So a lane that is stuck makes half of the frames bad, whatever they carry. After a frame with flits a
    shift register decides, so that no flit that is sent again and again always meets the same; its period is a prime.
    After one without flits ``invert`` does, which seldom changes: the wires of an idle link hold still meanwhile, if a
    frame without flits is one phit.

    Parameters
    ----------
    shape : LinkShape

    Members
    -------
    half : In(1)
        Send at half width; only if the lanes can be halved.
    header : In
        Bits of ``shape.header`` without the polarity, taken while ``starts`` is high.
    invert : In(1)
        The frame after this one is inverted if this one has no flit; taken while ``ends`` is high.
    starts, ends : Out(1)
        In this cycle the first, or the last, phit of a frame is made. ``starts`` depends on registers only.
    slot : Out(1)
        In this cycle the frame takes the flit that is ``valid``, or ends if there is none; depends on registers only.
    valid : In(1), flit : In(width)
        A flit.
    tx : Out(wires)
        The wires; driven by registers.
    """

    def __init__(self, *, shape: LinkShape) -> None:
        self._shape = shape
        super().__init__(
            {
                **({"half": In(1)} if shape.frame.can_halve else {}),
                "header": In(shape.header.size - 1),
                "invert": In(1),
                "starts": Out(1),
                "ends": Out(1),
                "slot": Out(1),
                "valid": In(1),
                "flit": In(shape.width),
                "tx": Out(shape.wires),
            }
        )

    @property
    def block_name(self) -> str:
        return f"link_sender_{self._shape.frame_text}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        frame = self._shape.frame
        enable = Signal()  # a phit is made in this cycle
        first = Signal()
        index = Signal(range(max(2, frame.longest_cycles)))
        opened = Signal(init=1)  # all slots so far have a flit
        last_known = Signal.like(index)
        last = Signal.like(index)
        closing = Signal()
        content = self._content(m, index, opened, enable)
        m.d.comb += [first.eq(index == 0), self.starts.eq(enable & first), last.eq(last_known)]
        with m.If(opened):
            for number, cycle in enumerate(frame.slot_cycles):
                with m.If(index == cycle):
                    m.d.comb += [
                        self.slot.eq(enable),
                        closing.eq(~self.valid),
                        last.eq(frame.frame_cycles(number) - 1),
                    ]
                    if number == frame.flits - 1:
                        m.d.comb += closing.eq(1)
                        with m.If(self.valid):
                            m.d.comb += last.eq(frame.longest_cycles - 1)
        closed = ~opened | closing
        m.d.comb += self.ends.eq(enable & closed & (index == last))
        with m.If(enable):
            m.d.sync += [
                index.eq(Mux(self.ends, 0, index + 1)),
                opened.eq(self.ends | ~closed),
                last_known.eq(last),
            ]
        self._wires(m, self._with_crc(m, platform, content, enable, first, closed, last - index), enable)
        return m

    def _content(self, m: Module, index: Value, opened: Value, enable: Value) -> Value:
        """The phit of this cycle without a CRC."""
        frame = self._shape.frame
        lanes = frame.lane_bits
        slots = [divmod(slot, frame.phit_bits) for slot in frame.slots]
        size = max(lanes, frame.header_bits, *(offset + 1 + frame.width for _, offset in slots))
        polarity = Signal()
        content = Signal(size)
        slot = Cat(self.valid, Mux(self.valid, self.flit, 0))
        parts: list[Value] = [Mux(index == 0, Cat(polarity, self.header), 0)]
        parts += [Mux(opened & (index == phit), slot << offset, 0) for phit, offset in slots]
        if size > lanes:
            carry = Signal(size - lanes)
            parts.append(Mux(index == 0, 0, carry))
            with m.If(enable):
                m.d.sync += carry.eq(content[lanes:])
        m.d.comb += content.eq(reduce(or_, parts))
        carried = Signal()  # the frame has had a flit before this cycle
        taken = Signal()
        noise = Signal(_NOISE_BITS, init=1)
        m.d.comb += taken.eq(self.slot & self.valid)
        with m.If(taken):
            m.d.sync += noise.eq(Cat(noise[-1] ^ noise[-2], noise))
        with m.If(self.ends):
            m.d.sync += [polarity.eq(Mux(carried | taken, noise[-1], self.invert)), carried.eq(0)]
        with m.Elif(taken):
            m.d.sync += carried.eq(1)
        inverted = Mux(polarity, Const((1 << lanes) - 1, lanes), 0)
        return content[:lanes] ^ (inverted & ~Cat(index == 0, Const(0, lanes - 1)))

    def _with_crc(
        self,
        m: Module,
        platform: object,
        content: Value,
        enable: Value,
        first: Value,
        closed: Value,
        left: Value,
    ) -> Value:
        """The phit of this cycle, with the CRC if ``left`` phits follow in the frame that is ``closed``."""
        lanes = self._shape.frame.lane_bits
        phits = ceil(CRC_BITS / lanes)  # that have bits of the CRC
        covered = phits * lanes - CRC_BITS  # bits before the CRC in the first of them
        state: Value = Const(START, CRC_BITS)
        if self._shape.frame.longest_cycles > 1:
            kept = Signal(CRC_BITS, name="state_kept")
            state = Signal(CRC_BITS, name="state")
            step = Crc(width=lanes)
            place(m, platform, "phit_crc", step)
            m.d.comb += [state.eq(Mux(first, START, kept)), step.state.eq(state), step.i.eq(content)]
            with m.If(enable):
                m.d.sync += kept.eq(step.o)
        if covered:
            rest = Crc(width=covered)
            place(m, platform, "last_crc", rest)
            m.d.comb += [rest.state.eq(state), rest.i.eq(content[:covered])]
            state = rest.o
        whole = Cat(content[:covered], ~state)
        if self._shape.frame.longest_cycles == 1:
            return whole
        if phits == 1:
            return Mux(closed & (left == 0), whole, content)
        tail = Signal((phits - 1) * lanes)
        with m.If(enable):
            m.d.sync += tail.eq(Mux(left == phits - 1, whole[lanes:], tail >> lanes))
        return Mux(
            closed & (left == phits - 1),
            whole[:lanes],
            Mux(closed & (left < phits - 1), tail[:lanes], content),
        )

    def _wires(self, m: Module, phit: Value, enable: Value) -> None:
        """Put ``phit`` onto the wires, and mark the last one of the frame."""
        frame = self._shape.frame
        wires = Signal(self._shape.wires)
        m.d.comb += self.tx.eq(wires)
        if not frame.can_halve:
            m.d.comb += enable.eq(1)
            m.d.sync += wires.eq(Cat(phit, self.ends) if frame.marks else phit)
            return
        width = frame.lane_bits // 2
        second = Signal()
        mark = Signal()
        upper = Signal(width)
        m.d.comb += enable.eq(~second)
        m.d.sync += [upper.eq(phit[width:]), mark.eq(self.ends), second.eq(self.half & ~second)]
        with m.If(second):
            m.d.sync += wires.eq(Cat(upper, upper, mark, mark))
        with m.Elif(self.half):
            m.d.sync += wires.eq(Cat(phit[:width], phit[:width], Const(0, 2)))
        with m.Else():
            m.d.sync += wires.eq(Cat(phit, self.ends, self.ends))
