"""Proof that routes are free of deadlock: channel dependency graphs on a mesh.

A packet that holds a channel waits for the next channel of its route. Wormhole routing with deterministic routes is
free of deadlock exactly if these waits form no cycle (Dally and Seitz, IEEE Trans. Computers 36(5), 1987).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import pairwise
from typing import Any, TypeVar

import networkx as nx

from nop.topology import Link, Mesh

__all__ = ["channel_dependencies", "dependency_cycle", "hardware_dependencies", "request_dependencies"]

Channel = tuple[int, int, str]
"""From node, to node, kind: ``link``, or ``in`` and ``out`` between a die and its own router."""

Router = TypeVar("Router", bound=Hashable)

_SIDES = ("north", "east", "south", "west")


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


def hardware_dependencies(
    links: Mapping[tuple[Router, str], tuple[Router, str]],
    routers: Iterable[Router],
    turns: Mapping[str, Iterable[str]],
    passes: Iterable[tuple[str, str]],
) -> nx.DiGraph:
    """Graph of the channels between routers, dies and engines, from what the hardware can do.

    A channel is named after the output that drives it: ``(router, "east_out")`` is a link, ``(router, "local_out")``
    and ``(router, "engine_east_out")`` are the ways to the die and to its engine, ``(router, "local_in")`` and
    ``(router, "engine_east_in")`` those from them. Every flit of an input may wait for every output that it can leave
    by. Sums that meet at a die from two sides are not included: whether these wait for each other depends on the order
    of packets, see :mod:`nop.proof.packets`.

    Parameters
    ----------
    links
        For each router and side, as ``"east"``, with a link: the router and its side at the other end.
    routers
        All routers.
    turns
        For each input of a router, such as ``"west_in"``, the outputs that its flits can leave by.
    passes
        Sides by which an engine receives what it passes on, each with the side by which that leaves.
    """
    graph = nx.DiGraph()
    senders = {end: start for start, end in links.items()}
    for router in routers:
        for entry, exits in turns.items():
            channel = (router, entry)
            side = entry.removesuffix("_in")
            if side in _SIDES:
                if (router, side) not in senders:
                    continue  # nothing comes in at the edge
                sender, towards = senders[router, side]
                channel = (sender, f"{towards}_out")
            for way in exits:
                side = way.removesuffix("_out")
                if side not in _SIDES or (router, side) in links:
                    graph.add_edge(channel, (router, way))
        for entered, left in passes:
            graph.add_edge((router, f"engine_{entered}_out"), (router, f"engine_{left}_in"))
    return graph


def dependency_cycle(graph: nx.DiGraph) -> list[Any]:
    """Channels (or packets) of a cycle of ``graph``, in order; an empty list, and no deadlock, if there is none."""
    try:
        return [edge[0] for edge in nx.find_cycle(graph)]
    except nx.NetworkXNoCycle:
        return []
