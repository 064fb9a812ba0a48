"""The projection of a step on several packages."""

from __future__ import annotations

from dataclasses import replace

from chiplet.parallel.replicas import Replicas
from chiplet.parallel.stages import ParallelAccount
from chiplet.parallel.step import energy_of_all, step_of_all
from chiplet.projection.job import ProjectionJob
from chiplet.projection.results import Parallel, Projection
from chiplet.projection.summary import summarize
from chiplet.schedule.buffers import DoesNotFitError
from chiplet.schedule.schedule import Schedule, StepWork
from chiplet.step.account import StepAccount
from chiplet.step.quickest import quickest_step


def account_packages(job: ProjectionJob) -> tuple[Projection, StepAccount, ParallelAccount, Schedule]:
    """The projection of a step on all packages of the machine, with what it is made of: its account, that of all
    packages, and the schedule of one.

    The account is that of the stage that sets the pace, with the weight update of the stage that finishes last.

    Raises
    ------
    ValueError
        In one line, when there are more replicas than sequences, more chunks than layers, no micro-batches for
        the interleaved schedule, or when something does not fit.
    """
    method, machine, optimizer = job.method, job.machine, job.optimizer
    work = Replicas(
        method,
        machine,
        global_batch=job.global_batch,
        length=job.length,
        optimizer=optimizer,
        mini_batch=job.mini_batch,
    )
    best: tuple[StepAccount, StepAccount, ParallelAccount, Schedule, StepWork] | None = None
    refusal: DoesNotFitError | None = None
    for size in work.micro_batches():
        try:
            of_package, fullest = work.work(size)
            quickest = quickest_step(method, machine, of_package, optimizer)
        except DoesNotFitError as error:
            refusal = refusal or error
            continue
        whole, schedule = quickest.account, quickest.schedule
        account = work.account(whole, schedule.sequences, schedule.rounds, fullest)
        step = step_of_all(work, whole, account)
        if best is None or step.seconds < best[0].seconds:
            best = step, whole, account, schedule, of_package
    if best is None:
        assert refusal is not None
        raise refusal
    step, whole, account, schedule, of_chosen = best
    less = whole
    if work.shorter:
        of_shorter = replace(of_chosen, global_batch=work.batch - 1)
        less = quickest_step(method, machine, of_shorter, optimizer).account
    step = replace(step, events=work.events(whole, less))
    pace = summarize(step, job, schedule)
    return _of_all_packages(pace, work, step, account), step, account, schedule


def _of_all_packages(
    pace: Projection, work: Replicas, step: StepAccount, account: ParallelAccount
) -> Projection:
    """The projection of all packages out of ``pace``, that of the stage that sets the pace."""
    spec, dies = work.spec, work.method.mesh.nodes
    energy = energy_of_all(work, step, account)
    last = account.done_last
    ending = account.endings[last.number]
    fullest = account.fullest.parameters
    return pace.model_copy(
        update={
            "packages": spec.packages,
            "mfu": pace.mfu / spec.packages,
            "energy": energy,
            "energy_joules": sum(energy.values()),
            "memory": pace.memory.model_copy(
                update={
                    "weight_bytes_per_die": fullest * work.element / dies,
                    "state_bytes_per_die": fullest * account.state / dies,
                }
            ),
            "parallel": Parallel(
                data=spec.data,
                pipeline=spec.pipeline,
                interleave=spec.interleave,
                context=spec.context,
                exchange=spec.exchange,
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
                exchange_bytes=float(account.exchange.sent),
                exchange_seconds=float(account.exchange.seconds),
                exchange_exposed=float(account.exchange.exposed),
                fabric_bytes=account.fabric_bytes,
            ),
        }
    )
