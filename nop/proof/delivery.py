"""Proof that a collective schedule delivers what it promises, and how it loads the links.

The check moves labels: whose data a copy of a chunk contains. It needs no numbers, so it holds for all of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import groupby

from nop.collectives import CollectiveSchedule
from nop.topology import Mesh


@dataclass(frozen=True)
class LinkLoad:
    """What a correct schedule does to the network, in units of one chunk.

    ``received``: chunks that each node receives. ``link_chunks``: chunks over the busiest link, summed over
    the steps (the time in chunk times). ``max_hops``: the longest transfer. ``chunk_hops``: hops of all
    transfers together.
    """

    received: tuple[int, ...]
    link_chunks: int
    max_hops: int
    chunk_hops: int


def check(schedule: CollectiveSchedule) -> None:
    """Raise ``ValueError``, naming step and transfer, unless the schedule does exactly what its ``op``
    promises.
    """
    for part in schedule.parts():
        if part.op in ("all-gather", "broadcast"):
            _check_copies(part)
        else:
            _check_sums(part)


def check_links(schedule: CollectiveSchedule, mesh: Mesh, *, capacity: int = 1) -> None:
    """Raise ``ValueError``, naming step and link, if a link carries more than ``capacity`` chunks in a step.

    Routes are those of ``mesh``, whose nodes are the schedule's.
    """
    for step, group in groupby(schedule.transfers, key=lambda transfer: transfer.step):
        load: Counter[tuple[int, int]] = Counter()
        for transfer in group:
            load.update(mesh.route(transfer.sender, transfer.receiver))
        for (source, target), chunks in load.items():
            if chunks > capacity:
                raise ValueError(
                    f"{schedule.op}: step {step}: link {source}:{target} carries {chunks} chunks: must be at most "
                    f"{capacity}"
                )


def check_buffers(schedule: CollectiveSchedule, chunks: int) -> None:
    """Raise ``ValueError``, naming step and node, if a node holds more than ``chunks`` chunks after a step.

    A node keeps copies to the end. It keeps a partial sum until it has sent it; what it adds to the sum takes no extra
    space, as it is added on arrival.
    """
    for part in schedule.parts():
        chunks_of_part = {transfer.chunk for transfer in part.transfers}
        held: dict[int, set[int]] = {
            node: _owned(part, node) if part.op == "all-gather" else set() for node in range(part.nodes)
        }
        if part.op in ("reduce-scatter", "reduce"):
            held = {node: set(chunks_of_part) for node in range(part.nodes)}
        elif part.root is not None:
            held[part.root] = set(chunks_of_part)
        steps = [
            (-1, []),
            *((step, list(group)) for step, group in groupby(part.transfers, key=lambda t: t.step)),
        ]
        for step, group in steps:
            for transfer in group:
                if part.op in ("reduce-scatter", "reduce"):
                    held[transfer.sender].discard(transfer.chunk)
            for transfer in group:
                held[transfer.receiver].add(transfer.chunk)
            for node, kept in held.items():
                if len(kept) > chunks:
                    when = "at the start" if step < 0 else f"after step {step}"
                    raise ValueError(
                        f"{part.op}: node {node} holds {len(kept)} chunks {when}: must be at most {chunks}"
                    )


def measure(schedule: CollectiveSchedule, mesh: Mesh) -> LinkLoad:
    """The load of ``schedule`` on ``mesh``, which has the same nodes, over dimension-ordered routes."""
    received: Counter[int] = Counter()
    busiest = max_hops = chunk_hops = 0
    for _, group in groupby(schedule.transfers, key=lambda transfer: transfer.step):
        load: Counter[tuple[int, int]] = Counter()
        for transfer in group:
            received[transfer.receiver] += 1
            route = mesh.route(transfer.sender, transfer.receiver)
            load.update(route)
            max_hops = max(max_hops, len(route))
            chunk_hops += len(route)
        busiest += max(load.values())
    return LinkLoad(tuple(received[node] for node in range(schedule.nodes)), busiest, max_hops, chunk_hops)


def _chunks(schedule: CollectiveSchedule) -> set[int]:
    """The chunks of the schedule: one for each node, or those that a broadcast or reduce sends."""
    if schedule.op in ("all-gather", "reduce-scatter") or not schedule.transfers:
        return set(range(schedule.nodes))
    return {transfer.chunk for transfer in schedule.transfers}


def _owned(schedule: CollectiveSchedule, node: int) -> set[int]:
    """The chunks that a node has at first."""
    return {chunk for chunk in range(schedule.nodes) if schedule.home(chunk) == node}


def _check_copies(schedule: CollectiveSchedule) -> None:
    held = {node: _owned(schedule, node) for node in range(schedule.nodes)}
    if schedule.root is not None:
        held = {node: set() for node in range(schedule.nodes)}
        held[schedule.root] = _chunks(schedule)
    for _, group in groupby(schedule.transfers, key=lambda transfer: transfer.step):
        arrived: list[tuple[int, int]] = []
        for transfer in group:
            if transfer.chunk not in held[transfer.sender]:
                raise ValueError(f"{schedule.op}: {transfer}: the sender does not hold the chunk yet")
            arrived.append((transfer.receiver, transfer.chunk))
        for node, chunk in arrived:
            if chunk in held[node]:
                raise ValueError(f"{schedule.op}: node {node} receives chunk {chunk} twice")
            held[node].add(chunk)
    if schedule.op == "broadcast" and not schedule.transfers and schedule.nodes > 1:
        raise ValueError("broadcast: nothing is sent")
    for node, chunks in held.items():
        missing = _chunks(schedule) - chunks
        if missing and (schedule.op == "all-gather" or schedule.nodes > 1):
            raise ValueError(f"{schedule.op}: node {node} ends without chunk {min(missing)}")


def _check_sums(schedule: CollectiveSchedule) -> None:
    nodes = schedule.nodes
    partial: dict[tuple[int, int], set[int]] = defaultdict(set)
    for node in range(nodes):
        for chunk in {*range(nodes), *_chunks(schedule)}:
            partial[node, chunk] = {node}
    for _, group in groupby(schedule.transfers, key=lambda transfer: transfer.step):
        arrived: list[tuple[int, int, set[int]]] = []
        for transfer in group:
            sent = partial.pop((transfer.sender, transfer.chunk), set())
            if not sent:
                raise ValueError(f"{schedule.op}: {transfer}: the sender has given its sum away before")
            arrived.append((transfer.receiver, transfer.chunk, sent))
        for node, chunk, sent in arrived:
            if partial[node, chunk] & sent:
                raise ValueError(f"{schedule.op}: node {node} adds a contribution to chunk {chunk} twice")
            partial[node, chunk] |= sent
    for chunk in _chunks(schedule):
        home = schedule.home(chunk) if schedule.root is None else schedule.root
        if partial[home, chunk] != set(range(nodes)):
            raise ValueError(f"{schedule.op}: node {home} ends without the whole sum of chunk {chunk}")
