"""Widths of numbers in bits."""

from __future__ import annotations

__all__ = ["count_bits", "index_bits"]


def index_bits(count: int) -> int:
    """Bits of an index from 0 to ``count`` - 1; at least 1, as Verilog has no ports without bits."""
    return max(1, (count - 1).bit_length())


def count_bits(most: int) -> int:
    """Bits of a number from 0 to ``most``."""
    return most.bit_length()
