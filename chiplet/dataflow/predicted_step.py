"""Predicted cycles of a training step: its operators, in the order of all programs, on the units of all dies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chiplet.dataflow.fused_operators import FusedOperators
from chiplet.dataflow.line_play import SIDES
from chiplet.dataflow.package_play import PackagePlay, StepTerms
from chiplet.dataflow.step_schedule import step_schedule
from chiplet.graph.graph import Graph
from chiplet.graph.training.sizes import StepSizes
from chiplet.machine.specs import SystemSpec

__all__ = ["PredictedStep", "busy_cycles", "played_step", "predicted_step"]

UNITS = ("array", "load", "feed_activation", "feed_weight", "feed_sums", "drain", "vector", "store")
PLAYS = 2
"""The first play tells the next one how busy the units are."""


class PredictedStep(NamedTuple):
    """Prediction of a step.

    Attributes
    ----------
    cycles
        From the common start to the end of the last program.
    units
        Busy cycles of each kind of unit, those of the die where they are most: of the array those with an activation
        vector; of the links of an axis those with a flit, on the side and in the direction where they are most; of load
        and store those with a word; of all others those with a command that waits for no semaphore.
    """

    cycles: int
    units: Mapping[str, int]


def predicted_step(
    graph: Graph,
    sizes: StepSizes,
    system: SystemSpec,
    terms: StepTerms | None = None,
    *,
    order: Sequence[FusedOperators] | None = None,
    gradients: bool = False,
    direct: bool = False,
) -> PredictedStep:
    """Predict the step of ``graph``.

    Parameters
    ----------
    terms
        Terms of dies and links; by default those of the design.
    order
        The operators in the order of all programs, as a compiled step has it; by default that of
        :func:`chiplet.dataflow.step_schedule.step_schedule`.
    gradients
        Whether gradients are stored, if there is no ``order``.
    direct
        Whether links have no adapters.
    """
    terms = terms or StepTerms.of_design(system)
    order = order or step_schedule(graph, sizes, system, gradients=gradients).order
    play = played_step(graph, sizes, system, terms, order, direct=direct)
    return PredictedStep(
        round(play.cycles), {name: round(cycles) for name, cycles in busy_cycles(play).items()}
    )


def played_step(
    graph: Graph,
    sizes: StepSizes,
    system: SystemSpec,
    terms: StepTerms,
    order: Sequence[FusedOperators],
    *,
    direct: bool,
    meets: bool = True,
) -> PackagePlay:
    """The package when it has gone through ``order``, see :func:`predicted_step`.

    ``meets``: words of the vector unit meet those of other units in banks; otherwise these are still meanwhile.
    """
    play = PackagePlay(graph, sizes, system, terms, direct=direct)
    for number in range(PLAYS):
        if number:
            play = PackagePlay(graph, sizes, system, terms, shares=play.shares(meets=meets), direct=direct)
        for fused in order:
            play.play(fused)
    return play


def busy_cycles(play: PackagePlay) -> dict[str, float]:
    """Busy cycles of each kind of unit, those of :class:`PredictedStep`."""
    busy = {name: max(units.busy(name) for units in play.units) for name in UNITS}
    for axis, sides in SIDES.items():
        names = [f"{way} {side}" for way in ("send", "receive") for side in sides]
        busy[f"{axis} links"] = max(units.busy(name) for units in play.units for name in names)
    return busy
