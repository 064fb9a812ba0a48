"""Waivers for Verilator's lint: what it finds in the Verilog although it is meant, each with the reason."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["WITHOUT_PROCASSINIT", "lint_waivers"]

WITHOUT_PROCASSINIT = "HECATON_WITHOUT_PROCASSINIT"
"""Macro to define for a Verilator that does not know the rule PROCASSINIT."""

_WAIVERS = (
    (
        "WIDTH",
        "",
        "operands of unequal widths: Yosys drops leading zeros and unread bits; Verilog extends the shorter operand",
    ),
    (
        "UNUSEDSIGNAL",
        "",
        "dropped carries of sums, fields of a command that one user does not need, inputs of black boxes",
    ),
    (
        "UNSIGNED",
        "Comparison is constant due to unsigned arithmetic*",
        "the first of a row of comparisons of an index with 0, 1, 2, ... always holds",
    ),
    (
        "CMPCONST",
        "Comparison is constant due to limited range*",
        "a die of one row or column has counts that never come to some of the values they are compared with",
    ),
    (
        "VARHIDDEN",
        "Declaration of signal hides declaration in upper scope: '_*_'",
        "functions have names by number, as wires of a module further up have. No name is looked up there",
    ),
)
_PROCASSINIT = (
    "registers have an initial value, which simulators and FPGAs load, beside their reset. Verilator has this rule "
    f"since 5.038: define {WITHOUT_PROCASSINIT} for an older one (-D{WITHOUT_PROCASSINIT})"
)
_MACRO = "black boxes: your SRAM macro drives the output"


def lint_waivers(head: str, macros: Iterable[str]) -> str:
    """A settings file of Verilator that turns off what is meant in a design with the hard macros ``macros``.

    With it, ``verilator --lint-only -Wall`` finds nothing. ``head`` is the first line.
    """
    lines = [
        head.rstrip("\n"),
        "// Waivers for Verilator's lint: verilator --lint-only -Wall <top>.vlt -f <top>.f",
    ]
    lines += ["`verilator_config", ""]
    for rule, match, reason in _WAIVERS:
        lines += [f"// {reason}.", _waiver(rule, match=match), ""]
    lines += [f"// {_PROCASSINIT}.", f"`ifndef {WITHOUT_PROCASSINIT}", _waiver("PROCASSINIT"), "`endif"]
    names = sorted(macros)
    if names:
        lines += ["", f"// {_MACRO}.", *(_waiver("UNDRIVEN", file=f"*{name}.v") for name in names)]
    return "\n".join([*lines, ""])


def _waiver(rule: str, *, file: str = "*", match: str = "") -> str:
    return f'lint_off -rule {rule} -file "{file}"' + (f' -match "{match}"' if match else "")
