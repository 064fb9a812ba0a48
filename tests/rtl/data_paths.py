"""Where data can go in an emitted design: from which input ports a bit of an output port can come.

Taken from the netlist of which Yosys writes the Verilog, flattened. A path leads through the data of multiplexers, of
registers and of memories, and through every input of all other cells. It does not lead through selects, enables and
addresses: these decide when a flit goes and who is first, not where it can go.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from rtl.emit.emitter import Emitted, emit
from rtl.emit.yosys import run_yosys
from rtl.engine.engine import Engine
from rtl.network.router import Router

REGISTERS = ("$dff", "$sdff", "$adff", "$aldff")
BITWISE = {"$not", "$pos", "$and", "$or", "$xor", "$xnor", "$mux"}


def data_paths(design: Emitted, module: str, bit: int = 0) -> dict[str, set[str]]:
    """For each ``payload`` output of ``module``, the ``payload`` inputs from which its bit number ``bit`` can come.

    Streams are named without ``__payload``.
    """
    flat = design.rtlil.replace("attribute \\keep_hierarchy 1\n", "")
    written = run_yosys(
        f"read_rtlil <<rtlil\n{flat}\nrtlil\nhierarchy -check -top {module}\n"
        "proc\nflatten\nopt_clean\nwrite_json\n",
        what=module,
    )
    netlist = json.loads(written)["modules"][module]
    before: dict[Any, set[Any]] = defaultdict(set)
    for name, cell in netlist["cells"].items():
        _add(before, name, cell)
    ends: dict[str, dict[str, list[Any]]] = {"input": {}, "output": {}}
    for name, port in netlist["ports"].items():
        if name.endswith("__payload"):
            ends[port["direction"]][name.removesuffix("__payload")] = port["bits"]
    origins = {wire: name for name, bits in ends["input"].items() for wire in bits}
    return {
        name: {origins[wire] for wire in _reached(before, bits[bit]) if wire in origins}
        for name, bits in ends["output"].items()
    }


def _reached(before: dict[Any, set[Any]], start: Any) -> set[Any]:
    seen, waiting = {start}, [start]
    while waiting:
        new = before[waiting.pop()] - seen
        seen |= new
        waiting += new
    return seen


def _add(before: dict[Any, set[Any]], name: str, cell: dict[str, Any]) -> None:
    """Add from where the outputs of a cell have their data."""
    kind, ports, parameters = cell["type"], cell["connections"], cell["parameters"]
    pairs: Iterable[tuple[Any, Any]]
    if kind.startswith(REGISTERS):
        pairs = zip(ports["Q"], ports["D"], strict=True)
    elif kind.startswith("$memwr"):
        pairs = zip(((parameters["MEMID"], n) for n in range(len(ports["DATA"]))), ports["DATA"], strict=True)
    elif kind.startswith("$memrd"):
        pairs = zip(ports["DATA"], ((parameters["MEMID"], n) for n in range(len(ports["DATA"]))), strict=True)
    elif kind == "$pmux":
        width = len(ports["Y"])
        pairs = ((ports["Y"][n % width], wire) for n, wire in enumerate([*ports["A"], *ports["B"]]))
    elif kind in BITWISE:
        operands = [ports[port] for port in ("A", "B") if port in ports]
        # A shorter operand is extended by its last bit if it is signed.
        pairs = (
            (wire, bits[min(n, len(bits) - 1)]) for n, wire in enumerate(ports["Y"]) for bits in operands
        )
    else:
        directions = cell["port_directions"]
        inside = [(name, wire) for port, way in directions.items() if way == "input" for wire in ports[port]]
        pairs = inside + [
            (wire, name) for port, way in directions.items() if way == "output" for wire in ports[port]
        ]
    for output, source in pairs:
        before[output].add(source)


@cache
def router_turns() -> dict[str, set[str]]:
    """For each input of a router, the outputs that its flits can leave by, as the netlist has them."""
    design = emit(Router(nop=NopSpec(flit_bits=32, buffer_flits=2)), None)
    return _turned(data_paths(design, design.top))


@cache
def engine_passes() -> frozenset[tuple[str, str]]:
    """Sides by which an engine receives what it passes on, each with the side by which that leaves. What goes through
    the scratchpad, behind its ports, is not passed on.
    """
    die = DieSpec(rows=1, cols=1, dtype="int8")
    design = emit(Engine(die=die, nop=NopSpec(flit_bits=32), memory=MemorySpec(word_bytes=4)), None)
    return frozenset(
        (source.removesuffix("_in"), output.removesuffix("_out"))
        for output, sources in data_paths(design, design.top).items()
        for source in sources
    )


def _turned(paths: dict[str, set[str]]) -> dict[str, set[str]]:
    turned: dict[str, set[str]] = defaultdict(set)
    for output, sources in paths.items():
        for source in sources:
            turned[source].add(output)
    return dict(turned)
