"""Combinational loops of a design, across its modules.

As Yosys's ``check`` on a flattened netlist: an output of a cell depends on all its inputs, or bit by bit if the cell
works so. Registers, clocked reads of memories, and black boxes, whose outputs are registers, break a loop.
"""

from __future__ import annotations

import json
from typing import Any

import networkx as nx

from rtl.emit.emitter import Emitted
from rtl.emit.yosys import run_yosys

BITWISE = {"$not", "$pos", "$and", "$or", "$xor", "$xnor", "$mux"}
STATES = ("$dff", "$sdff", "$adff", "$memwr")


def combinational_loops(design: Emitted) -> list[list[str]]:
    """The names of the wires on each loop."""
    flat = design.rtlil.replace("attribute \\keep_hierarchy 1\n", "")
    written = run_yosys(
        f"read_rtlil <<rtlil\n{flat}\nrtlil\nhierarchy -check -top {design.top}\n"
        "proc\nflatten\nopt_clean\nwrite_json\n",
        what=design.top,
    )
    module = json.loads(written)["modules"][design.top]
    graph = nx.DiGraph()
    for name, cell in module["cells"].items():
        _add(graph, name, cell)
    names: dict[int, str] = {}
    for name, net in module["netnames"].items():
        for bit in net["bits"]:
            names.setdefault(bit, name)
    parts = nx.strongly_connected_components(graph)
    loops = [part for part in parts if len(part) > 1 or any(graph.has_edge(bit, bit) for bit in part)]
    return [sorted({names[bit] for bit in loop if bit in names}) for loop in loops]


def _add(graph: Any, name: str, cell: dict[str, Any]) -> None:
    """Add what the outputs of a cell depend on: bits are numbers, a cell is its name."""
    kind, ports = cell["type"], cell["connections"]
    if kind.startswith(STATES) or not kind.startswith("$"):
        return
    if kind.startswith("$memrd") and int(cell["parameters"]["CLK_ENABLE"], 2):
        return
    outputs = [bit for port, way in cell["port_directions"].items() if way == "output" for bit in ports[port]]
    if kind in BITWISE:
        operands = [ports[port] for port in ("A", "B") if port in ports]
        for number, output in enumerate(outputs):
            reads = [bits[number] for bits in operands if number < len(bits)]
            # A shorter operand is extended by its last bit if it is signed.
            reads += [bits[-1] for bits in operands if number >= len(bits)]
            graph.add_edges_from(
                (bit, output) for bit in [*reads, *ports.get("S", [])] if isinstance(bit, int)
            )
        return
    inputs = [bit for port, way in cell["port_directions"].items() if way == "input" for bit in ports[port]]
    graph.add_edges_from((bit, name) for bit in inputs if isinstance(bit, int))
    graph.add_edges_from((name, bit) for bit in outputs)
