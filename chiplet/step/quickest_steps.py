"""The quickest step of each of many machines, as arrays.

Mini-batches of all machines and of all their candidates are accounted for at once, as so many machines; then each point
takes the candidates that are quickest there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chiplet.machine.memory_plane import memory_plane
from chiplet.schedule.combination import Candidate, first_quickest, quickest
from chiplet.schedule.fit import Fit, places_of_ways, tile_limit
from chiplet.schedule.schedule import StepWork
from chiplet.step.account import StepAccount, StepUpdate, account_step
from chiplet.step.energy import Events
from chiplet.step.fused_blocks import (
    BlockAccount,
    BlockPlan,
    BlockRuns,
    account_block,
    one_of_blocks,
    sent_once,
    sum_of_runs,
)
from chiplet.step.jobs import Jobs, Ways, rows_of
from chiplet.step.overlap import Busy, Machine
from chiplet.step.package_columns import PackageColumns
from chiplet.step.runs import account_run
from chiplet.vectorized.additive import Additive
from chiplet.vectorized.elementwise import Number, choose, is_array, one_of
from chiplet.workload.operations import Batch, FusedBlock

if TYPE_CHECKING:
    from numpy.typing import NDArray


def quickest_steps(ways: Ways) -> StepAccount:
    """The account of the quickest step of each machine."""
    jobs, step = ways.jobs, ways.step()
    machine = Machine(jobs.system, jobs.terms)
    plane = memory_plane(jobs.system, jobs.method.mesh)
    update = StepUpdate.of(jobs.method, machine, plane, step, jobs.optimizer)
    columns = PackageColumns.of(jobs.system)
    distinct = columns.distinct(jobs)
    accounts: list[list[BlockAccount]] = []
    candidates: list[list[Candidate]] = []
    for number, (block, fits) in enumerate(zip(jobs.method.blocks(), ways.fits, strict=True)):
        runs = [columns.every(of_fit) for of_fit in _runs_of(number, fits, distinct, step)]
        once = sent_once(block, jobs.method, machine)
        accounts.append([])
        candidates.append([])
        for places in places_of_ways(fits):
            memory = step.work.memory_of(block, fits[places[0]])
            plan = BlockPlan(memory, step.rounds, step.tokens)
            of_way = [account_block(plan, runs[place], jobs.method, machine, plane, once) for place in places]
            seconds = [
                choose(fits[place].size > 0, account.seconds + update.time.exposed(account.passes[1]), np.inf)
                for place, account in zip(places, of_way, strict=True)
            ]
            best = first_quickest(seconds) if len(places) > 1 else 0
            account = one_of_blocks(of_way, best)
            accounts[-1].append(account)
            candidates[-1].append(
                Candidate(memory, one_of(seconds, best), account.weights_wait, account.gradients_wait)
            )
    choices = quickest(candidates, overlap=True)
    blocks = [
        one_of_blocks(of_block, choice.place).waiting(choice.weights_ahead, choice.gradients_behind)
        for of_block, choice in zip(accounts, choices, strict=True)
    ]
    return account_step(blocks, jobs.method, machine, plane, step, update)


@dataclass(frozen=True)
class _Entries:
    """Mini-batches of a candidate: the machines that have them, what they are, how many, and the largest token tile."""

    candidate: int
    rows: NDArray[np.intp]
    batch: Batch
    times: NDArray[np.float64]
    limit: NDArray[np.float64]
    slices: NDArray[np.float64] | None


def _runs_of(number: int, fits: Sequence[Fit], jobs: Jobs, step: StepWork) -> list[BlockRuns]:
    """The mini-batches of each of ``fits``, the candidates of block ``number``."""
    entries = list(_entries(jobs.method.blocks()[number], fits, jobs, step))
    runs: list[BlockRuns | None] = [None] * len(fits)
    for sliced in (False, True):
        alike = [one for one in entries if (one.slices is not None) == sliced]
        if not alike:
            continue
        rows = np.concatenate([one.rows for one in alike])
        every = jobs.select(rows)
        columns: list[Any] = [
            np.concatenate([getattr(one.batch, field.name) for one in alike]) for field in fields(Batch)
        ]
        forward, backward = account_run(
            every.method,
            Machine(every.system, every.terms),
            every.method.blocks()[number],
            Batch(*columns),
            times=np.concatenate([one.times for one in alike]),
            slices=np.concatenate([one.slices for one in alike]) if sliced else 1,
            tile_limit=np.concatenate([one.limit for one in alike]),
        )
        total = sum_of_runs([(forward, backward)])
        start = 0
        for one in alike:
            part = _at(total, np.arange(start, start + len(one.rows)))
            start += len(one.rows)
            so_far = runs[one.candidate]
            if so_far is not None or len(one.rows) < jobs.count:
                part = _added(so_far, part, one.rows, jobs.count)
            runs[one.candidate] = part
    return [one for one in runs if one is not None]


def _entries(block: FusedBlock, fits: Sequence[Fit], jobs: Jobs, step: StepWork) -> Iterator[_Entries]:
    """The mini-batches of each candidate, first the largest, and the machines that have them."""
    count = jobs.count

    def column(value: Number, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        whole: NDArray[np.float64] = np.broadcast_to(value, (count, 1))[rows]
        return whole

    for number, fit in enumerate(fits):
        fits_here = np.broadcast_to(fit.size > 0, (count, 1))
        batches = step.mini_batches(block, replace(fit, size=choose(fits_here, fit.size, 1)))
        limit = tile_limit(step.work.memory_of(block, fit), batches[0].batch)
        for place, part in enumerate(batches):
            there = fits_here & (part.times > 0) if place else fits_here
            rows = np.flatnonzero(there)
            columns: list[Any] = [column(getattr(part.batch, field.name), rows) for field in fields(Batch)]
            slices = column(fit.slices, rows) if isinstance(fit.slices, np.ndarray) else None
            yield _Entries(
                number, rows, Batch(*columns), column(part.times, rows), column(limit, rows), slices
            )


def _at(runs: BlockRuns, places: NDArray[np.intp]) -> BlockRuns:
    """The runs at ``places``."""

    def picked(value: Any) -> Any:
        if isinstance(value, Additive):
            return type(value)(*(rows_of(number, places) for number in value.numbers))
        return rows_of(value, places)

    return BlockRuns(*(picked(getattr(runs, field.name)) for field in fields(BlockRuns)))


def _added(runs: BlockRuns | None, more: BlockRuns, rows: NDArray[np.intp], count: int) -> BlockRuns:
    """``runs`` of ``count`` machines, or none, with ``more`` of the machines ``rows``."""

    def one(first: Number, second: Number) -> Number:
        if not is_array(second) and second == 0:
            return first
        width = max(value.shape[-1] if is_array(value) else 1 for value in (first, second))
        total = np.empty((count, width))
        total[...] = first
        total[rows] += second
        return total

    def sums(first: Any, second: Any) -> Any:
        if isinstance(second, Additive):
            return type(second)(*map(one, first.numbers, second.numbers))
        return one(first, second)

    before = runs or BlockRuns(Busy(), Busy(), Busy(), Events(), 0.0, 0.0)
    names = [field.name for field in fields(BlockRuns)]
    return BlockRuns(*(sums(getattr(before, name), getattr(more, name)) for name in names))
