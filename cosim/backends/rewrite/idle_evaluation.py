"""Evaluating a CXXRTL model: modules that change at a clock edge only are left alone between edges."""

from __future__ import annotations

import re

__all__ = ["rest_between_edges"]

_EVAL = re.compile(
    r"^(bool \w+::eval\(performer \*performer\) \{\n"
    r"\tbool converged = true;\n"
    r"\tbool posedge_p_clk = this->posedge_p_clk\(\);\n)"
    r"(.*?)"
    r"^\treturn converged;\n\}\n",
    re.MULTILINE | re.DOTALL,
)
_CLOCKED = re.compile(r"^\tif \(posedge_p_clk\) \{\n.*?^\t\}\n", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^\t//[^\n]*\n", re.MULTILINE)
_LOCAL = re.compile(r"^\tvalue<\d+> (\w+);\n", re.MULTILINE)
_ASSIGNMENT = re.compile(r"^\t(\w+)(?:\.slice<[\d,]+>\(\))? = [^\n]*;\n", re.MULTILINE)


def rest_between_edges(source: str) -> str:
    """Return the C++ that CXXRTL wrote with an early return in each ``eval`` that has nothing to do but at an edge.

    CXXRTL evaluates the whole model several times in a clock cycle, until nothing changes any more. A module of which
    nothing but registers is seen from outside, as a processing element, does its work in vain each time but the one
    at the rising edge. Its ``eval`` is known by what stands in it: values of its own, and what happens at the edge. If
    anything else is found there, the function stays as it is.
    """
    return _EVAL.sub(_with_return, source)


def _with_return(found: re.Match[str]) -> str:
    head, body = found.groups()
    rest = _COMMENT.sub("", _CLOCKED.sub("", body))
    local = set(_LOCAL.findall(rest))
    rest = _LOCAL.sub("", rest)
    assigned = set(_ASSIGNMENT.findall(rest))
    if _ASSIGNMENT.sub("", rest) or not assigned <= local:
        return found[0]
    return found[0].replace(head, head + "\tif (!posedge_p_clk)\n\t\treturn converged;\n", 1)
