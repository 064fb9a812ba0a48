"""The request for a projection, and the job that it becomes once everything is checked and decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chiplet.machine.calibration import Calibration
from chiplet.machine.specs import LINK_TOO_SLOW, SystemSpec
from chiplet.machine.synthesized.chosen_report import report_for
from chiplet.machine.synthesized.silicon_report import SiliconReport
from chiplet.machine.terms import GemmTerms, check_predicted
from chiplet.methods.base import Method, Switches
from chiplet.methods.registry import make_switches, method_type
from chiplet.schedule.buffers import STATE_BYTES, Optimizer
from chiplet.step.overlap import Machine
from chiplet.workload.llm import Llm, load_model
from nop.topology import Mesh, most_square

DEFAULT_GLOBAL_BATCH = 512
"""Sequences of a training step unless the caller says otherwise."""


DEFAULT_SEQUENCE_LENGTH = 4096
"""Tokens of a sequence unless the caller says otherwise, or the model is made for fewer."""


@dataclass(frozen=True)
class StepRequest:
    """One training step to project: a model on a machine, by a method. What is None has its default.

    Attributes
    ----------
    model
        A model, the name of a preset, or the path of a ``config.json``.
    system
        The machine.
    dies, mesh
        Most dies of a package, of which the quickest mesh is taken (:mod:`chiplet.projection.meshes`), or the mesh
        itself (rows, columns); the mesh of ``system`` by default.
    method, switches
        Distribution method by name, and values that replace the defaults of its switches.
    calibration
        Measured terms of this machine's die; by default the terms of the design.
    silicon
        Silicon reports, one of which is of this machine's die; by default clock, areas and energies of ``system``.
    global_batch
        Sequences of the step, :data:`DEFAULT_GLOBAL_BATCH` by default.
    sequence_length
        Tokens of a sequence, :func:`default_length` by default.
    mini_batch
        Sequences of a mini-batch, by default the most that fit.
    optimizer
        What updates the weights.
    """

    model: Llm | str
    system: SystemSpec
    dies: int | None = None
    mesh: Mesh | tuple[int, int] | None = None
    method: str = "hecaton"
    switches: Mapping[str, Any] | Switches | None = None
    calibration: Calibration | None = None
    silicon: Sequence[SiliconReport] = ()
    global_batch: int | None = None
    sequence_length: int | None = None
    mini_batch: int | None = None
    optimizer: Optimizer = "adam"


@dataclass(frozen=True)
class ProjectionJob:
    """A request with everything decided: the method on its mesh, the machine with measured terms in place, and
    the sizes of the step.
    """

    method: Method
    machine: Machine
    global_batch: int
    length: int
    mini_batch: int | None
    optimizer: Optimizer
    calibration: Calibration | None
    silicon: SiliconReport | None
    given: SystemSpec
    """The machine as it was asked for, without measured terms."""
    unused_dies: int = 0
    """Dies that were asked for, and that the quickest mesh leaves out."""


def resolve(request: StepRequest) -> ProjectionJob:
    """The job of ``request``: everything checked and decided.

    Raises
    ------
    ValueError
        In one line, for whatever is unknown or out of range, and for a calibration or silicon reports of other dies.
    """
    system, calibration = request.system, request.calibration
    check_predicted(system.die, "projections")
    model = load_model(request.model) if isinstance(request.model, str) else request.model
    mesh = _mesh_of(request)
    method = method_type(request.method)
    batch = DEFAULT_GLOBAL_BATCH if request.global_batch is None else request.global_batch
    _check_positive("global_batch", batch)
    length = check_length(model, request.sequence_length)
    switches = make_switches(request.method, request.switches)
    if calibration is not None:
        calibration.check_die(system.die)
    silicon = report_for(request.silicon, system)
    check_factors(system, silicon)
    if silicon is not None:
        system = silicon.applied(system)
        if system.link_too_slow:
            raise ValueError(LINK_TOO_SLOW)
    if calibration is not None:
        # After the clock, at which the goodput of links was measured.
        system = calibration.applied(system)
    if request.mini_batch is not None:
        _check_positive("mini_batch", request.mini_batch)
    check_optimizer(request.optimizer)
    on_mesh = method(model, mesh, switches, system.die.element_bytes)
    machine = Machine(system, gemm_terms(calibration))
    if request.mesh is None and request.dies is not None:
        # Arrays take longer to load than the step on a given mesh to project.
        from chiplet.projection.meshes import quickest_mesh
        from chiplet.step.jobs import Jobs

        sizes = (batch, length, request.mini_batch, request.optimizer)
        on_mesh = on_mesh.on(quickest_mesh(Jobs(1, on_mesh, system, machine.terms, *sizes), request.dies))
    return ProjectionJob(
        on_mesh,
        machine,
        batch,
        length,
        request.mini_batch,
        request.optimizer,
        calibration,
        silicon,
        request.system,
        0 if request.dies is None else request.dies - on_mesh.mesh.nodes,
    )


def default_length(model: Llm) -> int:
    """Tokens of a sequence unless the caller says otherwise."""
    return min(model.max_positions, DEFAULT_SEQUENCE_LENGTH)


def check_length(model: Llm, length: int | None) -> int:
    """``length``, or the default, in tokens.

    Raises ``ValueError``, in one line, if the model lacks positions for it.
    """
    tokens = default_length(model) if length is None else length
    _check_positive("sequence_length", tokens)
    if model.learned_positions and tokens > model.max_positions:
        raise ValueError(
            f"sequence_length = {tokens}: {model.name} has learned positions for {model.max_positions} tokens"
        )
    return tokens


def check_optimizer(name: object) -> None:
    """Raise ``ValueError``, in one line, for an unknown optimizer."""
    if name not in STATE_BYTES:
        raise ValueError(f"optimizer {name!r}: must be one of {', '.join(STATE_BYTES)}")


def check_factors(system: SystemSpec, silicon: SiliconReport | None) -> None:
    """Raise ``ValueError``, in one line, for a factor on what only a silicon report has, without one."""
    for key in ("period_factor", "energy_factor"):
        value = getattr(system.silicon, key)
        if silicon is None and value != 1:
            raise ValueError(f"silicon.{key} = {value:g}: has no effect without a silicon report")


def gemm_terms(calibration: Calibration | None) -> GemmTerms:
    """The terms of the array: measured, or those of the design."""
    return GemmTerms() if calibration is None else calibration.terms.gemm


def _mesh_of(request: StepRequest) -> Mesh:
    dies, mesh = request.dies, request.mesh
    if mesh is not None:
        grid = mesh if isinstance(mesh, Mesh) else Mesh(*mesh)
        if dies is not None and dies != grid.nodes:
            raise ValueError(
                f"mesh {grid} has {grid.nodes} dies, not {dies}: give one of the two, or let them agree"
            )
        return grid
    if dies is not None:
        return most_square(dies)
    return Mesh(request.system.package.rows, request.system.package.cols)


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} = {value}: must be at least 1")
