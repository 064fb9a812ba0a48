"""Evaluation of thousands of design points as arrays.

The functions are those of a single projection. What a point's schedule does not depend on (clock, links, energies,
prices, what joins packages: :data:`chiplet.sweep.axes.CONTINUOUS`) goes into them as arrays with one column for each
value; every other number as arrays with one row for each combination, so that a schedule is worked out once for all of
its points.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chiplet.cost.manufacturing import account_cost
from chiplet.machine.calibration import Calibration
from chiplet.machine.specs import LINK_TOO_SLOW
from chiplet.machine.synthesized.silicon_report import SiliconReport
from chiplet.parallel.many import replicas_of
from chiplet.parallel.step import energy_of_all, step_of_all
from chiplet.projection.job import StepRequest, check_factors
from chiplet.schedule.buffers import DramNeed
from chiplet.step.jobs import Ways, ways_to_run
from chiplet.step.overlap import Machine
from chiplet.step.quickest_steps import quickest_steps
from chiplet.step.totals import totals
from chiplet.sweep.columns import COLUMNS, columns_of
from chiplet.sweep.machines import AlikeRows, SweepRows, varied

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chiplet.sweep.axes import Sweep


CHUNK = 4096
"""Points at a time: their intermediate values stay in a core's cache."""


@dataclass(frozen=True)
class Points:
    """Evaluated points: their numbers in the space, results by column, and why a point has none or falls short.

    ``reason`` is an index into ``reasons``; the first reason is empty, for points with nothing wrong. ``excluded``
    counts points of the range that violate a constraint on varied values.
    """

    index: NDArray[np.int64]
    results: dict[str, NDArray[np.float64]]
    reason: NDArray[np.int32]
    reasons: tuple[str, ...]
    excluded: int


@dataclass(frozen=True)
class SweepTask:
    """The points ``start`` up to ``stop`` (not included) of a sweep.

    Raises ``ValueError``, in one line, if it varies what a silicon report gives, or what has no effect without one.
    """

    sweep: Sweep
    start: int
    stop: int
    calibration: Calibration | None = None
    silicon: tuple[SiliconReport, ...] = ()

    def __post_init__(self) -> None:
        for name in self.sweep.names:
            if any(name in report.given_keys() for report in self.silicon):
                factor = "area" if name.endswith("_um2") else "period" if name == "die.clock_hz" else "energy"
                raise ValueError(
                    f"{name} is varied, and the silicon report gives it: vary silicon.{factor}_factor instead"
                )
            if name in ("silicon.period_factor", "silicon.energy_factor") and not self.silicon:
                raise ValueError(f"{name} is varied: it has no effect without a silicon report")
        if not self.silicon:
            check_factors(self.sweep.base, None)


def evaluate(task: SweepTask) -> Points:
    """Evaluate a range of points. A point that does not fit has a reason; it is not an error."""
    sweep, size = task.sweep, task.sweep.group_points
    codes = {"": 0}
    parts = []
    for first, stop, low, high in _rectangles(task.start, task.stop, size):
        part = _Part(sweep, first, stop, np.arange(low, high), task, codes)
        with np.errstate(
            all="ignore"
        ):  # NaN for dies that do not fit a wafer, and for points that do not fit
            part.evaluate()
        parts.append(part)
    index = np.concatenate([part.index for part in parts])
    return Points(
        index,
        {name: np.concatenate([part.kept(name) for part in parts]) for name in COLUMNS},
        np.concatenate([part.reason[part.keep] for part in parts]),
        tuple(codes),
        task.stop - task.start - len(index),
    )


def _rectangles(start: int, stop: int, size: int) -> Iterator[tuple[int, int, int, int]]:
    """The range as rows ``first`` to ``stop`` times columns ``low`` to ``high`` of a table of ``size`` columns."""
    while start < stop:
        row, column = divmod(start, size)
        last = stop // size
        if column or last == row:
            high = min(size, column + stop - start)
            yield row, row + 1, column, high
            start += high - column
        else:
            yield row, last, 0, size
            start = last * size


