"""Several packages that train one model: replicas (data parallelism) of a pipeline of packages.

A replica works on its share of the global batch. A pipeline's stage is a package with consecutive layers, the
first with the embedding, the last with the output head. A round of the package's schedule is a micro-batch of
the pipeline. Gradients are summed over replicas by a ring, layer by layer behind the last micro-batch's
backward pass. Packages are joined by a switched network: a package's ports are all that its traffic shares.
"""

from __future__ import annotations

from dataclasses import replace

from chiplet.machine.terms import Calibration
from chiplet.methods.base import Method
from chiplet.parallel.replicas import Replicas
from chiplet.parallel.stages import ParallelAccount
from chiplet.projection.results import Parallel, Projection
from chiplet.schedule.buffers import DoesNotFitError, Optimizer
from chiplet.schedule.schedule import Schedule
from chiplet.step.account import StepAccount, account_step, summarize
from chiplet.step.dram_traffic import Traffic
from chiplet.step.energy import PICO, joules
from chiplet.step.overlap import Machine
from chiplet.vectorized.elementwise import Number, choose, one_of


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
    return _of_all(found, work, step, account), step, account


def step_of_all(work: Replicas, whole: StepAccount, account: ParallelAccount) -> StepAccount:
    """The step of the stage that sets the pace; of many machines each has its own."""
    pace, last = account.pace_number, account.last_number
    updates = [work.update(stage) for stage in work.stages]
    moved = one_of([traffic.dram for traffic, _ in updates], last)
    traffic = Traffic(moved, moved / work.method.mesh.nodes)
    endings = account.endings
    return replace(
        whole,
        passes=work.passes(whole, pace),
        embedding=whole.embedding * choose(pace == 0, 1, 0),
        embedding_seconds=choose(pace == 0, whole.embedding_seconds, 0.0),
        update=traffic,
        update_dram=traffic.seconds(work.system, work.method.mesh),
        update_vector=one_of([vector for _, vector in updates], last),
        bubble=account.time.bubble - one_of(account.early, last),
        fabric=account.time.transfers
        + account.time.fill
        + one_of([ending.seconds for ending in endings], last)
        - one_of([ending.update for ending in endings], last),
    )


def energy_of_all(work: Replicas, step: StepAccount, account: ParallelAccount) -> dict[str, Number]:
    """Energy of all packages by part, joules."""
    system = work.system
    energy = joules(step.events, system, work.method.mesh.nodes * work.spec.packages, step.seconds)
    energy["fabric"] = 8 * account.fabric_bytes * system.fabric.pj_per_bit * PICO
    return energy


def _of_all(found: Projection, work: Replicas, step: StepAccount, account: ParallelAccount) -> Projection:
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
