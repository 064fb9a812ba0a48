"""Evaluating a CXXRTL model: modules that change only at a clock edge are skipped between edges."""

from __future__ import annotations

import re

from rtl.rewrite.tested_versions import check_tested_versions

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
    """Return the C++ that CXXRTL wrote, with an early return in each ``eval`` that only has work at a clock edge.

    CXXRTL evaluates the whole model several times in a clock cycle, until nothing changes any more. In a module whose
    outputs are all registers, such as a processing element, only the evaluation at the rising edge does anything. Such
    an ``eval`` has only assignments to its own local values and a block for the edge. If it contains anything else, it
    stays as it is.

    Raises
    ------
    UntestedVersionError
        If Amaranth or Yosys has a version that this was not tested with.
    """
    check_tested_versions()
    return _EVAL.sub(_with_return, source)


def _with_return(function: re.Match[str]) -> str:
    head, body = function.groups()
    unclocked = _COMMENT.sub("", _CLOCKED.sub("", body))
    local = set(_LOCAL.findall(unclocked))
    statements = _LOCAL.sub("", unclocked)
    assigned = set(_ASSIGNMENT.findall(statements))
    if _ASSIGNMENT.sub("", statements) or not assigned <= local:
        return function[0]
    return function[0].replace(head, head + "\tif (!posedge_p_clk)\n\t\treturn converged;\n", 1)
