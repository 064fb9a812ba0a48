"""Emitted dies of small memory words, to count their blocks."""

from __future__ import annotations

from functools import cache

from chiplet.machine.config import load_system
from chiplet.machine.specs import DieSpec, SystemSpec
from rtl.die.die import Die
from rtl.emit.emitter import emit
from rtl.synthesis.module_tree import parse_modules
from rtl.synthesis.scaling.block_numbers import SizedDesign

SYSTEM: SystemSpec = load_system(
    None, ["die.sram=macro", "die.dtype=int8", "memory.word_bytes=8"], preset="bench"
)


def die_spec(rows: int, cols: int) -> DieSpec:
    """A die with such an array."""
    return DieSpec.model_validate({**SYSTEM.die.model_dump(), "rows": rows, "cols": cols})


@cache
def emitted(die: DieSpec) -> SizedDesign:
    """The die as blocks."""
    found = emit(Die(die=die, memory=SYSTEM.memory, vector=SYSTEM.vector), None)
    return SizedDesign(parse_modules(found.text, found.top), die.rows, die.cols)
