"""Proof that the packets of a collective on a line never wait in a circle, in the order that the programs send them.

Channels alone are not enough where sums from both sides meet at a die, or where a die forwards what it has stored:
there it matters which packet of a channel waits. So the nodes of these graphs are packets on links. An edge means that
the first packet may be unable to move until the second has moved on. Packets may have any length, and there is no room
for them but where stated. Without a cycle, every blocked packet waits for one that moves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

import networkx as nx

from nop.collectives import CollectiveSchedule, Transfer
from nop.forwarding import first_up, hands_over
from nop.topology import Link, Mesh

__all__ = ["gather_waits", "in_flight", "reduce_scatter_waits", "stored_waits"]

Packet = tuple[bool, int, int]
"""Whether it goes towards higher places, its chunk, and the place of the die that it arrives at."""


def reduce_scatter_waits(
    nodes: int,
    flits: int,
    *,
    handed_flits: int,
    hands: Callable[[int, int, int, int], bool] = hands_over,
) -> nx.DiGraph:
    """Waits of a reduce-scatter whose sums pass through the dies (*passed* in :mod:`nop.forwarding`).

    Parameters
    ----------
    nodes, flits
        Dies of the line, flits of a chunk.
    handed_flits
        Flits that a die buffers between its receive units.
    hands
        Whether the unit that finishes its sum first hands it over, as :func:`nop.forwarding.hands_over`.
    """
    graph = nx.DiGraph()
    meeting: dict[Packet, Packet] = {}  # packets that move only together
    for up in (True, False):
        ways = _ways(nodes, up)
        for place, chunks in ways.items():
            step = 1 if up else -1
            for number, chunk in enumerate(chunks):
                packet = (up, chunk, place)
                graph.add_node(packet)
                if number:  # one packet after the other
                    graph.add_edge(packet, (up, chunks[number - 1], place))
                if chunk != place:  # through the adder to the next die
                    graph.add_edge(packet, (up, chunk, place + step))
    for place in range(1, nodes - 1):
        up = first_up(place, nodes)
        first, second = (up, place, place), (not up, place, place)
        # The second adds to what has arrived from the first side. What has not arrived yet is queued on some link.
        graph.add_edges_from((second, packet) for packet in _ahead(nodes, first))
        graph.add_edge(second, first)
        if hands(place, nodes, flits, handed_flits) and flits > handed_flits:
            graph.add_edges_from((first, packet) for packet in _ahead(nodes, second))
            meeting[first] = second
    graph.remove_edges_from([(second, first) for first, second in meeting.items()])
    graph = nx.relabel_nodes(graph, meeting)
    _set_ways(graph, {second: first for first, second in meeting.items()})
    return graph


def gather_waits(nodes: int) -> nx.DiGraph:
    """Waits of an all-gather whose chunks pass through the dies of a chain, each kept by every die on its way."""
    graph = nx.DiGraph()
    for up in (True, False):
        step = 1 if up else -1
        for place in range(1, nodes) if up else range(nodes - 1):
            behind = place - step  # the die's own chunk goes first, then those from behind it
            chunks = range(behind, -1, -1) if up else range(behind, nodes)
            for number, chunk in enumerate(chunks):
                packet = (up, chunk, place)
                graph.add_node(packet)
                if number:
                    graph.add_edge(packet, (up, chunks[number - 1], place))
                if 0 <= place + step < nodes:
                    graph.add_edge(packet, (up, chunk, place + step))
    _set_ways(graph, {})
    return graph


def _set_ways(graph: nx.DiGraph, together: dict[Packet, Packet]) -> None:
    """Note the link of each packet, and those of packets that move ``together`` with it."""
    for packet in graph:
        moving = [packet, together[packet]] if packet in together else [packet]
        graph.nodes[packet]["ways"] = [
            ((place - 1, place),) if up else ((place + 1, place),) for up, _, place in moving
        ]


def in_flight(
    collectives: Sequence[nx.DiGraph], order: Callable[[int], Sequence[int]] | None = None
) -> nx.DiGraph:
    """Waits of several collectives on one line, all of them on their way at the same time.

    Units take their commands in program order: a packet waits for those of all collectives before its own at the send
    unit of the die that it leaves, and at the receive unit of the die that it comes to. Where a link carries packets of
    two dies, these may have any order, and each may wait for the other. Packets are numbered: the place in
    ``collectives``, and the packet.

    Parameters
    ----------
    collectives
        Graphs of the functions of this module.
    order
        The order in which the program of a die has the collectives, by the die's place; that of ``collectives`` by
        default.
    """
    graph = nx.DiGraph()
    units: dict[tuple[str, Link], list[tuple[int, Hashable]]] = defaultdict(list)
    users: dict[Link, list[tuple[int, Hashable, int]]] = defaultdict(list)
    for number, collective in enumerate(collectives):
        graph.add_edges_from(((number, a), (number, b)) for a, b in collective.edges)
        for packet, ways in collective.nodes(data="ways"):
            for way in ways:
                units["send", way[0]].append((number, packet))
                units["receive", way[-1]].append((number, packet))
                for link in way:
                    users[link].append((number, packet, way[0][0]))
    for (unit, link), packets in units.items():
        die = link[0] if unit == "send" else link[1]
        turn = list(range(len(collectives)) if order is None else order(die))
        graph.add_edges_from(
            (later, earlier)
            for later in packets
            for earlier in packets
            if turn.index(earlier[0]) < turn.index(later[0])
        )
    for packets_of_link in users.values():
        graph.add_edges_from(
            ((number, packet), (other, before))
            for number, packet, sender in packets_of_link
            for other, before, another in packets_of_link
            if number != other and sender != another
        )
    return graph


def _ahead(nodes: int, packet: Packet) -> list[Packet]:
    """The packets right ahead of this one, on each link of its way."""
    up, chunk, _ = packet
    before = chunk + 1 if up else chunk - 1
    places = range(1, chunk + 1) if up else range(chunk, nodes - 1)
    return [(up, before, place) for place in places] if 0 <= before < nodes else []


def _ways(nodes: int, up: bool) -> dict[int, list[int]]:
    """Chunks that arrive at each die from one side, in order: that of the farthest die first."""
    if up:
        return {place: list(range(nodes - 1, place - 1, -1)) for place in range(1, nodes)}
    return {place: list(range(place + 1)) for place in range(nodes - 1)}


def stored_waits(schedule: CollectiveSchedule) -> nx.DiGraph:
    """Waits of a collective on a line in which each chunk is stored before it goes on, word by word.

    A packet keeps its links while it waits for its next words. Packets of different dies on the same link may have any
    order.
    """
    mesh = Mesh(1, schedule.nodes)
    graph = nx.DiGraph()
    came: dict[tuple[int, int], list[Transfer]] = defaultdict(list)
    sent: dict[int, Transfer] = {}
    users: dict[tuple[int, int], list[Transfer]] = defaultdict(list)
    for transfer in sorted(schedule.transfers, key=lambda transfer: transfer.step):
        graph.add_node(transfer, ways=[tuple(mesh.route(transfer.sender, transfer.receiver))])
        if transfer.sender in sent:
            graph.add_edge(transfer, sent[transfer.sender])
        sent[transfer.sender] = transfer
        for earlier in came[transfer.sender, transfer.chunk]:
            if earlier.step < transfer.step:
                graph.add_edge(transfer, earlier)
        came[transfer.receiver, transfer.chunk].append(transfer)
        for link in mesh.route(transfer.sender, transfer.receiver):
            for other in users[link]:
                if other.sender != transfer.sender:
                    graph.add_edges_from([(transfer, other), (other, transfer)])
            users[link].append(transfer)
    return graph
