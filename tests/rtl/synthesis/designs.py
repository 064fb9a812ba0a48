"""Designs for tests of synthesis, small enough to be added up by hand."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from rtl.block import Block, place
from rtl.emit.emitter import emit
from rtl.lib.sram import Sram
from rtl.synthesis.module_tree import ModuleTree, parse_modules


class Inverted(Block):
    """A register of each of ``bits`` bits, and one behind the inverted ones."""

    def __init__(self, *, bits: int) -> None:
        self._bits = bits
        super().__init__({"i": In(bits), "o": Out(bits)})

    @property
    def block_name(self) -> str:
        return f"inverted_{self._bits}"

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        first, second = (Signal(self._bits, name=name, reset_less=True) for name in ("first", "second"))
        m.d.sync += [first.eq(self.i), second.eq(~first)]
        m.d.comb += self.o.eq(second)
        return m


class Twice(Block):
    """Two uses of one block of ``bits`` bits, a third one of another size, and an SRAM behind them."""

    def __init__(self, *, bits: int, sram_latency: int = 1) -> None:
        self._bits, self._latency = bits, sram_latency
        super().__init__({"i": In(bits), "o": Out(bits), "address": In(2)})

    @property
    def block_name(self) -> str:
        return f"twice_{self._bits}"

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        blocks = [Inverted(bits=self._bits), Inverted(bits=self._bits), Inverted(bits=self._bits + 1)]
        sram = Sram(width=self._bits, depth=4, macro=True, sram_latency=self._latency)
        for number, block in enumerate(blocks):
            place(m, platform, f"part_{number}", block)
        place(m, platform, "words", sram)
        m.d.comb += [
            blocks[0].i.eq(self.i),
            blocks[1].i.eq(blocks[0].o),
            blocks[2].i.eq(Cat(blocks[1].o, blocks[1].o[0])),
            sram.write_enable.eq(1),
            sram.write_address.eq(self.address),
            sram.write_data.eq(blocks[2].o),
            sram.read_enable.eq(1),
            sram.read_address.eq(self.address),
            self.o.eq(sram.read_data),
        ]
        return m


class Nested(Block):
    """A block around one, as deep as ``depth``: each uses the next one once."""

    def __init__(self, *, depth: int) -> None:
        self._depth = depth
        super().__init__({"i": In(2), "o": Out(2)})

    @property
    def block_name(self) -> str:
        return f"nested_{self._depth}"

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        inner: Any = Nested(depth=self._depth - 1) if self._depth > 1 else Inverted(bits=2)
        place(m, platform, "inner", inner)
        m.d.comb += [inner.i.eq(self.i), self.o.eq(inner.o)]
        return m


def design_of(block: Block) -> ModuleTree:
    """The design of a block, as it is emitted."""
    emitted = emit(block, None)
    return parse_modules(emitted.text, emitted.top)
