"""Cycles after which a training step is given up: a multiple of those predicted."""

from __future__ import annotations

from math import inf

from chiplet.machine.specs import SystemSpec
from cosim.records.links import FaultyLinks

__all__ = ["PATIENCE", "most_step_cycles"]

PATIENCE = 4
"""Cycles before a step is given up, relative to those predicted."""

_START = 10_000
"""Cycles beside these, for steps that are shorter than what holds them up once."""


def most_step_cycles(
    predicted: int, system: SystemSpec, *, stall: float, interval: int, links: FaultyLinks | None
) -> float:
    """Cycles after which a step is given up that takes ``predicted`` without stalls and faults.

    Random stalls of a memory delay requests and words, each by so much in the mean; with an ``interval`` all words may
    be so much slower. A frame whose bits flip is sent again with all behind it in the buffer, and wires that go blank
    carry nothing meanwhile. No bound follows if every frame flips, or a link dies: the run ends by its time-out then.
    """
    slower = interval / (1 - stall) ** 2
    if links is not None:
        if links.deaths or links.flips == 1:
            return inf
        frame = links.mesh_links(system.nop).shape.frame
        again = 1 + frame.depth / frame.flits
        slower *= 1 + again * links.flips / (1 - links.flips) + links.stalls * links.stall_cycles
    return PATIENCE * predicted * slower + _START
