"""SRAM banks of a die, and whether such a bank answers in the cycle after its read in real silicon."""

from __future__ import annotations

from typing import NamedTuple

from chiplet.machine.specs import SUM_BYTES, DieSpec, MemorySpec, NopSpec, scratchpad_banks

__all__ = ["MOST_WORDS", "Bank", "bank_remark", "banks_of"]

MOST_WORDS = 16_384
"""Words of the deepest bank that is taken for real: our own bound, about the deepest single instance of memory
compilers. Nobody sells banks as deep as those of the preset package, up to 131,072 words, that answer in a cycle.
"""


class Bank(NamedTuple):
    """An SRAM bank: its words, and their bits."""

    words: int
    bits: int


def banks_of(die: DieSpec, memory: MemorySpec, nop: NopSpec) -> dict[str, Bank]:
    """The bank of each buffer of a die, by the key that sizes the buffer; its banks are alike."""
    row = scratchpad_banks(memory, nop) * memory.word_bytes
    return {
        "die.weight_bytes": Bank(die.weight_depth, die.element_bits),
        "die.activation_bytes": Bank(die.activation_depth, die.element_bits),
        "die.accumulator_bytes": Bank(die.accumulator_depth // 2, 8 * SUM_BYTES),
        "die.scratchpad_bytes": Bank(die.scratchpad_bytes // row, 8 * memory.word_bytes),
    }


def bank_remark(bank: Bank) -> str:
    """Whether ``bank`` is within :data:`MOST_WORDS`, in words that follow the source of a buffer's size."""
    size = f"banks of {bank.words:,} x {bank.bits} bits"
    if bank.words <= MOST_WORDS:
        return size
    return f"{size}, beyond the {MOST_WORDS:,} words that are taken for real in one cycle"
