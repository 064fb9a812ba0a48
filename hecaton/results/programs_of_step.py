"""Predicted cycles of a projected step as programs; the compiler is loaded for a step that may fit only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chiplet.projection.projected_step import ProjectedStep, projected_step

if TYPE_CHECKING:
    from chiplet.graph.training.sizes import StepSizes
    from chiplet.machine.specs import SystemSpec
    from chiplet.projection.job import ProjectionJob
    from chiplet.projection.projected_step import Compiled


def programs_of_step(model: str, job: ProjectionJob, *, tiles: int = 1) -> ProjectedStep:
    """What :func:`chiplet.projection.projected_step.projected_step` says, by the compiler of the package."""
    return projected_step(model, job, _compiled, tiles=tiles)


def _compiled(sizes: StepSizes, system: SystemSpec) -> Compiled:
    from cosim.compile.compiler import compile_step

    return compile_step(sizes, system)
