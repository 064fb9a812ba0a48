"""The order of the steps of an operation: what comes before its GEMMs, and what after them."""

from __future__ import annotations

from chiplet.workload.operations import CommStep

NORM = "norm sums"
"""Name of the collectives of a norm's feature sums."""

LOSS = "loss sums"
"""Name of the collectives of the loss."""


def follows_gemms(step: CommStep, direction: str) -> bool:
    """Whether a collective follows the GEMMs: sums do, except those of a norm before a linear; so do those of the loss.

    ``direction`` is ``forward``, ``forward again`` or ``backward``.
    """
    if step.name.startswith(LOSS):
        return True
    if step.name.startswith(NORM) and step.steps:
        return direction == "backward"
    return step.op in ("reduce-scatter", "reduce")
