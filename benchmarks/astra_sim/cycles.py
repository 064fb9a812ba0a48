"""How long ASTRA-sim's analytical backend, without congestion, takes for each node of a trace: in its cycles.

As its sources say (system/astraccl, system/MemBus, workload, and the network backend): a collective over n NPUs has
n - 1 steps, each of whole cycles, and n delays. In a group that is no whole dimension each delay is of
:data:`GROUP_DELAY` cycles, whatever ``endpoint-delay`` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from chiplet.export.astra_sim import CYCLES_PER_NANOSECOND, ENDPOINT_DELAY, GIGABYTE, Cycle
from chiplet.export.chakra import MICRO, comm_size, durations, whole_line
from chiplet.export.layer_graph import Node
from nop.topology import Mesh

__all__ = ["GROUP_DELAY", "collective_cycles", "node_cycles"]

GROUP_DELAY = 10
"""Cycles between the messages of an NPU in a group of its own; the sources call the ring local and the transmission
fast."""

_CYCLES_OF_A_MICROSECOND = 1000


def node_cycles(
    nodes: Sequence[Node], mesh: Mesh, network: Mapping[str, list[Any]], cycle: Cycle
) -> dict[int, float]:
    """Cycles of each node, by number, on ``network`` (:func:`chiplet.export.astra_sim.network`)."""
    ticks = durations(nodes, MICRO * CYCLES_PER_NANOSECOND[cycle])
    return {
        node.number: (ticks[node.number] * _CYCLES_OF_A_MICROSECOND or 1)
        if node.line is None
        else collective_cycles(node, mesh, network)
        for node in nodes
    }


def collective_cycles(node: Node, mesh: Mesh, network: Mapping[str, list[Any]]) -> int:
    """Cycles of a collective in its first group, which has all its dies."""
    if node.line is None:
        raise ValueError(f"{node.name}: no collective")
    line, sides = node.line, network["npus_count"]
    everyone = line.size == mesh.nodes
    size = comm_size(node, line.size)
    if node.op == "reduce-scatter":
        size = max(size, mesh.nodes)
    involved = [True] * len(sides) if everyone else whole_line(line, mesh)
    if involved is None:
        message = size if node.op == "all-gather" else size // line.size
        stride = mesh.cols if line.axis == "column" else 1
        members = [stride * place for place in range(line.size)]
        around = [_between(one, two, message, network) for one, two in _pairs(members)]
        # A chunk crosses all connections but one.
        return line.size * GROUP_DELAY + sum(around) - min(around)
    total = 0
    dimensions = [place for place, there in enumerate(involved) if there]
    for place in reversed(dimensions) if node.op == "all-gather" else dimensions:
        count = sides[place]
        message = size if node.op == "all-gather" else size // count
        total += count * ENDPOINT_DELAY + (count - 1) * _transit(place, 1, message, network)
        size = size * count if node.op == "all-gather" else size // count
    return total


def _pairs(members: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(members, [*members[1:], members[0]], strict=True))


def _between(source: int, target: int, message: int, network: Mapping[str, list[Any]]) -> int:
    """Cycles of a message: it takes the first dimension in which the two NPUs differ, the shorter way around."""
    sides = network["npus_count"]
    for place, count in enumerate(sides):
        inner = prod(sides[:place])
        apart = (target // inner - source // inner) % count
        if apart:
            return _transit(place, min(apart, count - apart), message, network)
    raise ValueError(f"NPU {source} sends to itself")


def _transit(place: int, hops: int, message: int, network: Mapping[str, list[Any]]) -> int:
    rate = network["bandwidth"][place] * GIGABYTE / 1e9
    return int(hops * network["latency"][place] + message / rate)
