"""Modules that take the place of SRAM macros: behavioural ones for simulators, and block RAM for FPGAs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from amaranth.hdl import Module

from rtl.block import Block, place
from rtl.emit.emitter import TIMESCALE, emit
from rtl.lib.sram import Sram
from rtl.synthesis.macros import Macro
from rtl.synthesis.module_tree import ModuleText, parse_modules

__all__ = ["SramBlocks", "behavioural_srams", "fpga_sram"]

BLOCK_RAM = '(* ram_style = "block", ramstyle = "no_rw_check" *)'
"""Attributes of a memory: block RAM for Xilinx's tools and Yosys; and, as nothing depends on a word that is read while
it is written, none of the logic that Intel's tools and Yosys would add for it."""


class SramBlocks(Block):
    """SRAMs side by side, so that one conversion makes them all."""

    def __init__(self, macros: tuple[Macro, ...]) -> None:
        self._macros = macros
        super().__init__({})

    @property
    def block_name(self) -> str:
        return "srams"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for macro in self._macros:
            sram = Sram(width=macro.bits, depth=macro.words, part=macro.part, sram_latency=macro.latency)
            place(m, platform, macro.name, sram)
        return m


def behavioural_srams(macros: Iterable[Macro]) -> dict[str, str]:
    """Verilog of each macro by name, as a die with ``die.sram = "behavioural"`` has it."""
    emitted = emit(SramBlocks(tuple(macros)), None)
    modules = parse_modules(emitted.text, emitted.top).modules
    return {name: _timescale() + module.text for name, module in modules.items() if name != emitted.top}


def fpga_sram(macro: Macro, module: ModuleText) -> str:
    """Verilog of an SRAM out of block RAM, with the ports of ``module``."""
    head = module.text[: module.text.index(");") + 2]
    words = [f"word_{cycle}" for cycle in range(1, macro.latency + 1)]
    lines = [f"  {BLOCK_RAM}", f"  reg [{macro.bits - 1}:0] mem [{macro.words - 1}:0];"]
    lines += [f"  reg [{macro.bits - 1}:0] {word};" for word in words]
    parts = macro.bits // macro.part
    if parts == 1:
        written = ["    if (write_enable)", "      mem[write_address] <= write_data;"]
    else:
        bits = f"part * {macro.part} +: {macro.part}"
        lines.append("  integer part;")
        written = [
            f"    for (part = 0; part < {parts}; part = part + 1)",
            "      if (write_enable[part])",
            f"        mem[write_address][{bits}] <= write_data[{bits}];",
        ]
    lines += ["  always @(posedge clk) begin", *written, "  end", "  always @(posedge clk) begin"]
    lines += ["    if (read_enable)", f"      {words[0]} <= mem[read_address];"]
    lines += [f"    {after} <= {before};" for before, after in pairwise(words)]
    lines += ["  end", f"  assign read_data = {words[-1]};", "endmodule", ""]
    return "\n".join([_timescale() + head, *lines])


def _timescale() -> str:
    return f"`timescale {TIMESCALE[0]} / {TIMESCALE[1]}\n"
