"""Proof that the packets of a collective on a line never wait in a circle, in the order that the programs send them.

Channels alone are not enough where sums from both sides meet at a die, or where a die forwards what it has stored:
there it matters which packet of a channel waits. So the nodes of these graphs are packets on links. An edge means that
the first packet may be unable to move until the second has moved on. Packets may have any length, and there is no room
for them but where stated. Without a cycle, every blocked packet waits for one that moves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import networkx as nx

from nop.collectives import CollectiveSchedule, Transfer
from nop.forwarding import first_up, hands_over
from nop.topology import Mesh

__all__ = ["reduce_scatter_waits", "stored_waits"]

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
    return nx.relabel_nodes(graph, meeting)


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
        graph.add_node(transfer)
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
