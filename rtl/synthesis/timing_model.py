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
from rtl.synthesis.timing_report import sections

__all__ = ["input_loads", "model_block"]

LOAD_FACTORS = (0.25, 1.0, 4.0)
"""Loads of an output, over that which it is mapped for, at which it is timed."""

NOMINAL = 1
"""Place of the load in :data:`LOAD_FACTORS` that a block is mapped for."""

_CELL = re.compile(r"^  (\w+) (?:\\\S+ |\w+ )\(\n(.*?)\n  \);", re.MULTILINE | re.DOTALL)
_PIN = re.compile(r"\.(\w+)\(((\w+)(?:\[\d+\])?)\)")
_ARRIVAL = re.compile(r"^ *(-?[\d.]+) +data arrival time$", re.MULTILINE)
_SETUP = re.compile(r"^ *(-?[\d.]+) +-?[\d.]+ +library setup time$", re.MULTILINE)
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
    block = _BorderTimes(module, cells, netlist, folder)
    inputs, outputs = (
        [name for name in block.ports if block.ways[name] == way] for way in ("input", "output")
    )
    loads = [library.load_ff * factor for factor in LOAD_FACTORS]
    registered = block.arcs({"": f"[get_clocks {CLOCK}]"}, outputs, loads, slew=0.0)
    # Neighbours of one kind drive each other.
    slew = max((arc.slews[NOMINAL] for arc in registered.values()), default=0.0)
    through = block.arcs({name: f"[get_ports {{{name}}}]" for name in inputs}, outputs, loads, slew=slew)
    setups = block.setups(inputs, slew=slew)
    capacitances = input_loads(netlist.read_text(), library)
    times = {
        name: PortTimes(capacitance=capacitances.get(name, 0.0), setup_ps=setups.get(name))
        for name, way in block.ways.items()
        if way == "input"
    }
    for output in outputs:
        arcs = {source: arc for (source, name), arc in through.items() if name == output}
        times[output] = PortTimes(capacitance=0.0, from_clock=registered.get(("", output)), through=arcs)
    return times


class _BorderTimes:
    """A mapped block in OpenSTA. Its ports have a clock of their own, so its registers are told from them."""

    def __init__(self, module: ModuleText, cells: Path, netlist: Path, folder: Path) -> None:
        self.ways = {name: way for name, way, _ in module.ports}
        self.ports = [name for name in self.ways if name not in (CLOCK, RESET)]
        self._name, self._folder = module.name, folder
        self._head = [
            f"read_liberty {{{cells}}}",
            f"read_verilog {{{netlist}}}",
            f"link_design {module.name}",
            "set_cmd_units -time ps -capacitance fF",
            *([f"create_clock -name {CLOCK} -period 1000 [get_ports {CLOCK}]"] if CLOCK in self.ways else []),
            "create_clock -name ports -period 1000",
            *(f"set_{self.ways[name]}_delay 0 -clock ports [get_ports {{{name}}}]" for name in self.ports),
            *([f"set_false_path -from [get_ports {RESET}]"] if RESET in self.ways else []),
        ]

    def arcs(
        self, sources: Mapping[str, str], outputs: Sequence[str], loads: Sequence[float], *, slew: float
    ) -> dict[tuple[str, str], Arc]:
        """The longest way from each source (an expression by its name) to each output, where there is one."""
        wanted = [(source, output) for source in sources for output in outputs]
        reports = []
        for load in loads:
            reports.append(f"set_load {load:.6g} [all_outputs]")
            for source, output in wanted:
                name = f"{load:g}:{source}:{output}"
                reports += _report(name, f"-from {sources[source]} -to [get_ports {{{output}}}]")
        parts = self._printed(reports, slew)
        arcs = {}
        for source, output in wanted:
            texts = [parts[f"{load:g}:{source}:{output}"] for load in loads]
            delays = [float(found[1]) for text in texts if (found := _ARRIVAL.search(text))]
            slews = [float(found[1]) for text in texts if (found := _SLEW.search(text))]
            if len(delays) == len(slews) == len(loads):
                arcs[source, output] = Arc(list(loads), delays, slews)
        return arcs

    def setups(self, inputs: Sequence[str], *, slew: float) -> dict[str, float]:
        """The longest way from each input to a register, with its set-up."""
        reports = [
            line
            for name in inputs
            for line in _report(name, f"-from [get_ports {{{name}}}] -to [get_clocks {CLOCK}]")
        ]
        parts = self._printed(reports, slew) if CLOCK in self.ways else {}
        times = {}
        for name, text in parts.items():
            arrival, setup = _ARRIVAL.search(text), _SETUP.search(text)
            if arrival and setup:
                times[name] = float(arrival[1]) - float(setup[1])
        return times

    def _printed(self, reports: Sequence[str], slew: float) -> dict[str, str]:
        inputs = [name for name in self.ports if self.ways[name] == "input"]
        slews = [f"set_input_transition {slew:.6g} [get_ports {{{name}}}]" for name in inputs]
        (self._folder / "model.tcl").write_text("\n".join([*self._head, *slews, *reports, "exit", ""]))
        return sections(run_program("sta", ["-exit", "model.tcl"], what=self._name, folder=self._folder))


def _report(name: str, ends: str) -> list[str]:
    return [f'puts "=== {name}"', f"report_checks {ends} -format full -fields {{input_pin slew}} -digits 3"]


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
