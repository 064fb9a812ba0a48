"""JSON objects of the command that maps designs to cells, besides its result.

These modules are imported by type checkers, and when help or documentation lists the keys.
"""

from __future__ import annotations

from typing import Any, TypedDict


class SynthesizedDesign(TypedDict):
    """What was synthesized: with it the result is a silicon report, which ``hecaton project --silicon`` takes.

    Attributes
    ----------
    design
        ``die`` or ``package``.
    hecaton_version
        Version that made it.
    die, memory, vector
        Sections of its configuration.
    digests
        Of these sections, and as ``measured`` of what a projection reads of the result.
    """

    design: str
    hecaton_version: str
    die: dict[str, Any]
    memory: dict[str, Any]
    vector: dict[str, Any]
    digests: dict[str, str]


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
