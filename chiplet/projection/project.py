"""The projection: one training step of a language model on a whole package, in time, energy and memory.

:func:`project` evaluates one method, :func:`compare` all of them on the same machine. Results say which
inputs were measured and which were not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chiplet.machine.specs import SystemSpec
from chiplet.machine.terms import Calibration, GemmTerms
from chiplet.methods.base import Method, Switches
from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.parallel.stages import ParallelAccount
from chiplet.parallel.step import account_parallel
from chiplet.projection.results import Comparison, LeftOut, MethodResult, Projection
from chiplet.schedule.buffers import STATE_BYTES, DoesNotFitError, Optimizer
from chiplet.schedule.schedule import make_schedule
from chiplet.step.account import StepAccount, account_step, summarize
from chiplet.step.overlap import Machine
from chiplet.studies.published import CLAIMS
from chiplet.workload.llm import Llm, load_model
from nop.topology import Mesh, most_square

DEFAULT_GLOBAL_BATCH = 512
"""Sequences of a training step unless the caller says otherwise."""

DEFAULT_SEQUENCE_LENGTH = 4096
"""Tokens of a sequence unless the caller says otherwise, or the model is made for fewer."""


@dataclass(frozen=True)
class Accounted:
    """A projection, the account that it sums up, and the method and machine behind it; ``parallel`` with several
    packages.
    """

    projection: Projection
    step: StepAccount
    method: Method
    machine: Machine
    mini_batch: int | None = None
    parallel: ParallelAccount | None = None


@dataclass(frozen=True)
class Job:
    """What is to be projected: a method for a model on a mesh, with batch and sequence length decided."""

    method: Method
    terms: GemmTerms
    global_batch: int
    length: int


def project(
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
    mini_batch: int | None = None,
    optimizer: Optimizer = "adam",
) -> Projection:
    """Project one training step.

    ``model`` is a preset's name, the path of a ``config.json`` or a model; ``dies`` are arranged as the most
    square mesh unless ``mesh`` (rows, columns) is given, and without either the mesh is the system's own.
    ``global_batch`` and ``mini_batch`` are in sequences, the latter the largest that fits unless given.
    Raises ``ValueError`` of one line for whatever is unknown, out of range, made for another die or too large
    for a buffer.
    """
    return account(
        model,
        system,
        dies=dies,
        mesh=mesh,
        method=method,
        switches=switches,
        calibration=calibration,
        global_batch=global_batch,
        sequence_length=sequence_length,
        mini_batch=mini_batch,
        optimizer=optimizer,
    ).projection


def account(
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
    mini_batch: int | None = None,
    optimizer: Optimizer = "adam",
) -> Accounted:
    """The projection of one training step with all that it is made of. Arguments and errors as :func:`project`."""
    job = prepare(
        model,
        system,
        dies=dies,
        mesh=mesh,
        method=method,
        switches=switches,
        calibration=calibration,
        global_batch=global_batch,
        sequence_length=sequence_length,
    )
    if mini_batch is not None:
        _positive("mini_batch", mini_batch)
    if optimizer not in STATE_BYTES:
        raise ValueError(f"optimizer {optimizer!r}: must be one of {', '.join(STATE_BYTES)}")
    if calibration is not None:
        system = calibration.applied(system)
    instance, batch, length = job.method, job.global_batch, job.length
    machine = Machine(system, job.terms)
    if system.parallel.packages > 1:
        found, step, parallel = account_parallel(
            instance,
            machine,
            global_batch=batch,
            length=length,
            optimizer=optimizer,
            mini_batch=mini_batch,
            calibration=calibration,
        )
        return Accounted(found, step, instance, machine, mini_batch, parallel)
    schedule = make_schedule(
        instance, system, global_batch=batch, length=length, optimizer=optimizer, mini_batch=mini_batch
    )
    step = account_step(instance, machine, schedule, batch, optimizer)
    found = summarize(step, instance, machine, schedule, batch, optimizer, calibration)
    return Accounted(found, step, instance, machine, mini_batch)


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
) -> Job:
    """What is to be projected, checked. Arguments and errors as :func:`project`."""
    llm = load_model(model) if isinstance(model, str) else model
    grid = _mesh(system, dies, mesh)
    kind = method_type(method)
    batch = _positive("global_batch", DEFAULT_GLOBAL_BATCH if global_batch is None else global_batch)
    length = check_length(llm, sequence_length)
    instance = kind(llm, grid, make_switches(method, switches), system.die.element_bytes)
    if calibration is not None:
        calibration.check_die(system.die)
    return Job(instance, gemm_terms(calibration), batch, length)


def default_length(model: Llm) -> int:
    """Tokens of a sequence unless the caller says otherwise."""
    return min(model.max_positions, DEFAULT_SEQUENCE_LENGTH)


def check_length(model: Llm, length: int | None) -> int:
    """The tokens of a sequence. Raises ``ValueError`` for a length that the model does not have positions for."""
    found = _positive("sequence_length", default_length(model) if length is None else length)
    if model.learned_positions and found > model.learned_positions:
        raise ValueError(
            f"sequence_length = {found}: {model.name} has learned positions for {model.learned_positions} tokens"
        )
    return found


def gemm_terms(calibration: Calibration | None) -> GemmTerms:
    """The terms of the array: measured, or those of the design."""
    return GemmTerms() if calibration is None else calibration.terms.gemm


def compare(
    model: Llm | str,
    system: SystemSpec,
    *,
    dies: int | None = None,
    mesh: Mesh | tuple[int, int] | None = None,
    switches: Mapping[str, Mapping[str, Any]] | None = None,
    calibration: Calibration | None = None,
    global_batch: int | None = None,
    sequence_length: int | None = None,
    optimizer: Optimizer = "adam",
) -> Comparison:
    """Project all methods on the same machine; ``switches`` by method name. Arguments and errors as
    :func:`project`.
    """
    llm = load_model(model) if isinstance(model, str) else model
    chosen = dict(switches or {})
    for name in chosen:
        method_type(name)

    def run(method: str, values: Mapping[str, Any] | None) -> Projection:
        return project(
            llm,
            system,
            dies=dies,
            mesh=mesh,
            method=method,
            switches=values,
            calibration=calibration,
            global_batch=global_batch,
            sequence_length=sequence_length,
            optimizer=optimizer,
        )

    # Hecaton and the flat ring have to fit, as everything is held against them.
    flat, ours = run("flat-ring", chosen.get("flat-ring")), run("hecaton", chosen.get("hecaton"))
    results = {"hecaton": ours, "flat-ring": flat}
    left_out = []
    for name in METHODS:
        if name not in results:
            try:
                results[name] = run(name, chosen.get(name))
            except DoesNotFitError as refusal:
                left_out.append(LeftOut(method=name, reason=str(refusal)))
    variants = [
        run("flat-ring", {**flat.switches, "direction": direction, "overlap": overlap})
        for direction in ("one", "both")
        for overlap in (False, True)
    ]
    return Comparison(
        model=flat.model,
        dies=flat.dies,
        mesh=flat.mesh,
        global_batch=flat.global_batch,
        sequence_length=flat.sequence_length,
        left_out=left_out,
        methods=[_against(flat, result) for result in results.values()],
        baselines=[_hecaton_against(ours, variant) for variant in variants],
        published=[claim for claim in CLAIMS if claim.model == flat.model],
        measured_inputs=flat.measured_inputs,
        assumed_inputs=flat.assumed_inputs,
    )


def _against(baseline: Projection, result: Projection) -> MethodResult:
    return MethodResult(
        method=result.method,
        step_seconds=result.step_seconds,
        energy_joules=result.energy_joules,
        speedup=baseline.step_seconds / result.step_seconds,
        energy_ratio=baseline.energy_joules / result.energy_joules,
        mfu=result.mfu,
        nop_elements_per_die_per_layer=result.nop_elements_per_die_per_layer,
        switches=result.switches,
        breakdown=result.breakdown,
        energy=result.energy,
    )


def _hecaton_against(ours: Projection, baseline: Projection) -> MethodResult:
    """The baseline's own figures, with the gain of Hecaton over it."""
    gain = _against(baseline, ours)
    return _against(baseline, baseline).model_copy(
        update={"speedup": gain.speedup, "energy_ratio": gain.energy_ratio}
    )


def _mesh(system: SystemSpec, dies: int | None, mesh: Mesh | tuple[int, int] | None) -> Mesh:
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


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name} = {value}: must be at least 1")
    return value
