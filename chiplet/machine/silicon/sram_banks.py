"""SRAM banks, and whether one answers in the cycle after its read in real silicon."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MOST_WORDS", "Bank", "bank_remark"]

MOST_WORDS = 16_384
"""Words of the deepest bank that is taken for real: our own bound, about the deepest single instance of memory
compilers. Nobody sells banks as deep as those of the preset package, up to 131,072 words, that answer in a cycle.
"""


class Bank(NamedTuple):
    """An SRAM bank: its words, and their bits."""

    words: int
    bits: int


def bank_remark(bank: Bank) -> str:
    """Whether ``bank`` is within :data:`MOST_WORDS`, in words that follow the source of a buffer's size."""
    size = f"banks of {bank.words:,} x {bank.bits} bits"
    if bank.words <= MOST_WORDS:
        return size
    return f"{size}, beyond the {MOST_WORDS:,} words that are taken for real in one cycle"
