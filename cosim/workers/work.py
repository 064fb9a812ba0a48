"""What is done in parallel: one function of one argument, on many items."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

__all__ = ["Item", "Result", "Results", "Work"]

Item = TypeVar("Item")
Result = TypeVar("Result")

Work = Callable[[Item], Result]
"""Importable by name, since other processes call it."""

Results = Generator[tuple[int, Result], None, None]
"""Index of an item and its result, in the order in which they finish."""
