"""Receiver of a link adapter: finds frames on the wires, checks them, and takes the flits out of them."""

from __future__ import annotations

from math import ceil

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from chiplet.machine.link_frame import CRC_BITS
from rtl.block import Block, place
from rtl.interface.link_shape import Lanes, LinkShape
from rtl.lib.crc import RESIDUE, START, Crc

__all__ = ["LinkReceiver"]


class LinkReceiver(Block):
    """Frames out of phits.

    Where a frame ends is said twice: by its flags, which its CRC protects, and by the mark on the wires. A frame counts
    only if both agree, and if they did so at the end of the frame before. So a flipped flag or mark does not make a
    good frame out of a part of one; that takes a flag and the marks of both halves, one of them at half width, and a
    CRC that fits by chance. Frames that are always one phit need no mark.

    Parameters
    ----------
    shape : LinkShape

    Members
    -------
    rx : In(wires)
        The wires.
    listen : In(Lanes)
        Lanes that carry the frames; only if they can be halved.
    good : Out(1)
        A frame is complete and its CRC is right; ``header`` and ``count`` are those of this frame.
    bad : Out(1)
        A frame is complete and its CRC is wrong, or its flags and the mark do not agree.
    hunting : Out(1)
        Where the frame ends is not known; the next one begins after a mark.
    header : Out
        Bits of ``shape.header`` without the polarity.
    count : Out
        Flits of the frame.
    write : Out(1), index : Out, flit : Out(width)
        A flit of a frame that is not complete before this cycle, and its number in the frame.
    """

    def __init__(self, *, shape: LinkShape) -> None:
        self._shape = shape
        super().__init__(
            {
                "rx": In(shape.wires),
                **({"listen": In(Lanes)} if shape.frame.can_halve else {}),
                "good": Out(1),
                "bad": Out(1),
                "hunting": Out(1, init=1),
                "header": Out(shape.header.size - 1),
                "count": Out(range(shape.frame.flits + 1)),
                "write": Out(1),
                "index": Out(range(max(2, shape.frame.flits))),
                "flit": Out(shape.width),
            }
        )

    @property
    def block_name(self) -> str:
        return f"link_receiver_{self._shape.frame_text}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        frame = self._shape.frame
        phit = Signal(frame.lane_bits)
        enable = Signal()
        mark = Signal()
        stray = Signal()  # a mark where no phit ends, or marks that differ
        self._phits(m, phit, enable, mark, stray)

        index = Signal(range(max(2, frame.longest_cycles)))
        opened = Signal(init=1)  # all flags so far are set
        last_known = Signal.like(index)
        last = Signal.like(index)
        count_known = Signal.like(self.count)
        closing = Signal()
        polarity = Signal()
        inverted = Signal()
        word = Signal(frame.lane_bits)
        first = index == 0
        m.d.comb += [
            inverted.eq(Mux(first, phit[0], polarity)),
            word.eq(phit ^ inverted.replicate(frame.lane_bits)),
            last.eq(last_known),
            self.count.eq(Mux(first, 0, count_known)),
        ]
        with m.If(opened):
            for number, (slot, cycle) in enumerate(zip(frame.slots, frame.slot_cycles, strict=True)):
                with m.If(index == cycle):
                    m.d.comb += last.eq(frame.frame_cycles(number) - 1)
                    with m.If(word[slot % frame.phit_bits]):
                        m.d.comb += self.count.eq(number + 1)
                        if number == frame.flits - 1:
                            m.d.comb += [closing.eq(1), last.eq(frame.longest_cycles - 1)]
                    with m.Else():
                        m.d.comb += closing.eq(1)
        closed = ~opened | closing
        ends = Signal()
        trusted = Signal()
        begins = Signal()  # a frame begins with the next phit, if there is a mark
        complete = Signal()
        right = self._check(m, platform, phit, first, enable)
        m.d.comb += [
            ends.eq(closed & (index == last)),
            begins.eq(stray | (enable & (self.hunting | mark | ends))),
            complete.eq(enable & ~self.hunting & ends & mark),
            self.good.eq(complete & right & trusted),
            self.bad.eq((complete & ~right) | (~self.hunting & (stray | (enable & (ends != mark))))),
        ]
        with m.If(begins):
            m.d.sync += [
                index.eq(0),
                opened.eq(1),
                self.hunting.eq(~mark & ~stray),
                trusted.eq(complete),
            ]
        with m.Elif(enable):
            m.d.sync += [index.eq(index + 1), opened.eq(~closed)]
        with m.If(enable):
            m.d.sync += [last_known.eq(last), count_known.eq(self.count), polarity.eq(inverted)]
        m.d.comb += self.header.eq(self._header(m, word, index, enable)[1:])
        self._flits(m, word, index, enable & ~self.hunting)
        return m

    def _phits(self, m: Module, phit: Signal, enable: Signal, mark: Signal, stray: Signal) -> None:
        """Take phits from the wires."""
        frame = self._shape.frame
        lanes = self.rx[: frame.lane_bits]
        whole = frame.longest_cycles == 1  # each phit is a frame
        if not frame.can_halve:
            m.d.comb += [phit.eq(lanes), enable.eq(1), mark.eq(1 if whole else self.rx[-1])]
            return
        width = frame.lane_bits // 2
        lower = Signal(width)
        half = Signal(width)
        half_mark = Signal()
        second = Signal()
        narrow = Signal()
        m.d.comb += [
            narrow.eq(self.listen != Lanes.ALL),
            half.eq(Mux(self.listen == Lanes.UPPER, lanes[width:], lanes[:width])),
            half_mark.eq(Mux(self.listen == Lanes.UPPER, self.rx[-1], self.rx[-2])),
            phit.eq(Mux(narrow, Cat(lower, half), lanes)),
            enable.eq(~narrow | second),
            mark.eq(Mux(narrow, half_mark, 1 if whole else self.rx[-2:].all())),
            stray.eq(Mux(narrow, ~second & half_mark, 0 if whole else self.rx[-1] ^ self.rx[-2])),
        ]
        m.d.sync += [lower.eq(half), second.eq(narrow & ~second & ~half_mark)]

    def _check(self, m: Module, platform: object, phit: Value, first: Value, enable: Value) -> Value:
        """Whether the CRC is right, if the frame ends with ``phit``."""
        step = Crc(width=self._shape.frame.lane_bits)
        place(m, platform, "crc", step)
        m.d.comb += step.i.eq(phit)
        if self._shape.frame.longest_cycles == 1:
            m.d.comb += step.state.eq(START)
        else:
            state = Signal(CRC_BITS)
            m.d.comb += step.state.eq(Mux(first, START, state))
            with m.If(enable):
                m.d.sync += state.eq(step.o)
        return step.o == RESIDUE

    def _header(self, m: Module, word: Value, index: Value, enable: Value) -> Value:
        """The header of the frame that ends with ``word``, or began before."""
        frame = self._shape.frame
        parts: list[Value] = []
        for phit in range(ceil(frame.header_bits / frame.phit_bits)):
            size = min(frame.phit_bits, frame.header_bits - phit * frame.phit_bits)
            if frame.longest_cycles == 1:
                return word[:size]
            kept = Signal(size, name=f"header_{phit}")
            here = index == phit
            with m.If(enable & here):
                m.d.sync += kept.eq(word[:size])
            parts.append(Mux(here, word[:size], kept))
        return Cat(parts)

    def _flits(self, m: Module, word: Value, index: Value, enable: Value) -> None:
        """Offer each flit in the cycle of its last bit."""
        frame = self._shape.frame
        bits = frame.phit_bits
        starts = [slot + 1 for slot in frame.slots]
        last_phits = [(start + frame.width - 1) // bits for start in starts]
        kept = max(last - start // bits for start, last in zip(starts, last_phits, strict=True))
        window: Value = word
        if kept:
            earlier = Signal(kept * bits)
            window = Cat(earlier, word)
            with m.If(enable):
                m.d.sync += earlier.eq(window[bits:])
        for number, (start, last) in enumerate(zip(starts, last_phits, strict=True)):
            lowest = start - (last - kept) * bits
            with m.If(index == last):
                m.d.comb += [
                    self.write.eq(enable & (self.count > number)),
                    self.index.eq(number),
                    self.flit.eq(window[lowest : lowest + frame.width]),
                ]
