"""Bounds on values of a JSON result, as one line of text: ``mismatches == 0``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Bound", "BoundError", "Measured", "select"]

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}

_STEP = re.compile(r"(?P<key>[\w-]+|\*)(?P<filters>(?:\[\w+=[^\]]*\])*)(?:\.|$)")
_FILTER = re.compile(r"\[(?P<name>\w+)=(?P<value>[^\]]*)\]")
_BOUND = re.compile(
    r"(?P<left>\S.*?)(?: (?P<sign>[-/]) (?P<right>\S.*?))? (?P<comparison>==|<=|>=|<|>) (?P<limit>\S.*)"
)


class BoundError(ValueError):
    """A bound is not written as it should be, or the result does not have the values that it names."""


def select(data: Any, path: str) -> list[Any]:
    """Values of ``data`` at ``path``.

    A path is made of keys joined by dots. ``*`` stands for all entries of a list or a mapping; ``rows[path=ours]``
    for those entries of the list ``rows`` whose key ``path`` is ``ours``. Several filters must all hold.

    Raises
    ------
    BoundError
        If the path is not well formed, or there is no such value.
    """
    values, place = [data], 0
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            raise BoundError(f"path {path!r}: not understood from {path[place:]!r} on")
        place = step.end()
        values = [entry for value in values for entry in _step(value, step, path)]
    if not values:
        raise BoundError(f"the result has no value at {path!r}")
    return values


def _step(value: Any, step: re.Match[str], path: str) -> list[Any]:
    key = step["key"]
    if key == "*":
        if not isinstance(value, (list, Mapping)):
            raise BoundError(f"path {path!r}: * needs a list or a mapping")
        return list(value.values()) if isinstance(value, Mapping) else list(value)
    if not isinstance(value, Mapping) or key not in value:
        raise BoundError(f"the result has no {key!r} of {path!r}")
    inner = value[key]
    filters = [(match["name"], match["value"]) for match in _FILTER.finditer(step["filters"])]
    if not filters:
        return [inner]
    if not isinstance(inner, list):
        raise BoundError(f"path {path!r}: {key} is not a list")
    return [entry for entry in inner if all(str(entry.get(name)) == value for name, value in filters)]


@dataclass(frozen=True)
class Measured:
    """What a bound found.

    Attributes
    ----------
    bound
        Text of the bound.
    value
        The value farthest towards the bound or beyond it.
    passed
        Whether every value keeps the bound.
    """

    bound: str
    value: Any
    passed: bool


@dataclass(frozen=True)
class Bound:
    """A comparison that every selected value has to pass.

    Attributes
    ----------
    text
        As written: ``PATH COMPARISON LIMIT``, ``PATH - PATH COMPARISON LIMIT`` or ``PATH / PATH COMPARISON LIMIT``.
        Two paths are taken pair by pair.
    left, right
        The paths; ``right`` is empty if there is one.
    sign
        ``-`` or ``/`` between two paths.
    comparison
        Key of ``COMPARISONS``.
    limit
        A number, or a text.
    """

    text: str
    left: str
    sign: str
    right: str
    comparison: str
    limit: float | str

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Read a bound. Raises BoundError if it is not one."""
        match = _BOUND.fullmatch(text)
        if match is None:
            raise BoundError(f"bound {text!r}: must be PATH [-|/ PATH] ==|<=|>=|<|> LIMIT")
        try:
            limit: float | str = float(match["limit"])
        except ValueError:
            limit = match["limit"]
            if match["comparison"] != "==":
                raise BoundError(f"bound {text!r}: {limit!r} is not a number") from None
        return cls(text, match["left"], match["sign"] or "", match["right"] or "", match["comparison"], limit)

    def measure(self, result: Any) -> Measured:
        """Compare a result with the bound.

        Raises
        ------
        BoundError
            If the result lacks a value, or holds one that cannot be compared.
        """
        values = select(result, self.left)
        try:
            if self.right:
                values = [self._combine(*pair) for pair in self._pairs(values, select(result, self.right))]
            passed = [value for value in values if COMPARISONS[self.comparison](value, self.limit)]
            failed = [value for value in values if value not in passed]
            if self.comparison == "==":
                worst = (failed or passed)[0]
            else:
                worst = max(values) if self.comparison.startswith("<") else min(values)
        except (TypeError, ZeroDivisionError) as error:
            raise BoundError(f"bound {self.text!r}: {error}") from None
        return Measured(self.text, worst, len(passed) == len(values))

    def _pairs(self, left: list[Any], right: list[Any]) -> list[tuple[Any, Any]]:
        if len(right) == 1:
            right = right * len(left)
        if len(left) != len(right):
            raise BoundError(f"bound {self.text!r}: {len(left)} values against {len(right)}")
        return list(zip(left, right, strict=True))

    def _combine(self, left: float, right: float) -> float:
        return left - right if self.sign == "-" else left / right
