"""Timing of mapped modules with OpenSTA: their longest paths, and loops of logic."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rtl.synthesis.constraints import constraints
from rtl.synthesis.module_tree import ModuleText
from rtl.synthesis.synthesis_programs import SynthesisError, run_program
from rtl.synthesis.timing_report import PathStep, TimingPath, parse_loops, parse_paths, sections

__all__ = ["LongestPaths", "load_paths", "longest_paths", "save_paths"]

PERIOD_PS = 1000.0
"""Period of the clock while paths are looked for: which of them is the longest does not depend on it."""

GROUPS = ("registers", "from_inputs", "to_outputs")


@dataclass(frozen=True)
class LongestPaths:
    """Longest paths of a module, each list with the longest one first.

    Attributes
    ----------
    registers
        From register to register, SRAM macros among them.
    from_inputs
        From inputs to registers, or to outputs without a register on their way.
    to_outputs
        From registers to outputs.
    loops
        Pins of each loop of logic.
    """

    registers: tuple[TimingPath, ...]
    from_inputs: tuple[TimingPath, ...]
    to_outputs: tuple[TimingPath, ...]
    loops: tuple[tuple[str, ...], ...]


def longest_paths(
    module: ModuleText, *, libraries: Sequence[Path], netlists: Sequence[Path], paths: int, folder: Path
) -> LongestPaths:
    """The longest paths of a mapped module, without wires and with an ideal clock.

    Parameters
    ----------
    module
        The module before it was mapped.
    libraries
        Liberty files of its cells and macros.
    netlists
        Verilog of it, and of the modules that it uses: what is missing is a black box that no path goes through.
    paths
        Most paths of each list.
    folder
        For the files of OpenSTA.

    Raises
    ------
    SynthesisError
        If OpenSTA is missing, refuses the netlist, or cannot read tables of the library.
    """
    (folder / "timing.sdc").write_text(constraints(module, PERIOD_PS))
    script = [
        *(f"read_liberty {{{path}}}" for path in libraries),
        *(f"read_verilog {{{path}}}" for path in netlists),
        f"link_design {module.name}",
        # All libraries have units of their own: what is read and printed here is in ns and ps.
        "set_cmd_units -time ns -capacitance pF",
        "source timing.sdc",
        "group_path -name to_outputs -to [all_outputs]",
        "group_path -name from_inputs -from [all_inputs]",
        'puts "=== loops"',
        "check_setup -verbose -loops",
        "set_cmd_units -time ps -capacitance fF",
    ]
    for group in GROUPS:
        name = "clk" if group == "registers" else group
        report = f"report_checks -path_group {name} -group_count {paths} -format full -fields {{input_pin}} -digits 3"
        script += [f'puts "=== {group}"', report]
    (folder / "timing.tcl").write_text("\n".join([*script, "exit", ""]))
    printed = run_program("sta", ["-exit", "timing.tcl"], what=module.name, folder=folder)
    unread = re.search(
        r"^Warning: (.*(?:unsupported model axis|template \S+ not found).*)$", printed, re.MULTILINE
    )
    if unread is not None:
        raise SynthesisError(f"{module.name}: OpenSTA cannot read the library: {unread[1]}")
    parts = sections(printed)
    found = {name: tuple(sorted(parse_paths(parts[name]), key=lambda path: path.slack)) for name in GROUPS}
    loops = tuple(tuple(loop) for loop in parse_loops(parts["loops"]))
    return LongestPaths(loops=loops, **found)


def save_paths(timing: LongestPaths, path: Path) -> None:
    """Write the longest paths."""
    path.write_text(json.dumps(asdict(timing)))


def load_paths(path: Path) -> LongestPaths:
    """Read what :func:`save_paths` has written."""
    found = json.loads(path.read_text())
    groups = {
        name: tuple(
            TimingPath(**{**entry, "steps": tuple(PathStep(**step) for step in entry["steps"])})
            for entry in found[name]
        )
        for name in GROUPS
    }
    return LongestPaths(loops=tuple(map(tuple, found["loops"])), **groups)