@dataclass
class _Part:
    """Rows ``first`` to ``stop`` of a sweep's outer axes times the combinations ``inner`` of its inner axes."""

    sweep: Sweep
    first: int
    stop: int
    inner: NDArray[np.int64]
    task: SweepTask
    codes: dict[str, int]
    keep: NDArray[np.bool_] = field(init=False)
    reason: NDArray[np.int32] = field(init=False)
    results: dict[str, NDArray[np.float64]] = field(init=False)

    @property
    def index(self) -> NDArray[np.int64]:
        """Numbers of the kept points."""
        rows = np.arange(self.first, self.stop)[:, None]
        return (rows * self.sweep.group_points + self.inner)[self.keep]

    def kept(self, name: str) -> NDArray[np.float64]:
        """A column of the kept points."""
        return self.results[name][self.keep]

    def evaluate(self) -> None:
        """Fill in the results and reasons."""
        rows = SweepRows(self.sweep, self.first, self.stop, self.task.calibration, self.task.silicon)
        shape = (rows.count, len(self.inner))
        arrays = inner_values(self.sweep, self.inner)
        values = {**rows.values, **arrays}
        self.keep = np.broadcast_to(rows.wanted()[:, None], shape)
        for constraint in self.sweep.constraints:
            if constraint.of_inputs and self.keep.any():
                self.keep = self.keep & constraint.holds(values)
        wanted: NDArray[np.bool_] = np.any(self.keep, axis=1)
        self.reason = np.zeros(shape, dtype=np.int32)
        self.results = {name: np.full(shape, np.nan) for name in COLUMNS}
        slow = np.zeros(shape, dtype=np.bool_)
        for alike in rows.alike(wanted, arrays):
            system = alike.jobs.system
            evaluated = self._several if system.parallel.packages > 1 else self._single
            for row, text in evaluated(alike).items():
                rows.refused[int(alike.rows[row])] = text
            slow[alike.rows] = system.link_too_slow
        if slow.any():
            self.reason[slow] = self._code(LINK_TOO_SLOW)
            for column in self.results.values():
                column[slow] = np.nan
        for row, text in rows.refused.items():
            if wanted[row]:
                self.reason[row] = self._code(text)
        for constraint in self.sweep.constraints:
            if not constraint.of_inputs:
                good = np.broadcast_to(constraint.holds({**values, **self.results}), shape)
                short = ~good & (self.reason == 0) & self.keep
                if short.any():
                    self.reason[short] = self._code(f"falls short of {constraint.text}")

    def _single(self, alike: AlikeRows) -> dict[int, str]:
        """One package: fill in results; return the machines that do not fit, and why."""
        ways, refused = ways_to_run(alike.jobs)
        for part in self._chunks(ways):
            jobs = part.jobs
            machine = Machine(jobs.system, jobs.terms)
            account = quickest_steps(part)
            cost = account_cost(jobs.system, jobs.method.mesh)
            sums = totals(account, jobs.method, machine, jobs.global_batch, jobs.length)
            rows = alike.rows[part.rows]
            for name, column in columns_of(sums, cost, account.layer_elements).items():
                self.results[name][rows] = column
        return refused

    def _several(self, alike: AlikeRows) -> dict[int, str]:
        """Several packages: try every micro-batch, and keep the results of the fastest for each point."""
        jobs = alike.jobs
        refused: dict[int, str] = {}
        fitting: set[int] = set()
        try:
            work = replicas_of(jobs)
            sizes = list(work.micro_batches())
        except ValueError as refusal:
            return dict.fromkeys(range(jobs.count), str(refusal))
        # Each machine, once for each micro-batch.
        count = len(sizes)
        every = jobs.select(np.repeat(np.arange(jobs.count), count))
        needs = [work.need(size)[0] for size in sizes]
        need = needs[0]
        if sizes != [None]:
            columns = zip(*((part.state, part.saved, part.sequences) for part in needs), strict=True)
            need = DramNeed(*(np.tile(np.array(column, float), jobs.count)[:, None] for column in columns))
        ways, lacking = ways_to_run(replace(every, global_batch=work.batch), need)
        quickest = _Quickest(jobs.count, len(self.inner))
        for part in self._chunks(ways):
            columns_found = _of_several(part, jobs.global_batch)
            fitting |= set((part.rows // count).tolist())
            for number in np.unique(part.rows % count).tolist():
                chosen = part.rows % count == number
                rows = part.rows[chosen] // count
                better = quickest.take(rows, number, columns_found["step_seconds"][chosen])
                places = alike.rows[rows]
                for name, column in columns_found.items():
                    old = self.results[name][places]
                    self.results[name][places] = np.where(better, column[chosen], old)
        for row in sorted(lacking):
            refused.setdefault(row // count, lacking[row])
        return {row: text for row, text in refused.items() if row not in fitting}

    def _chunks(self, ways: Ways) -> Iterator[Ways]:
        step = max(1, CHUNK // max(1, len(self.inner)))
        every = np.arange(len(ways.rows))
        for start in range(0, len(every), step):
            yield ways.select(every[start : start + step])

    def _code(self, text: str) -> int:
        return self.codes.setdefault(text, len(self.codes))


class _Quickest:
    """The fastest step of each point so far, and the number of the attempt."""

    def __init__(self, rows: int, columns: int) -> None:
        self._seconds = np.full((rows, columns), np.inf)
        self._number = np.full((rows, columns), np.iinfo(np.int64).max)

    def take(self, rows: NDArray[np.intp], number: int, seconds: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Take ``seconds`` of attempt ``number`` where they are less, and return where; of equal ones the lower number
        wins.
        """
        old = self._seconds[rows]
        better: NDArray[np.bool_] = (seconds < old) | ((seconds == old) & (number < self._number[rows]))
        self._seconds[rows] = np.where(better, seconds, old)
        self._number[rows] = np.where(better, number, self._number[rows])
        return better


def _of_several(ways: Ways, global_batch: int) -> dict[str, NDArray[np.float64]]:
    """The columns of a step of ``global_batch`` sequences on several packages: arrays of rows x columns."""
    jobs = ways.jobs
    work = replicas_of(replace(jobs, global_batch=global_batch))
    machine = work.machine
    whole, of_package = quickest_steps(ways), ways.step()
    # The fullest stage is in no column.
    account = work.account(whole, of_package.work.sequences, of_package.rounds, work.stages[0])
    step = step_of_all(work, whole, account)
    fewer = whole
    if work.shorter:
        fewer = quickest_steps(replace(ways, jobs=replace(jobs, global_batch=work.batch - 1)))
    step = replace(step, events=work.events(whole, fewer))
    cost = account_cost(jobs.system, jobs.method.mesh)
    cost = replace(cost, parts={name: part * work.spec.packages for name, part in cost.parts.items()})
    sums = totals(step, jobs.method, machine, global_batch, jobs.length)
    energy = energy_of_all(work, step, account)
    sums = replace(sums, mfu=sums.mfu / work.spec.packages, energy=energy, energy_joules=sum(energy.values()))
    columns = columns_of(sums, cost, step.layer_elements)
    # Of machines that differ in prices only, cost has more columns than time.
    return dict(zip(columns, np.broadcast_arrays(*columns.values()), strict=True))


def point_request(sweep: Sweep, point: int) -> StepRequest:
    """The request for the projection of one point alone.

    Raises ``ValueError`` of one line when there is no such machine.
    """
    row, column = divmod(point, sweep.group_points)
    rows = SweepRows(sweep, row, row + 1)
    if rows.refused:
        raise ValueError(rows.refused[0])
    arrays = inner_values(sweep, np.array([column]))
    chosen = {name: values.tolist()[0] for name, values in arrays.items()}
    system = varied(rows.system(0), chosen)
    if system.link_too_slow:
        raise ValueError(LINK_TOO_SLOW)
    return rows.request(0, system)


def inner_values(sweep: Sweep, inner: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Values of the inner axes; the last axis varies fastest."""
    chosen: dict[str, NDArray[Any]] = {}
    quotient = inner
    for axis in reversed(sweep.inner):
        quotient, place = np.divmod(quotient, len(axis.values))
        columns = zip(*axis.values, strict=True)
        for name, of_name in zip(axis.names, columns, strict=True):
            chosen[name] = np.array(of_name)[place]
    return chosen
