"""Bench-only: the cycle number that bench blocks get as an input."""

__all__ = ["TIME_BITS"]

TIME_BITS = 32
"""Bits of the number of a cycle."""
