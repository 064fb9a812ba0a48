"""A lane of a chunk reader: one of the words of each flit, where flits are wider than words."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.block import Block, check_integers, place
from rtl.interface.scratchpad_port import ScratchpadReadPort
from rtl.lib.queue import Queue
from rtl.lib.widths import index_bits

__all__ = ["ReadLane"]


class ReadLane(Block):
    """Reads the words that it is asked for, in their order, each as soon as its bank serves the lane.

    Parameters
    ----------
    depth, word_bytes : int
        Words of the scratchpad, and bytes of a word.
    ahead : int
        Words that may have been asked for and not taken.
    sram_latency : int
        Cycles from a read of the scratchpad to its word.

    Members
    -------
    ask : In(1), address : In
        A word to be read. At most ``ahead`` of them have not left by ``o``.
    read : Out(ScratchpadReadPort)
        Read port of the scratchpad; in the cycle of ``ask`` if no word waits.
    o : Out(stream)
        Words.

    Raises
    ------
    ValueError
        If a parameter is not a positive integer.
    """

    def __init__(self, *, depth: int, word_bytes: int, ahead: int, sram_latency: int) -> None:
        check_integers(
            "read lane",
            minimum=1,
            depth=depth,
            word_bytes=word_bytes,
            ahead=ahead,
            sram_latency=sram_latency,
        )
        self._depth, self._word_bytes, self._ahead, self._latency = depth, word_bytes, ahead, sram_latency
        super().__init__(
            {
                "ask": In(1),
                "address": In(index_bits(depth)),
                "read": Out(ScratchpadReadPort(depth=depth, word_bytes=word_bytes)),
                "o": Out(stream.Signature(8 * word_bytes)),
            }
        )

    @property
    def block_name(self) -> str:
        return f"read_lane_{self._depth}x{self._word_bytes}_{self._ahead}_l{self._latency}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        asked = Queue(width=len(self.address), depth=self._ahead, passes=True)
        words = Queue(width=len(self.o.payload), depth=self._ahead)
        place(m, platform, "asked", asked)
        place(m, platform, "words", words)
        connect(m, words.o, flipped(self.o))
        m.d.comb += [
            asked.i.valid.eq(self.ask),
            asked.i.payload.eq(self.address),
            self.read.valid.eq(asked.o.valid),
            self.read.address.eq(asked.o.payload),
            asked.o.ready.eq(self.read.ready),
            words.i.payload.eq(self.read.data),
        ]
        coming: Value = self.read.valid & self.read.ready
        for n in range(self._latency):
            comes = Signal(name=f"coming_{n}")
            m.d.sync += comes.eq(coming)
            coming = comes
        m.d.comb += words.i.valid.eq(coming)
        return m
