"""Steps on several packages for many meshes at once: how long they take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from chiplet.parallel.replicas import Replicas
from chiplet.parallel.step import step_of_all
from chiplet.step.jobs import Jobs, ways_to_run
from chiplet.step.overlap import Machine
from chiplet.step.quickest_steps import quickest_steps

if TYPE_CHECKING:
    from numpy.typing import NDArray


def replicas_of(jobs: Jobs) -> Replicas:
    """The workload of several packages."""
    return Replicas(
        jobs.method,
        Machine(jobs.system, jobs.terms),
        global_batch=jobs.global_batch,
        length=jobs.length,
        optimizer=jobs.optimizer,
        mini_batch=jobs.mini_batch,
    )


def seconds_of_all(jobs: Jobs) -> NDArray[np.float64]:
    """Seconds of a step of each of ``jobs``, with the quickest micro-batch; infinite where none fits."""
    work = replicas_of(jobs)
    best = np.full(jobs.count, np.inf)
    for size in work.micro_batches():
        best = np.minimum(best, _seconds(jobs, work, size))
    return best


def with_micro_batch(jobs: Jobs) -> Jobs:
    """``jobs`` with the micro-batch that is the quickest for the first of them; unchanged if none fits, or if there is
    nothing to choose.
    """
    work = replicas_of(jobs)
    sizes = list(work.micro_batches())
    if len(sizes) < 2:
        return jobs
    with np.errstate(all="ignore"):  # candidates of a block that do not fit
        seconds = [float(_seconds(jobs, work, size)[0]) for size in sizes]
    if min(seconds) == np.inf:
        return jobs
    parallel = jobs.system.parallel.model_copy(update={"micro_batch": sizes[int(np.argmin(seconds))]})
    return replace(jobs, system=jobs.system.model_copy(update={"parallel": parallel}))


def _seconds(jobs: Jobs, work: Replicas, size: int | None) -> NDArray[np.float64]:
    seconds = np.full(jobs.count, np.inf)
    need, fullest = work.need(size)
    if size is not None:
        need = replace(need, sequences=np.full((jobs.count, 1), float(size)))
    ways, _ = ways_to_run(replace(jobs, global_batch=work.batch), need)
    if len(ways.rows):
        of_rows = replicas_of(replace(ways.jobs, global_batch=jobs.global_batch))
        whole, step = quickest_steps(ways), ways.step()
        account = of_rows.account(whole, step.work.sequences, step.rounds, fullest)
        total = step_of_all(of_rows, whole, account).seconds
        seconds[ways.rows] = np.broadcast_to(total, (len(ways.rows), 1))[:, 0]
    return seconds
