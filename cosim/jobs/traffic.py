"""The job of a bench of a mesh under traffic."""

from __future__ import annotations

from dataclasses import dataclass

from cosim.jobs.mesh import MeshJob

__all__ = ["STUCK_CYCLES", "TrafficJob"]

STUCK_CYCLES = 1000
"""Cycles without a received flit after which flits that are still in the network are given up."""


@dataclass(frozen=True, kw_only=True)
class TrafficJob(MeshJob):
    """Traffic to run on a mesh.

    Attributes
    ----------
    nodes
        Number of nodes of the mesh.
    chance
        Packets that a node generates in :data:`rtl.bench.traffic.CHANCE_ONE` cycles.
    length
        Flits of a packet.
    cols
        Columns of the mesh.
    targets
        The node that each node sends to, or None for random ones.
    packets
        Packets to load, or None for random ones: node, cycle, target and flits, those of a node in the order of their
        cycles.
    first, last
        Packets generated from cycle ``first`` to before cycle ``last`` are measured; none are generated after them.
    seed
        Seed of the nodes' random numbers.
    """

    nodes: int
    chance: int
    length: int
    cols: int
    targets: list[int] | None
    packets: list[list[int]] | None
    first: int
    last: int
    seed: int
