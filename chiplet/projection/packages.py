"""The projection of a step on several packages."""

from __future__ import annotations

from dataclasses import replace

from chiplet.machine.calibration import Calibration
from chiplet.methods.base import Method
from chiplet.parallel.replicas import Replicas
from chiplet.parallel.stages import ParallelAccount
from chiplet.parallel.step import energy_of_all, step_of_all
from chiplet.projection.results import Parallel, Projection
from chiplet.projection.summary import summarize
from chiplet.schedule.buffers import DoesNotFitError, Optimizer
from chiplet.schedule.schedule import Schedule
from chiplet.step.account import StepAccount, account_step
from chiplet.step.overlap import Machine


def account_parallel(
    method: Method,
    machine: Machine,
    *,
    global_batch: int,
    length: int,
    optimizer: Optimizer,
    mini_batch: int | None,
    calibration: Calibration | None,
) -> tuple[Projection, StepAccount, ParallelAccount]:
    """The projection of a step on ``machine.system.parallel.packages`` packages with what it is made of.

    The account is that of the stage that sets the pace, with the update of the one that is done last. Raises
    ``ValueError`` of one line when there are more replicas than sequences, more chunks than layers, no
    micro-batches for the interleaved schedule, or when something does not fit.
    """
    work = Replicas(
        method,
        machine,
        global_batch=global_batch,
        length=length,
        optimizer=optimizer,
        mini_batch=mini_batch,
    )
    best: tuple[StepAccount, StepAccount, ParallelAccount, Schedule] | None = None
    refusal: DoesNotFitError | None = None
    for size in work.micro_batches():
        try:
            schedule, fullest = work.schedule(size)
        except DoesNotFitError as error:
            refusal = refusal or error
            continue
        whole = account_step(method, machine, schedule, work.batch, optimizer)
        account = work.account(whole, schedule, fullest)
        step = step_of_all(work, whole, account)
        if best is None or step.seconds < best[0].seconds:
            best = step, whole, account, schedule
    if best is None:
        assert refusal is not None
        raise refusal
    step, whole, account, schedule = best
    less = account_step(method, machine, schedule, work.batch - 1, optimizer) if work.shorter else whole
    step = replace(step, events=work.events(whole, less))
    found = summarize(step, method, machine, schedule, global_batch, optimizer, calibration)
    return of_all_packages(found, work, step, account), step, account


def of_all_packages(
    found: Projection, work: Replicas, step: StepAccount, account: ParallelAccount
) -> Projection:
    """``found``, a projection of the pace-setting stage, for all packages."""
    spec, dies = work.spec, work.method.mesh.nodes
    energy = energy_of_all(work, step, account)
    last = account.done_last
    ending = account.endings[last.number]
    fullest = account.fullest.parameters
    return found.model_copy(
        update={
            "packages": spec.packages,
            "mfu": found.mfu / spec.packages,
            "energy": energy,
            "energy_joules": sum(energy.values()),
            "memory": found.memory.model_copy(
                update={
                    "weight_bytes_per_die": fullest * work.element / dies,
                    "state_bytes_per_die": fullest * account.state / dies,
                }
            ),
            "parallel": Parallel(
                data=spec.data,
                pipeline=spec.pipeline,
                interleave=spec.interleave,
                micro_batch=account.micro_batch,
                micro_batches=account.micro_batches,
                stage_layers=[stage.layers for stage in account.stages],
                pace_stage=account.pace.number,
                last_stage=last.number,
                stage_seconds=[seconds * account.micro_batches for seconds in account.seconds],
                bubble_share=account.time.bubble / account.time.working,
                transfer_bytes=account.crossing_bytes,
                transfer_seconds=account.crossing,
                gradient_bytes=float(last.parameters * work.gradient_size),
                gradient_seconds=ending.gradients,
                gradient_exposed=ending.exposed,
                fabric_bytes=account.fabric_bytes,
            ),
        }
    )
