"""Bench-only: the number of the cycle, as bench blocks are told it."""

__all__ = ["TIME_BITS"]

TIME_BITS = 32
"""Bits of the number of a cycle."""
