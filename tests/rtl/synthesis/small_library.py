"""A small cell library for tests: round times, whatever a cell drives, so that paths can be added up by hand."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rtl.synthesis.library import Library, load_library

needs_programs = pytest.mark.skipif(
    shutil.which("yosys") is None or shutil.which("sta") is None,
    reason="Yosys or OpenSTA is not installed: `make silicon`",
)

CLOCK_TO_OUTPUT_PS, SETUP_PS = 40.0, 10.0

LOGIC = {
    "INV": (1.0, 7.0, "Y", "!A", "A"),
    "BUF": (2.0, 11.0, "Y", "A", "A"),
    "NAND2": (2.0, 9.0, "Y", "!(A * B)", "AB"),
    "NOR2": (2.5, 10.0, "Y", "!(A + B)", "AB"),
    "XOR2": (5.0, 17.0, "Y", "(A * !B) + (!A * B)", "AB"),
    "MUX2": (6.0, 19.0, "Y", "(S * B) + (!S * A)", "ABS"),
    "ONE": (0.5, 0.0, "Y", "1", ""),
    "ZERO": (0.5, 0.0, "Y", "0", ""),
}
"""Area in um2, delay in ps, output, function and inputs of each cell without memory."""

AREAS = {**{name: entry[0] for name, entry in LOGIC.items()}, "DFF": 12.0}

HEAD = """
  delay_model : table_lookup;
  time_unit : "{time}";
  capacitive_load_unit (1,{load});
  voltage_unit : "1V"; current_unit : "1mA"; pulling_resistance_unit : "1kohm";
  nom_process : 1; nom_voltage : {voltage}; nom_temperature : 25;
  input_threshold_pct_rise : 50; input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50; output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 10; slew_lower_threshold_pct_fall : 10;
  slew_upper_threshold_pct_rise : 90; slew_upper_threshold_pct_fall : 90;
"""

TEMPLATE = """
  lu_table_template (grid) {{
    variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("{slews}"); index_2 ("{loads}");
  }}
  lu_table_template (setup_grid) {{
    variable_1 : constrained_pin_transition; variable_2 : related_pin_transition;
    index_1 ("{slews}"); index_2 ("{slews}");
  }}
"""


def _tables(names: tuple[str, ...], value: float, grid: str = "grid") -> str:
    row = f'"{value:g}, {value:g}"'
    return " ".join(f"{name} ({grid}) {{ values ({row}, \\\n {row}); }}" for name in names)


def _arc(kind: str, delay: float, slew: float, pin: str) -> str:
    delays = _tables(("cell_rise", "cell_fall"), delay)
    slews = _tables(("rise_transition", "fall_transition"), slew)
    return f'timing () {{ related_pin : "{pin}"; {kind} {delays} {slews} }}'


def liberty(
    *, cells: Callable[[str], bool] = lambda _: True, unit_ps: float = 1.0, voltage: float = 1.0
) -> str:
    """The library, or some of its cells, with times in units of 1 ps or 1000 ps."""
    units = {1.0: ("1ps", "ff"), 1000.0: ("1ns", "pf")}[unit_ps]
    scale = [f"{value / unit_ps:g}" for value in (1, 1000)]
    grid = TEMPLATE.format(slews=", ".join(scale), loads=", ".join(scale))
    parts = ["library (small) {", HEAD.format(time=units[0], load=units[1], voltage=voltage), grid]
    load, slew = 1 / unit_ps, 5 / unit_ps
    for name, (area, delay, output, function, inputs) in LOGIC.items():
        if not cells(name):
            continue
        pins = [f"pin ({pin}) {{ direction : input; capacitance : {load:g}; }}" for pin in inputs]
        arcs = " ".join(_arc("timing_sense : non_unate;", delay / unit_ps, slew, pin) for pin in inputs)
        pins.append(f'pin ({output}) {{ direction : output; function : "{function}"; {arcs} }}')
        parts.append(f"cell ({name}) {{ area : {area};\n" + "\n".join(pins) + "\n}")
    if cells("DFF"):
        setup = _tables(("rise_constraint", "fall_constraint"), SETUP_PS / unit_ps, "setup_grid")
        arc = _arc("timing_type : rising_edge;", CLOCK_TO_OUTPUT_PS / unit_ps, slew, "CK")
        parts.append(
            f"cell (DFF) {{ area : {AREAS['DFF']};\n"
            'ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; }\n'
            f"pin (CK) {{ direction : input; clock : true; capacitance : {load:g}; }}\n"
            f"pin (D) {{ direction : input; capacitance : {load:g};\n"
            f'  timing () {{ related_pin : "CK"; timing_type : setup_rising; {setup} }} }}\n'
            f'pin (Q) {{ direction : output; function : "IQ"; {arc} }}\n}}'
        )
    return "\n".join([*parts, "}", ""])


def small_library(folder: Path, *, unit_ps: float = 1.0) -> Library:
    """The library out of two files in ``folder``, one of them compressed."""
    logic, registers = folder / "logic.lib", folder / "registers.lib.gz"
    logic.write_text(liberty(cells=lambda name: name != "DFF", unit_ps=unit_ps))
    registers.write_bytes(gzip.compress(liberty(cells=lambda name: name == "DFF", unit_ps=unit_ps).encode()))
    return load_library([logic, registers])
