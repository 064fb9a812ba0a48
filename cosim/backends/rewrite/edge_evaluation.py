"""Evaluating a CXXRTL module: what an edge of the clock needs, apart from what the time between edges needs."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["does_nothing", "split_at_edge"]

_FRAME = ("\tbool converged = ", "\treturn converged;\n")
_EDGE = "\tif (posedge_p_clk) {\n"
_INSTANCE = re.compile(
    r"\tif \((cell_\w+\.eval\(performer\))\) \{\n((?:\t\t.*\n)*)\t\} else \{\n\t\tconverged = false;\n\2\t\}\n"
)
"""An instance, and where its outputs go, which is the same if it has converged and if not."""
_LOCAL = re.compile(r"\tvalue<\d+> (\w+);\n")
_INPUT = re.compile(r"\t(?:drive\(.*\)|cell_\w+\.p_clk = p_clk);\n")
_ASSIGNMENT = re.compile(r"\t((?:value<\d+>|[ip]_)[^\n=]*) = [^\n]*;\n")
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")


def split_at_edge(body: str) -> tuple[list[str], list[str]]:
    """Return the statements of an ``eval`` that a rising edge needs, and those that the time between edges needs.

    Between edges wires follow inputs and registers, until nothing changes any more. So at an edge they are what they
    have to be, and only registers and memories load. Both lists keep the order of the statements, and hold the local
    values that they read. A statement of a form that is not known here is in both.

    Parameters
    ----------
    body
        C++ of an ``eval`` as CXXRTL writes it, with inputs of instances set by ``drive``.
    """
    statements = list(_statements(body))
    local = {match[1] for match in map(_LOCAL.fullmatch, statements) if match}
    return _needed(statements, local, at_edge=True), _needed(statements, local, at_edge=False)


def does_nothing(statements: list[str]) -> bool:
    """Whether statements compute nothing, and say that nothing is left to compute."""
    return statements == [f"{_FRAME[0]}true;\n", _FRAME[1]]


def _statements(body: str) -> Iterator[str]:
    """The statements of a body, without comments: a line, or the lines of a block in braces."""
    block = ""
    for line in body.splitlines(keepends=True):
        if block or line.endswith("{\n"):
            block += line
            if line == "\t}\n":
                yield from _of_instance(block)
                block = ""
        elif not line.startswith("\t//"):
            yield line


def _of_instance(block: str) -> Iterator[str]:
    """The evaluation of an instance and each of its outputs as statements; another block as it is."""
    if match := _INSTANCE.fullmatch(block):
        yield f"\tconverged &= {match[1]};\n"
        yield from (line[1:] for line in match[2].splitlines(keepends=True))
    else:
        yield block


def _needed(statements: list[str], local: set[str], *, at_edge: bool) -> list[str]:
    """The statements for an edge or for the time between edges, with what they read, found from the last one up."""
    needed: list[str] = []
    read: set[str] = set()
    for statement in reversed(statements):
        if match := _LOCAL.fullmatch(statement):
            wanted = match[1] in read
        elif statement.startswith(_EDGE):
            wanted = at_edge
        elif _INPUT.fullmatch(statement):
            wanted = not at_edge
        elif match := _ASSIGNMENT.fullmatch(statement):
            assigned = local.intersection(_NAME.findall(match[1]))
            # What is not local only: other modules or later evaluations read it.
            lasting = not assigned or ".next" in match[1]
            wanted = bool(assigned & read) or (lasting and not at_edge)
        else:
            wanted = True
        if wanted:
            needed.append(statement)
            read |= local.intersection(_NAME.findall(statement))
    return needed[::-1]
