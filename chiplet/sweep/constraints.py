"""Constraints of a design space: comparisons of varied values and results, as in ``die_mm2 <= 100``.

All arithmetic is in floats: integers without end, such as 9**9**9, do not occur. Floats follow IEEE 754, so that one
value and an array of values give the same: a division by zero is infinite, and a comparison with NaN does not hold.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chiplet.machine.base import nearest

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
}

_COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
}

MAX_CHARACTERS = 500


@dataclass(frozen=True)
class Constraint:
    """A comparison of two arithmetic expressions of names and numbers."""

    text: str
    names: tuple[str, ...]
    of_inputs: bool
    """Whether it refers to varied values only, and so can be decided before a projection."""

    @classmethod
    def parse(cls, text: str, known: Collection[str], inputs: Collection[str]) -> Constraint:
        """The constraint in ``text``. Raises ``ValueError``, in one line, for anything else, and for a name that is not
        in ``known``.
        """
        shown = text if len(text) <= 60 else text[:57] + "..."
        try:
            if len(text) > MAX_CHARACTERS:
                raise ValueError
            tree = _comparison(text)
            names = tuple(dict.fromkeys(_names(tree)))
        except (SyntaxError, ValueError, RecursionError):
            raise ValueError(
                f"constraint {shown!r}: must compare two expressions of names, numbers and + - * / % **, as in "
                "'die_mm2 <= 100'"
            ) from None
        for name in names:
            if name not in known:
                best = nearest(name, known)
                raise ValueError(
                    f"constraint {shown!r}: unknown name {name}: the nearest known one is {best}"
                )
        try:
            with np.errstate(all="ignore"):
                _check_constants(tree.left)
                _check_constants(tree.comparators[0])
        except ValueError as refusal:
            raise ValueError(f"constraint {shown!r}: {refusal}") from None
        return cls(text, names, all(name in inputs for name in names))

    @cached_property
    def _tree(self) -> ast.Compare:
        return _comparison(self.text)

    def holds(self, values: Mapping[str, Any]) -> Any:
        """Whether it holds for ``values``, element by element if these are arrays."""
        tree = self._tree
        compare = _COMPARISONS[type(tree.ops[0])]
        with np.errstate(all="ignore"):
            left, right = _value(tree.left, values), _value(tree.comparators[0], values)
            try:
                return compare(left, right)
            except TypeError:
                raise TypeError("text and numbers have no order") from None

    def check_types(self, samples: Mapping[str, Sequence[Any]]) -> None:
        """Raise ``ValueError``, in one line, if it cannot be evaluated for one of the ``samples``: values of each type
        that a name may have. Any number stands for all.
        """
        first = {name: samples.get(name, (1.0,))[0] for name in self.names}
        for name in self.names:
            for value in samples.get(name, (1.0,)):
                if value is None:
                    raise ValueError(f"constraint {self.text!r}: {name} has no value in this space")
                try:
                    self.holds({**first, name: value})
                except TypeError as error:
                    raise ValueError(f"constraint {self.text!r}: {error}") from None


def _comparison(text: str) -> ast.Compare:
    tree = ast.parse(text.strip(), mode="eval").body
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or type(tree.ops[0]) not in _COMPARISONS:
        raise ValueError
    return tree


def _names(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Compare):
        return _names(node.left) + _names(node.comparators[0])
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _names(node.left) + _names(node.right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _names(node.operand)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
        return []
    dotted = ast.unparse(node)
    if isinstance(node, (ast.Name, ast.Attribute)) and re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", dotted):
        return [dotted]
    raise ValueError


def _check_constants(node: ast.expr) -> bool:
    """Whether ``node`` consists of constants. Raises ``ValueError`` for arithmetic with text or booleans, and for
    constants that make no finite float.
    """
    arithmetic = isinstance(node, (ast.BinOp, ast.UnaryOp))
    constant = arithmetic or isinstance(node, ast.Constant)
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.expr):
            if arithmetic and _is_no_number(part):
                raise ValueError(f"{ast.unparse(part)[:60]} is no number")
            constant = _check_constants(part) and constant
    if constant and not _is_no_number(node) and not math.isfinite(_value(node, {})):
        raise ValueError(f"{ast.unparse(node)[:60]} is no finite number")
    if (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, (ast.Div, ast.Mod))
        and not _names(node.right)
        and not _value(node.right, {})
    ):
        raise ValueError(f"{ast.unparse(node)[:60]} divides by zero")
    return constant


def _is_no_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (bool, str))


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, values), _value(node.right, values)
        if isinstance(left, str) or isinstance(right, str):  # on which % would write text
            raise TypeError(f"{ast.unparse(node)[:60]}: text is no number")
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand, values)
    value = node.value if isinstance(node, ast.Constant) else values[ast.unparse(node)]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return np.float64(_float(value)) if is_number else value


def _float(number: Any) -> float:
    """``number`` as a float: infinite if it is too large for one."""
    try:
        return float(number)
    except OverflowError:
        return math.inf
