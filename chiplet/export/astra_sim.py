"""Inputs of ASTRA-sim besides the traces: network of the analytical backend, and system layer.

ASTRA-sim has rings, fully connected dimensions and switches, but no mesh. A folded ring or a two-way chain on a
line of dies is a ring with the latency of its steps; each axis of the mesh is a dimension.

A cycle of its analytical backend is a nanosecond, to which it rounds all times. As it knows nothing of the clock, it
can as well be a picosecond: then times are a thousandfold, rates a thousandth.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from chiplet.export.chakra import MICRO, groups, trace_files
from chiplet.export.layer_graph import Node
from chiplet.machine.link_rate import link_rate
from chiplet.machine.specs import SystemSpec
from chiplet.methods.base import Method
from chiplet.methods.flat_ring import FlatRing
from chiplet.methods.hecaton import Hecaton
from chiplet.methods.torus_ring import TorusRing
from nop.collective_cost import line_cost

Cycle = Literal["ns", "ps"]

CYCLES_PER_NANOSECOND: dict[Cycle, int] = {"ns": 1, "ps": 1000}

GIGABYTE = 2**30
"""Bytes of a GB/s of the analytical network backend."""

ENDPOINT_DELAY = 1
"""Cycles between a message and the next one of an NPU. With 0 the event queue of the analytical backend ends in an
assertion.
"""

MEMORY_BANDWIDTH = 1e12
"""GB/s (of 1e9 bytes) at which the system layer writes once and reads twice what a step of a reduce-scatter brings. Our
dies add sums as they arrive, so it is so large that this takes no cycle.
"""


def parse_cycle(text: str) -> Cycle:
    """The length of a cycle by name. Raises ``ValueError``, in one line, for another one."""
    for cycle in CYCLES_PER_NANOSECOND:
        if text == cycle:
            return cycle
    raise ValueError(f"cycle {text!r}: must be one of {', '.join(CYCLES_PER_NANOSECOND)}")


def network(method: Method, system: SystemSpec, cycle: Cycle = "ns") -> dict[str, list[Any]]:
    """Dimensions of the network, innermost first: ``topology``, ``npus_count``, ``bandwidth`` (GB/s of 2 ** 30
    bytes, of a link in one direction) and ``latency`` (of a step), if a nanosecond is one cycle.

    A ring in both directions sends half of every chunk each way, so it is a ring with twice the bandwidth and half the
    steps: half the latency. Rings along both dimensions of the mesh at once are rings along one after the other, each
    with the bandwidth and latency that give it our time. All of it is our time if dies sent on whole chunks, since
    ASTRA-sim pays the latency in every step.

    Raises ``ValueError`` for a single die, for which ASTRA-sim has no network.
    """
    mesh, link = method.mesh, link_rate(system)
    scale = CYCLES_PER_NANOSECOND[cycle]
    hop = link.hop_seconds * 1e9 * scale
    rate = link.bytes_per_second / GIGABYTE / scale
    if mesh.nodes == 1:
        raise ValueError("ASTRA-sim has no network of a single die: export chakra instead")
    if isinstance(method, FlatRing):
        both = method.switches.direction == "both"
        # Without a cycle of single hops the ring is folded, and the second direction has no links of its own.
        wider = 2 if both and mesh.has_cycle else 1
        steps = method.ring_cost.steps / (mesh.nodes - 1)
        return _dimensions([(mesh.nodes, rate * wider, method.ring_cost.hops * steps * hop)])
    if (
        isinstance(method, TorusRing)
        and method.switches.dimensions == "both"
        and min(mesh.rows, mesh.cols) > 1
    ):
        along, down = mesh.cols - 1, mesh.rows - 1
        latency = max(along, down) * method.ring_cost.hops * hop
        # Half of the data takes the dimensions in the other order, and the later half sets the pace.
        faster = (2 / max(1, mesh.cols * down / (mesh.rows * along)), 2 / max(1, along / down))
        return _dimensions(
            [(mesh.cols, rate * faster[0], latency / along), (mesh.rows, rate * faster[1], latency / down)]
        )
    algorithm = method.switches.collective if isinstance(method, Hecaton) else "ring"
    sides = [side for side in (mesh.cols, mesh.rows) if side > 1]
    return _dimensions([(side, rate, line_cost(side, algorithm).hops * hop) for side in sides])


def _dimensions(sides: list[tuple[int, float, float]]) -> dict[str, list[Any]]:
    return {
        "topology": ["Ring"] * len(sides),
        "npus_count": [side for side, _, _ in sides],
        "bandwidth": [rate for _, rate, _ in sides],
        "latency": [latency for _, _, latency in sides],
    }


def network_yaml(dimensions: dict[str, list[Any]]) -> str:
    """The network as ASTRA-sim's analytical backend reads it."""
    return "".join(f"{key}: [ {', '.join(map(str, values))} ]\n" for key, values in dimensions.items())


def system_json(system: SystemSpec, dimensions: int, cycle: Cycle = "ns") -> dict[str, Any]:
    """The system layer: rings in every dimension, and compute times from the trace.

    ``peak-perf`` (TFLOPS) only counts if ``roofline-enabled`` is switched on.
    """
    die, scale = system.die, CYCLES_PER_NANOSECOND[cycle]
    rings = ["ring"] * dimensions
    return {
        "scheduling-policy": "FIFO",
        "endpoint-delay": ENDPOINT_DELAY,
        "active-chunks-per-dimension": 1,
        "preferred-dataset-splits": 1,
        "all-reduce-implementation": rings,
        "all-gather-implementation": rings,
        "reduce-scatter-implementation": rings,
        "all-to-all-implementation": rings,
        "collective-optimization": "localBWAware",
        "local-mem-bw": MEMORY_BANDWIDTH,
        "roofline-enabled": 0,
        "peak-perf": 2 * die.macs_per_cycle * die.clock_hz / 1e12 / scale,
    }


def input_files(
    method: Method, system: SystemSpec, nodes: Sequence[Node], cycle: Cycle = "ns"
) -> Iterator[tuple[str, str | bytes]]:
    """Names and contents of all files, traces last. Errors as :func:`network`, and ``ValueError`` without protobuf."""
    dimensions = network(method, system, cycle)
    layer = system_json(system, len(dimensions["topology"]), cycle)
    # Groups that are not a whole dimension have 10 cycles between messages instead of the endpoint delay.
    listed = groups(nodes, method.mesh, by_dimension=True)
    yield "network.yml", network_yaml(dimensions)
    yield "system.json", json.dumps(layer, indent=2) + "\n"
    yield "memory.json", json.dumps({"memory-type": "NO_MEMORY_EXPANSION"}, indent=2) + "\n"
    yield "comm_group.json", json.dumps(listed, indent=2) + "\n"
    ticks = MICRO * CYCLES_PER_NANOSECOND[cycle]
    yield from trace_files(nodes, method.mesh, "layer", by_dimension=True, ticks_per_second=ticks)
