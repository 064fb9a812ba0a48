"""JSON objects of the command that maps designs to cells, besides its result.

These modules are imported by type checkers, and when help or documentation lists the keys.
"""

from __future__ import annotations

from typing import TypedDict


class SynthesisFiles(TypedDict):
    """Files of a synthesis.

    Attributes
    ----------
    verilog, constraints, netlist
        The design before it was mapped, its constraints (SDC), and its cells.
    macro_liberty
        Liberty library of the SRAM macros, with the times that were assumed.
    report
        This object.
    picture
        The area, block by block.
    """

    verilog: str
    constraints: str
    netlist: str
    macro_liberty: str
    report: str
    picture: str
