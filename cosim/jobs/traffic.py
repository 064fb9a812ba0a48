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
    rate
        Flits that a node generates in 65536 cycles.
    first, last
        Flits generated from cycle ``first`` to before cycle ``last`` are measured; none are generated after them.
    seed
        Seed of the nodes' random numbers.
    """

    nodes: int
    rate: int
    first: int
    last: int
    seed: int
