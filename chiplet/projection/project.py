"""The projection: one training step of a language model on a whole package, in time, energy and memory.

:func:`project` evaluates one method, :func:`compare` all of them on the same machine. Results say which
inputs were measured and which were not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chiplet.machine.calibration import Calibration
from chiplet.machine.specs import SystemSpec
from chiplet.methods.base import Method, Switches
from chiplet.parallel.stages import ParallelAccount
from chiplet.projection.job import positive, prepare
from chiplet.projection.packages import account_parallel
from chiplet.projection.results import Projection
from chiplet.projection.summary import summarize
from chiplet.schedule.buffers import STATE_BYTES, Optimizer
from chiplet.schedule.schedule import make_schedule
from chiplet.step.account import StepAccount, account_step
from chiplet.step.overlap import Machine
from chiplet.workload.llm import Llm
from nop.topology import Mesh


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
        positive("mini_batch", mini_batch)
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
