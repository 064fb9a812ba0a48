"""What is to be projected: method, model, mesh, batch and sequence length, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chiplet.machine.calibration import Calibration
from chiplet.machine.specs import SystemSpec
from chiplet.machine.terms import GemmTerms
from chiplet.methods.base import Method, Switches
from chiplet.methods.registry import make_switches, method_type
from chiplet.workload.llm import Llm, load_model
from nop.topology import Mesh, most_square

DEFAULT_GLOBAL_BATCH = 512
"""Sequences of a training step unless the caller says otherwise."""


DEFAULT_SEQUENCE_LENGTH = 4096
"""Tokens of a sequence unless the caller says otherwise, or the model is made for fewer."""


@dataclass(frozen=True)
class ProjectionJob:
    """What is to be projected: a method for a model on a mesh, with batch and sequence length decided."""

    method: Method
    terms: GemmTerms
    global_batch: int
    length: int


def prepare(
    model: Llm | str,
    system: SystemSpec,
    *,
    dies: int | None = None,
    mesh: Mesh | tuple[int, int] | None = None,
    method: str = "hecaton",
    switches: Mapping[str, Any] | Switches | None = None,
    calibration: Calibration | None = None,
    global_batch: int | None = None,
    sequence_length: int | None = None,
) -> ProjectionJob:
    """What is to be projected, checked. Arguments and errors as :func:`project`."""
    llm = load_model(model) if isinstance(model, str) else model
    grid = mesh_of_job(system, dies, mesh)
    kind = method_type(method)
    batch = positive("global_batch", DEFAULT_GLOBAL_BATCH if global_batch is None else global_batch)
    length = check_length(llm, sequence_length)
    instance = kind(llm, grid, make_switches(method, switches), system.die.element_bytes)
    if calibration is not None:
        calibration.check_die(system.die)
    return ProjectionJob(instance, gemm_terms(calibration), batch, length)


def default_length(model: Llm) -> int:
    """Tokens of a sequence unless the caller says otherwise."""
    return min(model.max_positions, DEFAULT_SEQUENCE_LENGTH)


def check_length(model: Llm, length: int | None) -> int:
    """The tokens of a sequence. Raises ``ValueError`` for a length that the model does not have positions for."""
    found = positive("sequence_length", default_length(model) if length is None else length)
    if model.learned_positions and found > model.learned_positions:
        raise ValueError(
            f"sequence_length = {found}: {model.name} has learned positions for {model.learned_positions} tokens"
        )
    return found


def gemm_terms(calibration: Calibration | None) -> GemmTerms:
    """The terms of the array: measured, or those of the design."""
    return GemmTerms() if calibration is None else calibration.terms.gemm


def mesh_of_job(system: SystemSpec, dies: int | None, mesh: Mesh | tuple[int, int] | None) -> Mesh:
    if mesh is not None:
        grid = mesh if isinstance(mesh, Mesh) else Mesh(*mesh)
        if dies is not None and dies != grid.nodes:
            raise ValueError(
                f"mesh {grid} has {grid.nodes} dies, not {dies}: give one of the two, or let them agree"
            )
        return grid
    if dies is not None:
        return most_square(dies)
    return Mesh(system.package.rows, system.package.cols)


def positive(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name} = {value}: must be at least 1")
    return value
