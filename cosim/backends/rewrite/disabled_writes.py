"""Writes that write nothing: their address may be any, as in Verilog."""

from __future__ import annotations

import re

from rtl.rewrite.tested_versions import check_tested_versions

__all__ = ["allow_disabled_writes"]

_WRITE = re.compile(
    r'CXXRTL_ASSERT\((?P<index>\w+)\.valid && "out of bounds write"\);\n'
    r"(?P<then>\s*if \((?P=index)\.valid\) \{\n\s*[\w.]+\.update\((?P=index)\.index, (?P<rest>.*), \d+\);\n)"
)


def allow_disabled_writes(source: str) -> str:
    """Return the C++ that CXXRTL wrote, with assertions that hold for addresses beyond a memory if the mask is 0.

    CXXRTL writes a port's enable as a mask of bits and asserts its address in every cycle. An address that nobody uses
    may lie beyond a memory whose size is no power of two.

    Raises
    ------
    UntestedVersionError
        If Amaranth or Yosys has a version that this was not tested with.
    """
    check_tested_versions()
    return _WRITE.sub(_guarded, source)


def _guarded(write: re.Match[str]) -> str:
    index, mask = write["index"], _last_argument(write["rest"])
    return f'CXXRTL_ASSERT(({index}.valid || {mask}.is_zero()) && "out of bounds write");\n{write["then"]}'


def _last_argument(arguments: str) -> str:
    """The last of some arguments of a call: commas in brackets of any sort belong to an argument."""
    depth = 0
    for place in range(len(arguments) - 1, -1, -1):
        depth += (arguments[place] in ")}>") - (arguments[place] in "({<")
        if depth == 0 and arguments[place] == ",":
            return arguments[place + 1 :].lstrip()
    return arguments
