"""Netlists of Yosys without what OpenSTA does not read: a concatenation on the left side of an assignment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

__all__ = ["without_concatenations"]

_DECLARED = re.compile(r"^  (?:input|output|wire) (?:\[(\d+):(\d+)\] )?(\\\S+ |\w+)", re.MULTILINE)
_ASSIGNED = re.compile(r"^  assign \{ (.*) \} = (.*);$", re.MULTILINE)
_PART = re.compile(
    r"(?P<constant>\d+'[hbd][0-9a-fxz]+)|(?P<name>\\\S+ |\w+)(?: ?\[(?P<high>\d+)(?::(?P<low>\d+))?\])?"
)
_DIGITS = {"h": 16, "b": 2, "d": 10}


def without_concatenations(netlist: str) -> str:
    """The text of one module in which each assignment has one name, or a part of it, on its left side."""
    bounds = {
        found[3].strip(): (int(found[1] or 0), int(found[2] or 0)) for found in _DECLARED.finditer(netlist)
    }

    def split(found: re.Match[str]) -> str:
        right = [bit for part in _parts(found[2]) for bit in _bits(part, bounds)]
        lines = []
        for part in _parts(found[1]):
            width = len(_bits(part, bounds))
            taken, right = right[:width], right[width:]
            value = taken[0] if width == 1 else f"{{ {', '.join(taken)} }}"
            lines.append(f"  assign {part[0]} = {value};")
        return "\n".join(lines)

    return _ASSIGNED.sub(split, netlist)


def _parts(text: str) -> Iterator[re.Match[str]]:
    return _PART.finditer(text)


def _bits(part: re.Match[str], bounds: Mapping[str, tuple[int, int]]) -> list[str]:
    """The bits of a part, the highest first."""
    if part["constant"]:
        width, digits = part["constant"].split("'")
        value = int(digits[1:].replace("x", "0").replace("z", "0"), _DIGITS[digits[0]])
        return [f"1'h{value >> bit & 1}" for bit in reversed(range(int(width)))]
    name = part["name"]
    if part["high"] is None:
        high, low = bounds[name.strip()]
        if high == low:
            return [name]
    else:
        high, low = int(part["high"]), int(part["low"] or part["high"])
    step = -1 if high >= low else 1
    return [f"{name}[{bit}]" for bit in range(high, low + step, step)]
