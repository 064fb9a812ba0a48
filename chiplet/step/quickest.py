"""The quickest training step on one machine: its schedule and its account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chiplet.machine.memory_plane import MemoryPlane, memory_plane
from chiplet.methods.base import Method
from chiplet.schedule.buffers import Optimizer
from chiplet.schedule.combination import Candidate, first_quickest, quickest
from chiplet.schedule.fit import Fit, lacking, places_of_ways, tile_limit
from chiplet.schedule.schedule import Schedule, StepWork, assemble, block_refusal
from chiplet.step.account import StepAccount, StepUpdate, account_step
from chiplet.step.fused_blocks import (
    BlockAccount,
    BlockPlan,
    SentOnce,
    account_block,
    sent_once,
    sum_of_runs,
)
from chiplet.step.overlap import Machine
from chiplet.step.runs import account_run
from chiplet.step.weight_update import WeightUpdate
from chiplet.workload.operations import FusedBlock


@dataclass(frozen=True)
class QuickestStep:
    """A step as it runs, and what it takes."""

    schedule: Schedule
    account: StepAccount


@dataclass(frozen=True)
class _Costed:
    """A way to run a block, and what it takes."""

    fit: Fit
    candidate: Candidate
    account: BlockAccount


def quickest_step(method: Method, machine: Machine, step: StepWork, optimizer: Optimizer) -> QuickestStep:
    """The quickest way to run ``step``.

    Raises
    ------
    DoesNotFitError
        If a block does not fit, naming the buffer, the bytes needed and the bytes available.
    """
    work, plane = step.work, memory_plane(machine.system, method.mesh)
    update = StepUpdate.of(method, machine, plane, step, optimizer)
    costed = []
    for block in method.blocks():
        fits = step.candidates(block)
        if not fits:
            uses = lacking(work, block)
            raise block_refusal(method, method.mesh.nodes, block, uses, work.mini_batch)
        once = sent_once(block, method, machine)
        costed.append(
            _best_of_ways(
                [_cost(block, fit, method, machine, step, plane, once, update.time) for fit in fits]
            )
        )
    choices = quickest(
        [[one.candidate for one in block] for block in costed], overlap="overlap" not in step.without
    )
    chosen = [block[choice.place] for block, choice in zip(costed, choices, strict=True)]
    blocks = [
        one.account.waiting(choice.weights_ahead, choice.gradients_behind)
        for one, choice in zip(chosen, choices, strict=True)
    ]
    return QuickestStep(
        assemble(step, [one.fit for one in chosen], choices),
        account_step(blocks, method, machine, plane, step, update),
    )


def _best_of_ways(costed: Sequence[_Costed]) -> list[_Costed]:
    """The quickest size of each way to run a block."""
    ways = places_of_ways([one.fit for one in costed])
    return [
        costed[places[first_quickest([costed[place].candidate.seconds for place in places])]]
        for places in ways
    ]


def _cost(
    block: FusedBlock,
    fit: Fit,
    method: Method,
    machine: Machine,
    step: StepWork,
    plane: MemoryPlane,
    once: SentOnce,
    update: WeightUpdate,
) -> _Costed:
    work = step.work
    memory, batches = work.memory_of(block, fit), step.mini_batches(block, fit)
    limit = tile_limit(memory, batches[0].batch)
    runs = [
        account_run(method, machine, block, part.batch, times=part.times, slices=fit.slices, tile_limit=limit)
        for part in batches
    ]
    plan = BlockPlan(memory, step.rounds, step.tokens, "residence" not in step.without)
    account = account_block(plan, sum_of_runs(runs), method, machine, plane, once, runs)
    seconds = account.seconds + update.exposed(account.passes[1])
    candidate = Candidate(memory, seconds, account.weights_wait, account.gradients_wait)
    return _Costed(fit, candidate, account)
