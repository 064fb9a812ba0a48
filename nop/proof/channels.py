"""Proof that routes are free of deadlock: channel dependency graphs on a mesh.

A packet that holds a channel waits for the next channel of its route. Wormhole routing with deterministic routes is
free of deadlock exactly if these waits form no cycle (Dally and Seitz, IEEE Trans. Computers 36(5), 1987).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import networkx as nx

from nop.topology import Link, Mesh

__all__ = ["channel_dependencies", "dependency_cycle", "engine_dependencies", "request_dependencies"]

Channel = tuple[int, int, str]
"""From node, to node, kind: ``link``, ``in`` and ``out`` between a die and its own router, or ``send`` and ``receive``
between an engine and its router, with the direction of the packet, as in ``send east``."""

_WAYS = {"east": (0, 1), "south": (1, 0), "west": (0, -1), "north": (-1, 0)}


def _channels(source: int, target: int, links: Callable[[int, int], Iterable[Link]]) -> list[Channel]:
    """Channels of a packet in order, from the die that sends it to the die that receives it."""
    return [
        (source, source, "in"),
        *((*link, "link") for link in links(source, target)),
        (target, target, "out"),
    ]


def channel_dependencies(mesh: Mesh, route: Callable[[int, int], Iterable[Link]] | None = None) -> nx.DiGraph:
    """Graph of the channels of ``mesh``, with an edge from each channel to those that a packet on it may wait for.

    The routes are those of :meth:`nop.topology.Mesh.route` between all pairs of nodes, or of ``route``, which gives
    the links from one node to another. A packet enters by its source's ``in`` channel and leaves by its target's
    ``out`` channel, even if both are the same node.
    """
    links = mesh.route if route is None else route
    graph = nx.DiGraph()
    for source in range(mesh.nodes):
        for target in range(mesh.nodes):
            graph.add_edges_from(pairwise(_channels(source, target, links)))
    return graph


def request_dependencies(
    mesh: Mesh,
    pairs: Iterable[tuple[int, int]],
    route: Callable[[int, int], Iterable[Link]] | None = None,
) -> nx.DiGraph:
    """Graph of the channels of requests and their answers, including the waits inside a server.

    ``pairs`` are clients with their servers. A server that cannot send an answer may accept no further request, so the
    last channel of each request waits for the first channel of every answer of its server. A client always accepts
    answers, whatever its requests do: no edge leads from answers back to requests.
    """
    links = mesh.route if route is None else route
    graph = nx.DiGraph()
    for client, server in pairs:
        for source, target in ((client, server), (server, client)):
            graph.add_edges_from(pairwise(_channels(source, target, links)))
        graph.add_edge((server, server, "out"), (server, server, "in"))
    return graph


def engine_dependencies(mesh: Mesh) -> nx.DiGraph:
    """Graph of the channels of the engines' packets, with every wait that such a packet may have.

    An engine sends straight to the output on any side, to any die in that direction. A packet for an engine leaves the
    router on the side on which it came in. A packet may leave copies with the engines on its way, and goes on when they
    have taken them. What an engine receives it may pass on, with its sums, to the next die in the same direction.

    Not included: sums that meet at a die from two sides. Whether these wait for each other depends on the order of
    packets, see :mod:`nop.proof.packets`.
    """
    graph = nx.DiGraph()
    for row in range(mesh.rows):
        for col in range(mesh.cols):
            for way, (down, right) in _WAYS.items():
                line = [row * mesh.cols + col]
                y, x = row + down, col + right
                while 0 <= y < mesh.rows and 0 <= x < mesh.cols:
                    line.append(y * mesh.cols + x)
                    y, x = y + down, x + right
                links = [(*link, "link") for link in pairwise(line)]
                send = (line[0], line[0], f"send {way}")
                if links:
                    graph.add_edges_from(pairwise([send, *links]))
                for link in links:
                    receive = (link[1], link[1], f"receive {way}")
                    graph.add_edge(link, receive)
                    if link[1] != line[-1]:
                        graph.add_edge(receive, (link[1], link[1], f"send {way}"))
    return graph


def dependency_cycle(graph: nx.DiGraph) -> list[Any]:
    """Channels (or packets) of a cycle of ``graph``, in order; an empty list, and no deadlock, if there is none."""
    try:
        return [edge[0] for edge in nx.find_cycle(graph)]
    except nx.NetworkXNoCycle:
        return []
