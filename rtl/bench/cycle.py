"""Bench-only: the number of the current cycle, an input of bench blocks."""

__all__ = ["TIME_BITS"]

TIME_BITS = 32
"""Bits of the number of a cycle."""
