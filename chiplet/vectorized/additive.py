"""Quantities of several numbers that add up number by number."""

from __future__ import annotations

from collections.abc import Callable
from operator import add, attrgetter
from typing import Any, ClassVar, Self

from chiplet.vectorized.elementwise import Number


class Additive:
    """Base of frozen dataclasses of at least two numbers, or arrays: they add up and scale field by field."""

    _numbers: ClassVar[Callable[[Any], tuple[Number, ...]]]

    def __init_subclass__(cls) -> None:
        """Collect the fields of the dataclass."""
        cls._numbers = attrgetter(*cls.__annotations__)

    @property
    def numbers(self) -> tuple[Number, ...]:
        """The values of all fields, in their order."""
        return type(self)._numbers(self)

    def __add__(self, other: Self) -> Self:
        numbers = type(self)._numbers
        return type(self)(*map(add, numbers(self), numbers(other)))

    def __mul__(self, times: Number) -> Self:
        return type(self)(*[number * times for number in type(self)._numbers(self)])
