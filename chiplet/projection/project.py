"""The projection: one training step of a language model on one package or several, in time, energy and memory.

:func:`project` gives the result alone, :func:`account` also what it is made of. Results say which inputs were
measured and which were not.
"""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.methods.base import Method
from chiplet.parallel.stages import ParallelAccount
from chiplet.projection.job import ProjectionJob, StepRequest, resolve
from chiplet.projection.packages import account_packages
from chiplet.projection.results import Projection
from chiplet.projection.summary import summarize
from chiplet.schedule.schedule import Schedule, step_work
from chiplet.step.account import StepAccount
from chiplet.step.overlap import Machine
from chiplet.step.quickest import quickest_step


@dataclass(frozen=True)
class Accounted:
    """A projection, the account of the step that it sums up, the job behind it and the schedule of a package.

    ``parallel`` is None on one package.
    """

    projection: Projection
    step: StepAccount
    job: ProjectionJob
    schedule: Schedule
    parallel: ParallelAccount | None = None

    @property
    def method(self) -> Method:
        """The method of the job, on its mesh."""
        return self.job.method

    @property
    def machine(self) -> Machine:
        """The machine of the job."""
        return self.job.machine


def project(request: StepRequest) -> Projection:
    """Project one training step.

    Raises
    ------
    ValueError
        In one line, for whatever is unknown, out of range, made for another die or too large for a buffer.
    """
    return account(request).projection


def account(request: StepRequest) -> Accounted:
    """The projection of one training step, with all that it is made of. Errors as :func:`project`."""
    job = resolve(request)
    if job.machine.system.parallel.packages > 1:
        projection, step, parallel, schedule = account_packages(job)
        return Accounted(projection, step, job, schedule, parallel)
    work = step_work(
        job.method,
        job.machine.system,
        global_batch=job.global_batch,
        length=job.length,
        optimizer=job.optimizer,
        mini_batch=job.mini_batch,
    )
    quickest = quickest_step(job.method, job.machine, work, job.optimizer)
    projection = summarize(quickest.account, job, quickest.schedule)
    return Accounted(projection, quickest.account, job, quickest.schedule)
