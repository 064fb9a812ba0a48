"""Expressions in the Verilog that Yosys writes, one operator each, and how a name is replaced by its expression.

In Verilog an operand takes the width of its context: a sum of 8 bits loses its carry, but keeps it as part of a sum of
9 bits. So a name may be replaced by its expression only where that makes no difference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Expression", "Unknown", "names_in", "read"]

_NAME = re.compile(r"(?<![\w'$])[A-Za-z_]\w*")
_TOKEN = re.compile(
    r" *(?:(?P<bits>\d+)'[hbd][0-9a-fxz]+"
    r"|(?P<name>[A-Za-z_]\w*)(?P<part>\[(?P<high>\d+)(?::(?P<low>\d+))?\])?"
    r"|(?P<operator>[<>!=]=|<<|>>|[-+*&|^~!<>?:{},])) *"
)
_REDUCTIONS = frozenset("&|^!")
_BITWISE = frozenset("&|^")
_ARITHMETIC = frozenset("+-*")
_SHIFTS = frozenset(("<<", ">>"))
_COMPARISONS = frozenset(("<", "<=", ">", ">=", "==", "!="))


class Unknown(Exception):
    """The text has a form that is not supported here, such as signed operands, memories or calls."""


@dataclass(frozen=True)
class Expression:
    """An expression as Verilog.

    Attributes
    ----------
    text
        Verilog, without brackets around it.
    width
        Its bits outside any context.
    extends
        Whether it keeps its value, with leading zeros, in a wider context.
    joined
        Names that were replaced by their expressions.
    """

    text: str
    width: int
    extends: bool = True
    joined: frozenset[str] = frozenset()


def names_in(text: str) -> list[str]:
    """Names in a text, one for each use; keywords count as names."""
    return _NAME.findall(text)


def read(text: str, *, width: int, widths: Mapping[str, int], others: Mapping[str, Expression]) -> Expression:
    """Read the right side of an assignment, and replace names by ``others`` where the value stays the same.

    Parameters
    ----------
    text
        An operand, or one operator with its operands.
    width
        Bits of what it is assigned to.
    widths
        Bits of each name.
    others
        Expressions that may take the place of names.

    Raises
    ------
    Unknown
        If the text is of another form.
    """
    reader = _Reader(text, widths, others)
    value = reader.value(width)
    return Expression(value.text, value.width, value.extends, frozenset(reader.joined))


@dataclass(frozen=True)
class _Operand:
    text: str
    width: int
    name: str | None = None
    """Of an operand that is nothing but a name."""


class _Reader:
    """Takes the tokens of one text one by one."""

    def __init__(self, text: str, widths: Mapping[str, int], others: Mapping[str, Expression]) -> None:
        self._widths, self._others = widths, others
        self.joined: set[str] = set()
        self._tokens: list[re.Match[str]] = []
        end = 0
        while end < len(text):
            token = _TOKEN.match(text, end)
            if token is None:
                raise Unknown(text)
            self._tokens.append(token)
            end = token.end()
        self._tokens.reverse()

    def value(self, width: int) -> Expression:
        sign = self._operator()
        if sign is not None and sign != "{":
            self._tokens.pop()
            operand = self._operand()
            value = self._unary(sign, operand, width)
        else:
            operand = self._operand()
            sign = self._operator()
            if sign is None:
                return self._place(operand, max(width, operand.width), brackets=False)
            self._tokens.pop()
            value = self._ternary(operand, width) if sign == "?" else self._binary(operand, sign, width)
        if self._tokens:
            raise Unknown(self._tokens[-1][0])
        return value

    def _unary(self, sign: str, operand: _Operand, width: int) -> Expression:
        if sign in _REDUCTIONS:
            return Expression(f"{sign} {self._place(operand).text}", 1)
        if sign not in "~-":
            raise Unknown(sign)
        one = self._place(operand, max(width, operand.width))
        return Expression(f"{sign} {one.text}", operand.width, extends=False)

    def _binary(self, left: _Operand, sign: str, width: int) -> Expression:
        right = self._operand()
        both = max(left.width, right.width)
        if sign in _COMPARISONS:
            one, two = self._place(left, both), self._place(right, both)
            return Expression(f"{one.text} {sign} {two.text}", 1)
        if sign in _SHIFTS:
            one, two = self._place(left, max(width, left.width)), self._place(right)
            return Expression(
                f"{one.text} {sign} {two.text}", left.width, extends=sign == ">>" and one.extends
            )
        if sign not in _BITWISE | _ARITHMETIC:
            raise Unknown(sign)
        one, two = (self._place(operand, max(width, both)) for operand in (left, right))
        extends = sign in _BITWISE and one.extends and two.extends
        return Expression(f"{one.text} {sign} {two.text}", both, extends)

    def _ternary(self, choice: _Operand, width: int) -> Expression:
        yes = self._operand()
        self._expect(":")
        no = self._operand()
        both = max(yes.width, no.width)
        one, two = (self._place(operand, max(width, both)) for operand in (yes, no))
        text = f"{self._place(choice).text} ? {one.text} : {two.text}"
        return Expression(text, both, one.extends and two.extends)

    def _place(self, operand: _Operand, context: int | None = None, *, brackets: bool = True) -> Expression:
        """The expression for an operand in a context of ``context`` bits, or of its own width."""
        other = self._others.get(operand.name) if operand.name is not None else None
        if (
            other is None
            or other.width != operand.width
            or not (context in (None, other.width) or other.extends)
        ):
            return Expression(operand.text, operand.width)
        assert operand.name is not None
        self.joined.add(operand.name)
        return Expression(f"({other.text})" if brackets else other.text, other.width, other.extends)

    def _operand(self) -> _Operand:
        if not self._tokens:
            raise Unknown("the end")
        token = self._tokens.pop()
        if token["bits"]:
            return _Operand(token[0].strip(), int(token["bits"]))
        if token["operator"]:
            return self._concatenation(token["operator"])
        name, high, low = token["name"], token["high"], token["low"]
        if name not in self._widths:
            raise Unknown(name)
        if high is None:
            return _Operand(name, self._widths[name], name)
        return _Operand(name + token["part"], 1 if low is None else int(high) - int(low) + 1)

    def _concatenation(self, sign: str) -> _Operand:
        if sign != "{":
            raise Unknown(sign)
        parts = []
        while sign != "}":
            parts.append(self._place(self._operand(), brackets=False))
            sign = self._operator() or "the end"
            if sign not in ",}":
                raise Unknown(sign)
            self._tokens.pop()
        return _Operand(f"{{ {', '.join(part.text for part in parts)} }}", sum(part.width for part in parts))

    def _operator(self) -> str | None:
        return self._tokens[-1]["operator"] if self._tokens else None

    def _expect(self, sign: str) -> None:
        if self._operator() != sign:
            raise Unknown(sign)
        self._tokens.pop()
