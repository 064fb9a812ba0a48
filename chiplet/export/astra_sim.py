"""Inputs of ASTRA-sim besides the traces: network of the analytical backend, and system layer.

ASTRA-sim has rings, fully connected dimensions and switches, but no mesh. A folded ring or a two-way chain on a
line of dies is a ring with the latency of its steps; each axis of the mesh is a dimension.
"""

from __future__ import annotations

import json
from typing import Any

from chiplet.machine.link_rate import link_rate
from chiplet.machine.specs import SystemSpec
from chiplet.methods.base import Method
from chiplet.methods.flat_ring import FlatRing
from chiplet.methods.hecaton import Hecaton
from chiplet.methods.torus_ring import TorusRing
from nop.collective_cost import line_cost

GIGABYTE = 2**30
"""Bytes of a GB/s of the analytical network backend."""

ENDPOINT_DELAY = 1
"""Nanoseconds between a message and the next one of an NPU. With 0 the event queue of the analytical backend ends in an
assertion.
"""


def network(method: Method, system: SystemSpec) -> dict[str, list[Any]]:
    """Dimensions of the network, innermost first: ``topology``, ``npus_count``, ``bandwidth`` (GB/s of 2 ** 30
    bytes, of a link in one direction) and ``latency`` (ns of a step).

    A ring in both directions sends half of every chunk each way, so it is a ring with twice the bandwidth and half the
    steps: half the latency. Raises ``ValueError`` for a single die, for which ASTRA-sim has no network.
    """
    mesh, link = method.mesh, link_rate(system)
    hop = link.hop_seconds * 1e9
    rate = link.bytes_per_second / GIGABYTE
    if mesh.nodes == 1:
        raise ValueError("ASTRA-sim has no network of a single die: export chakra instead")
    if isinstance(method, FlatRing):
        both = method.switches.direction == "both"
        # Without a cycle of single hops the ring is folded, and the second direction has no links of its own.
        wider = 2 if both and mesh.has_cycle else 1
        steps = method.ring_cost.steps / (mesh.nodes - 1)
        return _dimensions([(mesh.nodes, rate * wider, method.ring_cost.hops * steps * hop)])
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


def system_json(method: Method, system: SystemSpec, dimensions: int) -> dict[str, Any]:
    """The system layer: rings in every dimension, and compute times from the trace.

    ``peak-perf`` (TFLOPS) and ``local-mem-bw`` (GB/s of 1e9 bytes, between buffers and array) only count if
    ``roofline-enabled`` is switched on.
    """
    die = system.die
    buffers = (die.rows * die.element_bytes + die.cols * (die.element_bytes + 8)) * die.clock_hz
    both = isinstance(method, TorusRing) and method.switches.dimensions == "both"
    rings = ["ring"] * dimensions
    return {
        "scheduling-policy": "FIFO",
        "endpoint-delay": ENDPOINT_DELAY,
        "active-chunks-per-dimension": 1,
        "preferred-dataset-splits": 2 if both else 1,
        "all-reduce-implementation": rings,
        "all-gather-implementation": rings,
        "reduce-scatter-implementation": rings,
        "all-to-all-implementation": rings,
        "collective-optimization": "localBWAware",
        "local-mem-bw": buffers / 1e9,
        "boost-mode": 0,
        "roofline-enabled": 0,
        "peak-perf": 2 * die.macs_per_cycle * die.clock_hz / 1e12,
    }


def input_files(method: Method, system: SystemSpec) -> dict[str, str]:
    """Names and contents of all files but traces and groups. Errors as :func:`network`."""
    dimensions = network(method, system)
    layer = system_json(method, system, len(dimensions["topology"]))
    return {
        "network.yml": network_yaml(dimensions),
        "system.json": json.dumps(layer, indent=2) + "\n",
        "memory.json": json.dumps({"memory-type": "NO_MEMORY_EXPANSION"}, indent=2) + "\n",
    }
