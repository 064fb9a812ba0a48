"""A block as one cell with its times, so that a design with thousands of it can be timed as a whole.

What happens between its registers is known from the block itself; the model has what its borders need: for each port
the worst of its bits, at the slowest edge that its own outputs have.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from rtl.synthesis.constraints import CLOCK, RESET
from rtl.synthesis.liberty_cell import Arc, PortTimes
from rtl.synthesis.library import Library
from rtl.synthesis.module_tree import ModuleText
from rtl.synthesis.synthesis_programs import run_program
from rtl.synthesis.timing_report import parse_paths, sections

__all__ = ["input_loads", "model_block"]

LOAD_FACTORS = (0.25, 1.0, 4.0)
"""Loads of an output, over that which it is mapped for, at which it is timed."""

_CELL = re.compile(r"^  (\w+) (?:\\\S+ |\w+ )\(\n(.*?)\n  \);", re.MULTILINE | re.DOTALL)
_PIN = re.compile(r"\.(\w+)\(((\w+)(?:\[\d+\])?)\)")
_ARRIVAL = re.compile(r"^ *(-?[\d.]+) +data arrival time$", re.MULTILINE)
_SLEW = re.compile(r"^ *(-?[\d.]+) +-?[\d.]+ +-?[\d.]+ +[v^] \S+ \(out\)$", re.MULTILINE)


def model_block(
    module: ModuleText, *, library: Library, cells: Path, netlist: Path, folder: Path
) -> dict[str, PortTimes]:
    """The times of each port of a mapped block without blocks inside.

    Parameters
    ----------
    module
        The block before it was mapped.
    library, cells
        Its cells, and their Liberty file.
    netlist
        Its netlist.
    folder
        For the files of OpenSTA.

    Raises
    ------
    SynthesisError
        If OpenSTA is missing, or refuses the netlist.
    """
    ports = {
        way: [name for name, port_way, _ in module.ports if port_way == way] for way in ("input", "output")
    }
    ports["input"] = [name for name in ports["input"] if name not in (CLOCK, RESET)]
    loads = [library.load_ff * factor for factor in LOAD_FACTORS]
    outputs = _outputs(module, ports, loads, cells, netlist, folder)
    slowest = max((arc.slews[0] for arc in outputs.values()), default=0.0)
    times = _inputs(module, ports, slowest, cells, netlist, folder)
    capacitances = input_loads(netlist.read_text(), library)
    clocked = (CLOCK, RESET)
    found = {
        name: PortTimes(capacitance=capacitances.get(name, 0.0), setup_ps=times.get(("", name)))
        for name in (*ports["input"], *(name for name, _, _ in module.ports if name in clocked))
    }
    for name in ports["output"]:
        through = {
            source: Arc(
                loads[:1], [times[source, name]], outputs[name].slews[:1] if name in outputs else [slowest]
            )
            for source in ports["input"]
            if (source, name) in times
        }
        found[name] = PortTimes(capacitance=0.0, from_clock=outputs.get(name), through=through)
    return found


def _outputs(
    module: ModuleText,
    ports: Mapping[str, Sequence[str]],
    loads: Sequence[float],
    cells: Path,
    netlist: Path,
    folder: Path,
) -> dict[str, Arc]:
    """Delay and slew of each output from the clock, at each load."""
    script = []
    options = "-format full -fields {input_pin slew} -digits 3"
    for load in loads:
        script.append(f"set_load {load:.6g} [all_outputs]")
        for name in ports["output"]:
            report = f"report_checks -from [get_clocks {CLOCK}] -to [get_ports {{{name}}}] {options}"
            script += [f'puts "=== {load:g}:{name}"', report]
    parts = _reported(module, script, cells, netlist, folder)
    arcs = {}
    for name in ports["output"]:
        texts = [parts[f"{load:g}:{name}"] for load in loads]
        arrivals = [found[1] for text in texts if (found := _ARRIVAL.search(text))]
        slews = [found[1] for text in texts if (found := _SLEW.search(text))]
        if len(arrivals) == len(slews) == len(loads):
            arcs[name] = Arc(list(loads), [*map(float, arrivals)], [*map(float, slews)])
    return arcs


def _inputs(
    module: ModuleText,
    ports: Mapping[str, Sequence[str]],
    slew: float,
    cells: Path,
    netlist: Path,
    folder: Path,
) -> dict[tuple[str, str], float]:
    """Longest time from each input to a register with its set-up, by ("", input), and to each output, by both names."""
    script = [f"set_input_transition {slew:.6g} [get_ports {{{name}}}]" for name in ports["input"]]
    report = "-format full -fields {input_pin} -digits 3"
    for name in ports["input"]:
        source = f"-from [get_ports {{{name}}}]"
        script += [f'puts "=== :{name}"', f"report_checks {source} -to [get_clocks {CLOCK}] {report}"]
        for target in ports["output"]:
            script += [
                f'puts "=== {name}:{target}"',
                f"report_checks {source} -to [get_ports {{{target}}}] {report}",
            ]
    times = {}
    for name, text in _reported(module, script, cells, netlist, folder).items():
        source, _, target = name.partition(":")
        for path in parse_paths(text):
            times[source, target] = path.arrival + path.setup
    return times


def _reported(
    module: ModuleText, script: Sequence[str], cells: Path, netlist: Path, folder: Path
) -> dict[str, str]:
    """What OpenSTA prints for ``script``. Ports have a clock of their own, so registers are told from them."""
    names = [name for name, _, _ in module.ports if name not in (CLOCK, RESET)]
    ways = {name: way for name, way, _ in module.ports}
    head = [
        f"read_liberty {{{cells}}}",
        f"read_verilog {{{netlist}}}",
        f"link_design {module.name}",
        "set_cmd_units -time ps -capacitance fF",
        f"create_clock -name {CLOCK} -period 1000 [get_ports {CLOCK}]",
        "create_clock -name ports -period 1000",
        *(f"set_{ways[name]}_delay 0 -clock ports [get_ports {{{name}}}]" for name in names),
    ]
    if RESET in ways:
        head.append(f"set_false_path -from [get_ports {RESET}]")
    (folder / "model.tcl").write_text("\n".join([*head, *script, "exit", ""]))
    return sections(run_program("sta", ["-exit", "model.tcl"], what=module.name, folder=folder))


def input_loads(netlist: str, library: Library) -> dict[str, float]:
    """The largest capacitance of a bit of each port or net that cells of a netlist read, fF."""
    loads: dict[str, float] = defaultdict(float)
    for cell in _CELL.finditer(netlist):
        known = library.cells.get(cell[1])
        if known is not None:
            for pin in _PIN.finditer(cell[2]):
                loads[pin[2]] += known.inputs.get(pin[1], 0.0)
    largest: dict[str, float] = {}
    for bit, load in loads.items():
        name = bit.partition("[")[0]
        largest[name] = max(largest.get(name, 0.0), load)
    return largest
