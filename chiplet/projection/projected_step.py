"""Predicted cycles of a projected step: those of ``hecaton cosim train-step``, where a package can run the step so.

Sizes decide first, so that a projection of a large model costs no time. Then the compiler says whether programs of the
step fit, and the prediction plays their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from chiplet.dataflow.fused_operators import FusedOperators
from chiplet.dataflow.package_play import StepTerms
from chiplet.dataflow.predicted_step import PredictedStep, predicted_step
from chiplet.graph.graph import Graph
from chiplet.graph.training.sizes import StepSizes
from chiplet.graph.training.training_step import training_step
from chiplet.layout.block_sizes import MOST_COUNT
from chiplet.layout.step_bounds import check_scratchpad, least_commands
from chiplet.machine.base import StrictModel
from chiplet.machine.specs import SystemSpec
from chiplet.methods.hecaton import Hecaton, HecatonSwitches
from chiplet.projection.job import ProjectionJob
from chiplet.workload.pretrained_model import read_pretrained

__all__ = ["MOST_COMMANDS", "Compiled", "Compiler", "ProjectedStep", "projected_step"]

MOST_COMMANDS = 1 << 15
"""Commands of all dies, as :func:`chiplet.layout.step_bounds.least_commands` counts them, up to which a step is played:
about a minute at most.
"""

_DECIDED = {"collective"}
"""Switches that say nothing of the step: its lines are chains."""


class ProjectedStep(StrictModel):
    """Prediction of the step as programs of the package.

    Attributes
    ----------
    tiles
        Token tiles that the step runs in.
    predicted_cycles
        What ``hecaton cosim train-step`` predicts of the step; null if the package cannot run it so.
    units
        Busy cycles of each kind of unit in them, those of the die where they are most.
    predicted_cycles_reason
        Why there are none.
    """

    tiles: int
    predicted_cycles: int | None = None
    units: dict[str, int] | None = None
    predicted_cycles_reason: str | None = None


class Compiled(Protocol):
    """The programs of a step, as a compiler leaves them."""

    @property
    def graph(self) -> Graph:
        """Their operators."""

    @property
    def order(self) -> Sequence[FusedOperators]:
        """The operators in the order of all programs."""

    @property
    def longest(self) -> int:
        """Commands of the longest program."""


Compiler = Callable[[StepSizes, SystemSpec], Compiled]
"""Makes programs of a step. Raises ValueError, in one line, for a buffer that is too small."""


def projected_step(model: str, job: ProjectionJob, compiler: Compiler, *, tiles: int = 1) -> ProjectedStep:
    """Predict the step of ``job`` as it runs on links with adapters, in ``tiles`` token tiles.

    ``model`` is what the job's model was called by: a preset, a ``config.json`` or its folder. The ``compiler`` is
    asked only for a step that its sizes do not refuse.
    """
    try:
        predicted = _predicted(model, job, compiler, tiles)
    except ValueError as refusal:
        return ProjectedStep(tiles=tiles, predicted_cycles_reason=str(refusal))
    return ProjectedStep(tiles=tiles, predicted_cycles=predicted.cycles, units=dict(predicted.units))


def _predicted(model: str, job: ProjectionJob, compiler: Compiler, tiles: int) -> PredictedStep:
    """The prediction. Raises ValueError, in one line, for what no package can run."""
    for problem in _of_another_kind(job):
        raise ValueError(problem)
    mesh, system = job.method.mesh, job.given
    package = system.package.model_copy(update={"rows": mesh.rows, "cols": mesh.cols})
    system = system.model_copy(update={"package": package})
    sizes = StepSizes.on_package(
        read_pretrained(model).sizes,
        system,
        sequences=job.global_batch,
        length=job.length,
        tiles=tiles,
        optimizer=job.optimizer,
    )
    _check_sizes(sizes, system)
    programs = compiler(sizes, system)
    if programs.longest > MOST_COUNT:
        raise ValueError(f"a program has {programs.longest} commands: must be at most {MOST_COUNT}")
    terms = StepTerms.of(system, job.calibration)
    return predicted_step(programs.graph, sizes, system, terms, order=programs.order)


def _of_another_kind(job: ProjectionJob) -> Iterator[str]:
    """Why programs do not do what the job asks for."""
    if job.method.name != Hecaton.name:
        yield f"method = {job.method.name}: programs of a step are those of the method {Hecaton.name}"
    packages = job.given.parallel.packages
    if packages > 1:
        yield f"{packages} packages: programs of a step are those of one"
    given: Mapping[str, Any] = job.method.switches.model_dump()
    for name, value in HecatonSwitches().model_dump().items():
        if name not in _DECIDED and given.get(name) != value:
            yield f"switch {name} = {given.get(name)}: programs of a step have {name} = {value}"


def _check_sizes(sizes: StepSizes, system: SystemSpec) -> None:
    """Raise ValueError, in one line, if the sizes alone are too large to compile or to play."""
    graph = training_step(sizes)
    check_scratchpad(graph, sizes, system)
    commands = least_commands(graph, sizes, system.die)
    if commands > MOST_COMMANDS:
        raise ValueError(
            f"the programs of all dies have at least about {commands} commands: steps of up to {MOST_COMMANDS} are "
            "played"
        )
