"""Synchronous SRAM with one write and one read port."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from chiplet.machine.pipelining import SRAM_LATENCY
from rtl.block import Block, check_integers
from rtl.lib.delay import delayed

__all__ = ["Sram", "with_latency"]


def with_latency(name: str, sram_latency: int) -> str:
    """Name of a block whose SRAMs have this latency: ``name`` with a suffix, without one for a single cycle."""
    return name if sram_latency == 1 else f"{name}_l{sram_latency}"


class Sram(Block):
    """A memory with one write and one read port on one clock.

    A word written in one cycle can be read from the next cycle on. ``read_data`` is there ``sram_latency`` cycles after
    ``read_enable``, and holds until that of the next read; a read can begin in every cycle. Undefined are the result of
    reading a word in the cycle in which it is written, words never written, ``read_data`` before the first read, and
    addresses beyond the depth.

    Parameters
    ----------
    width
        Bits of a word, at least 1.
    depth
        Words, at least 1.
    macro
        Write the module as ports only, for a hard macro ``sram_<depth>x<width>`` with these ports and
        ``clk``.
    part
        Bits that one write enable writes: a divisor of ``width``, by default all of it. A macro with several
        write enables is called ``sram_<depth>x<width>_w<part>``.
    sram_latency
        Cycles from a read to its word. With more than one, the name of a macro ends with ``_l<sram_latency>``.

    Members
    -------
    write_enable, write_address, write_data
        ``In(width // part)``, ``In(max(1, ceil(log2(depth))))``, ``In(width)``
    read_enable, read_address, read_data
        ``In(1)``, ``In(max(1, ceil(log2(depth))))``, ``Out(width)``

    In Verilog, unless it is a macro, the words are ``mem[0]`` to ``mem[depth - 1]`` in the module.

    Raises
    ------
    ValueError
        If ``width``, ``depth``, ``part`` or ``sram_latency`` is no integer or too small, or ``part`` does not divide
        ``width``.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        macro: bool = False,
        part: int | None = None,
        sram_latency: int = SRAM_LATENCY,
    ) -> None:
        check_integers("Sram", minimum=1, width=width, depth=depth, sram_latency=sram_latency)
        self._latency = sram_latency
        self._width = width
        self._depth = depth
        self._macro = macro
        self._part = width if part is None else part
        check_integers("Sram", minimum=1, part=self._part)
        if width % self._part:
            raise ValueError(f"Sram: part = {part}: must divide width = {width}")
        address = max(1, ceil_log2(depth))
        super().__init__(
            {
                "write_enable": In(width // self._part),
                "write_address": In(address),
                "write_data": In(width),
                "read_enable": In(1),
                "read_address": In(address),
                "read_data": Out(width),
            }
        )

    @property
    def block_name(self) -> str:
        name = f"sram_{self._depth}x{self._width}"
        return with_latency(name if self._part == self._width else f"{name}_w{self._part}", self._latency)

    @property
    def macro(self) -> bool:
        return self._macro

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        words = m.submodules.mem = memory.Memory(shape=unsigned(self._width), depth=self._depth, init=[])
        write = words.write_port(granularity=self._part if self._part < self._width else None)
        read = words.read_port()
        word = delayed(m, read.data, cycles=self._latency - 1, name="word", reset_less=True)
        m.d.comb += [
            write.en.eq(self.write_enable),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            read.en.eq(self.read_enable),
            read.addr.eq(self.read_address),
            self.read_data.eq(word),
        ]
        return m
