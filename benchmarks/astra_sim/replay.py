"""The graph of a layer as a schedule: a node starts once those that it waits for have ended and its resource is free.

That is how ASTRA-sim runs a trace. The resources are ours or, with :func:`shared`, those of one of its NPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush

from chiplet.export.layer_graph import Node

__all__ = ["apart", "replay", "shared", "vector_in_turn"]


def apart(node: Node) -> str:
    """Our resources: the array, the vector unit, and the links along each axis."""
    if node.line is not None:
        return node.line.axis
    return "array" if node.gemm is not None else "vector"


def vector_in_turn(node: Node) -> str:
    """One resource for array and vector unit."""
    return node.line.axis if node.line is not None else "compute"


def shared(node: Node) -> str:
    """The resources of an NPU of ASTRA-sim: one computation and one collective in flight."""
    return "collective" if node.line is not None else "compute"


def replay(
    nodes: Sequence[Node], times: Mapping[int, float] | Sequence[float], resource: Callable[[Node], str]
) -> float:
    """End of the last node. ``times`` are how long each takes, by number; of those that could start on a resource the
    one with the lowest number does.
    """
    missing = [len(set(node.after)) for node in nodes]
    children: list[list[int]] = [[] for _ in nodes]
    for node in nodes:
        for parent in set(node.after):
            children[parent].append(node.number)
    resources = [resource(node) for node in nodes]
    ready: dict[str, list[int]] = {name: [] for name in resources}
    busy: set[str] = set()
    running: list[tuple[float, int]] = []
    now = 0.0

    def start() -> None:
        for name, waiting in ready.items():
            if waiting and name not in busy:
                number = heappop(waiting)
                busy.add(name)
                heappush(running, (now + times[number], number))

    for number, count in enumerate(missing):
        if not count:
            heappush(ready[resources[number]], number)
    start()
    while running:
        now, number = heappop(running)
        busy.remove(resources[number])
        for child in children[number]:
            missing[child] -= 1
            if not missing[child]:
                heappush(ready[resources[child]], child)
        start()
    return now
