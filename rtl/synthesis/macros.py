"""SRAM macros: their sizes, and stand-ins with stated times, as no library of cells has them.

A macro of more than one cycle of latency is taken as one of a single cycle with registers of the library behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rtl.synthesis.liberty_cell import Arc, PortTimes, liberty_of
from rtl.synthesis.module_tree import ModuleText, ModuleTree

__all__ = ["Macro", "MacroTimes", "macro_liberty", "macro_of", "single_cycle"]

SLEW_PS = 20.0
"""Transition of a macro's outputs, ps."""

_NAME = re.compile(r"(sram_(\d+)x(\d+)(?:_w(\d+))?)(?:_l(\d+))?")


@dataclass(frozen=True)
class MacroTimes:
    """Times of every SRAM macro: an input, as they are those of a memory compiler.

    Attributes
    ----------
    output_ps
        From the clock to the word that is read, ps.
    setup_ps
        From an input to the clock, ps.
    """

    output_ps: float = 350.0
    setup_ps: float = 80.0


@dataclass(frozen=True)
class Macro:
    """An SRAM macro.

    Attributes
    ----------
    name
        Name of its module.
    words, bits
        Its words, and the bits of a word.
    part
        Bits that one write enable writes.
    latency
        Cycles from a read to its word.
    array
        Name of the single-cycle macro that it is made of.
    """

    name: str
    words: int
    bits: int
    part: int
    latency: int
    array: str


def macro_of(module: ModuleText) -> Macro:
    """The macro that a black box of an emitted design is.

    Raises
    ------
    ValueError
        If its name is not that of an SRAM (:attr:`rtl.lib.sram.Sram.block_name`).
    """
    found = _NAME.fullmatch(module.name)
    if found is None:
        raise ValueError(f"{module.name}: is no SRAM: only their times are known")
    words, bits = int(found[2]), int(found[3])
    return Macro(module.name, words, bits, int(found[4] or bits), int(found[5] or 1), found[1])


def single_cycle(design: ModuleTree) -> ModuleTree:
    """The design with each macro of several cycles as a module of a single-cycle macro and registers."""
    modules: dict[str, ModuleText] = {}
    for module in design.modules.values():
        if module.macro:
            macro = macro_of(module)
            if macro.latency > 1:
                text = module.text.replace(f"module {module.name} ", f"module {macro.array} ")
                modules.setdefault(macro.array, ModuleText(macro.array, text, True, ()))
                modules[module.name] = _registered(module, macro)
                continue
        modules[module.name] = module
    return ModuleTree(design.top, modules)


def _registered(module: ModuleText, macro: Macro) -> ModuleText:
    """The single-cycle macro, and a register for each further cycle."""
    head = module.text[: module.text.index(");") + 2]
    words = [f"word_{cycle}" for cycle in range(macro.latency - 1)]
    lines = [f"  wire [{macro.bits - 1}:0] array__read_data;"]
    lines += [f"  reg [{macro.bits - 1}:0] {word};" for word in words]
    for word, before in zip(words, ["array__read_data", *words], strict=False):
        lines.append(f"  always @(posedge clk) {word} <= {before};")
    lines.append(f"  assign read_data = {words[-1]};")
    lines.append(f"  {macro.array} array (")
    names = [name for name, _, _ in module.ports if name != "read_data"]
    lines += [f"    .{name}({name})," for name in names]
    lines += ["    .read_data(array__read_data)", "  );", "endmodule", ""]
    return ModuleText(module.name, "\n".join([head, *lines]), False, (("array", macro.array),))


def macro_liberty(modules: Iterable[ModuleText], times: MacroTimes, *, load_ff: float) -> str:
    """A Liberty library of macros that have these times, whatever drives them and whatever they drive.

    Parameters
    ----------
    modules
        Black boxes of single-cycle macros.
    times
        Their times.
    load_ff
        Capacitance of an input in fF.
    """
    written = PortTimes(capacitance=load_ff, setup_ps=times.setup_ps)
    read = PortTimes(capacitance=0.0, from_clock=Arc([load_ff], [times.output_ps], [SLEW_PS]))
    ports = {"clk": PortTimes(capacitance=load_ff), "read_data": read}
    cells = [(module, {name: ports.get(name, written) for name, _, _ in module.ports}) for module in modules]
    return liberty_of("hecaton_sram", cells)
