"""Logic that only registers read, written into their clocked block.

An event-driven simulator evaluates an ``assign`` whenever one of its operands changes, several times in a cycle, but a
clocked block once. The fewer variables the block has, the less there is to store and to load: an intermediate result
that is used once is written where it is used.

The input is a module as Yosys writes it: one operator for each ``assign``, one block for each register. Logic of any
other form stays as it is, and so does logic that it reads.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import count

from rtl.rewrite.tested_versions import check_tested_versions
from rtl.rewrite.verilog_expression import Expression, Unknown, names_in, read

__all__ = ["clocked"]

_DECLARATION = re.compile(
    r"^  (?:(?:input|output) )?(?:wire|reg) (?:\[(\d+):0\] )?(\w+)\b(?! \[)", re.MULTILINE
)
_WIRE = re.compile(r"^  wire (\[\d+:0\] )?(\w+);\n", re.MULTILINE)
_ASSIGN = re.compile(r"^  assign (\w+) = (.*);\n", re.MULTILINE)
_REGISTER = re.compile(r"^  always @\(posedge clk\)\n    (\w+) <= (.*);\n", re.MULTILINE)
_TEMPORARY = re.compile(r"_\d+_")
# Neither memories nor calls. Signed expressions may move, but nothing is merged into them.
_MOVABLE = re.compile(
    r"(?:\d+'s?[hbd][0-9a-fxz]+|[A-Za-z_]\w*(?:\[\d+(?::\d+)?\])?(?![\w(\[])|\$signed\(|[-+*&|^~!<>=?:{},) ])*"
)


def clocked(text: str) -> str:
    """Move the logic of a Verilog module that only its registers read into one clocked block.

    It becomes blocking assignments to local variables of the block. Registers get the same values in each cycle,
    undefined ones included. A module in which nothing can be moved comes back as it is.

    Raises
    ------
    UntestedVersionError
        If Amaranth or Yosys has a version that this was not tested with.
    """
    check_tested_versions()
    start = text.index("(")
    head, body = text[:start], text[start:]
    widths = {match[2]: int(match[1] or 0) + 1 for match in _DECLARATION.finditer(body)}
    ranges = {match[2]: match[1] or "" for match in _WIRE.finditer(body)}
    registers = {match[1]: match[2] for match in _REGISTER.finditer(body)}
    values = {
        match[1]: match[2]
        for match in _ASSIGN.finditer(body)
        if match[1] in ranges and _MOVABLE.fullmatch(match[2]) and widths.keys() >= set(names_in(match[2]))
    }
    for name in _pinned(body, values):
        del values[name]
    reads = {name: _reads(value, values) for name, value in values.items()}
    try:
        order = list(TopologicalSorter(reads).static_order())
    except CycleError:
        return text
    if not order or not registers.keys() <= widths.keys():
        return text

    uses = Counter(names_in(body))
    texts: dict[str, str] = {}
    others: dict[str, Expression] = {}
    joined: set[str] = set()
    for name in (*order, *registers):
        value = values[name] if name in values else registers[name]
        try:
            expression = read(value, width=widths[name], widths=widths, others=others)
        except Unknown:
            texts[name] = value
            continue
        texts[name] = expression.text
        joined |= expression.joined
        # In the text three times: where it is declared, where it gets its value, and where it is used.
        if name in values and _TEMPORARY.fullmatch(name) and uses[name] == 3:
            others[name] = expression
    kept = [name for name in order if name not in joined]

    lines = [f"    reg {ranges[name]}{name};" for name in kept]
    for name, value in registers.items():
        needed = _closure(_reads(value, values), reads)
        lines += [f"    {other} = {texts[other]};" for other in kept if other in needed]
        lines.append(f"    {name} <= {texts[name]};")
        kept = [other for other in kept if other not in needed]
    block = next(name for number in count(1) if (name := f"step{number if number > 1 else ''}") not in uses)
    step = "\n".join([f"  always @(posedge clk) begin : {block}", *lines, "  end", "endmodule"])
    body = _WIRE.sub(lambda match: "" if match[2] in values else match[0], body)
    body = _ASSIGN.sub(lambda match: "" if match[1] in values else match[0], body)
    return head + _REGISTER.sub("", body).replace("endmodule", step)


def _pinned(body: str, values: Mapping[str, str]) -> set[str]:
    """Wires that must stay: those that anything but a register reads, directly or not, and those that nothing reads."""
    used = _WIRE.sub("", body)
    fixed_text = _ASSIGN.sub(lambda match: "" if match[1] in values else match[0], _REGISTER.sub("", used))
    uses = Counter(names_in(used))
    fixed = {name for name in values if uses[name] == 1} | set(names_in(fixed_text)) & values.keys()
    return _closure(fixed, {name: _reads(value, values) for name, value in values.items()})


def _closure(names: Iterable[str], reads: Mapping[str, Iterable[str]]) -> set[str]:
    """``names`` and all names that they read, directly or not."""
    closure: set[str] = set()
    to_visit = list(names)
    while to_visit:
        name = to_visit.pop()
        if name not in closure:
            closure.add(name)
            to_visit += reads[name]
    return closure


def _reads(value: str, values: Mapping[str, str]) -> list[str]:
    return [name for name in dict.fromkeys(names_in(value)) if name in values]
