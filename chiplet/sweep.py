"""Design points by the thousand, as arrays.

The functions are those of a single projection. What a point's schedule does not depend on (clock, links,
energies, prices: :data:`chiplet.space.CONTINUOUS`) goes into them as arrays with one column a value; everything else
that is a number as arrays with one row for each combination, so that a schedule is worked out once for its points.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chiplet.constraints import Constraint
from chiplet.cost import account_cost
from chiplet.figures import figures
from chiplet.llm import load_model
from chiplet.memory import STATE_BYTES
from chiplet.methods.registry import method_type
from chiplet.plan import plan_step
from chiplet.projection import project
from chiplet.schedules import Decided, decide
from chiplet.specs import SystemSpec
from chiplet.step import account_plan
from chiplet.sweep_columns import COLUMNS, columns_of, of_projection
from chiplet.sweep_machines import Kind, Rows, mesh_of, varied
from chiplet.timeline import Machine
from chiplet.timing import Calibration

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chiplet.space import Sweep

COMMON = ("dies",)
"""What every point has beside what is varied."""

CHUNK = 4096
"""Points at a time: what is worked out for them stays in a core's cache."""


@dataclass(frozen=True)
class Points:
    """Evaluated points: their numbers in the space, results by column, and why a point has none or falls short.

    ``reason`` is a place in ``reasons``, whose first is empty: nothing is wrong. ``excluded`` points of the range
    violate a constraint on what is varied.
    """

    index: NDArray[np.int64]
    results: dict[str, NDArray[np.float64]]
    reason: NDArray[np.int32]
    reasons: tuple[str, ...]
    excluded: int


@dataclass(frozen=True)
class Task:
    """The points ``start`` up to ``stop`` (not included) of a sweep."""

    sweep: Sweep
    start: int
    stop: int
    calibration: Calibration | None = None


def evaluate(task: Task) -> Points:
    """Evaluate a range of points. What does not fit is a point with a reason, not an error."""
    sweep, size = task.sweep, task.sweep.group_points
    codes = {"": 0}
    parts = []
    for first, stop, low, high in _rectangles(task.start, task.stop, size):
        part = _Part(sweep, first, stop, np.arange(low, high), task.calibration, codes)
        with np.errstate(all="ignore"):  # NaN for dies that fit no wafer, and for what does not fit
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
    """Rows ``first`` to ``stop`` of a sweep's outer axes times the combinations ``inner`` of its inner ones."""

    sweep: Sweep
    first: int
    stop: int
    inner: NDArray[np.int64]
    calibration: Calibration | None
    codes: dict[str, int]
    keep: NDArray[np.bool_] = field(init=False)
    reason: NDArray[np.int32] = field(init=False)
    results: dict[str, NDArray[np.float64]] = field(init=False)

    @property
    def index(self) -> NDArray[np.int64]:
        """Numbers of the points that are kept."""
        rows = np.arange(self.first, self.stop)[:, None]
        return (rows * self.sweep.group_points + self.inner)[self.keep]

    def kept(self, name: str) -> NDArray[np.float64]:
        """A column of the points that are kept."""
        return self.results[name][self.keep]

    def evaluate(self) -> None:
        """Fill in the results and reasons."""
        rows = Rows(self.sweep, self.first, self.stop, self.calibration)
        shape = (rows.count, len(self.inner))
        arrays = inner_values(self.sweep, self.inner)
        values = {**rows.values, **arrays}
        self.keep = np.broadcast_to(rows.wanted()[:, None], shape)
        for constraint in self.sweep.constraints:
            if constraint.of_inputs and self.keep.any():
                self.keep = self.keep & _holds(constraint, values)
        wanted: NDArray[np.bool_] = np.any(self.keep, axis=1)
        self.reason = np.zeros(shape, dtype=np.int32)
        self.results = {name: np.full(shape, np.nan) for name in COLUMNS}
        for kind in rows.kinds(wanted, arrays):
            if kind.jobs is None:
                self._one_by_one(rows, kind, arrays)
                continue
            decided, refused = decide(kind.jobs)
            for row, text in refused.items():
                rows.refused[int(kind.rows[row])] = text
            step = max(1, CHUNK // max(1, len(self.inner)))
            for each in decided:
                for start in range(0, len(each.rows), step):
                    self._fill(kind, each.select(slice(start, start + step)))
        for row, text in rows.refused.items():
            if wanted[row]:
                self.reason[row] = self._code(text)
        for constraint in self.sweep.constraints:
            if not constraint.of_inputs:
                good = np.broadcast_to(_holds(constraint, {**values, **self.results}), shape)
                short = ~good & (self.reason == 0) & self.keep
                if short.any():
                    self.reason[short] = self._code(f"falls short of {constraint.text}")

    def _fill(self, kind: Kind, decided: Decided) -> None:
        jobs = decided.jobs
        plan = plan_step(
            jobs.method, jobs.system.die, jobs.terms, decided.schedule(), jobs.global_batch, jobs.optimizer
        )
        machine = Machine(jobs.system, jobs.terms)
        account = account_plan(plan, jobs.method, machine)
        cost = account_cost(jobs.system, jobs.method.mesh)
        found = figures(account, jobs.method, machine, jobs.global_batch, jobs.length)
        rows = kind.rows[decided.rows]
        for name, column in columns_of(found, cost, plan.layer_elements).items():
            self.results[name][rows] = column

    def _one_by_one(self, rows: Rows, kind: Kind, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Several packages: micro-batches and stages are compared with each other, one point after the other."""
        columns = [column.tolist() for column in arrays.values()]
        for row, system in zip(kind.rows.tolist(), kind.systems, strict=True):
            calibration = self.calibration
            if calibration is not None and rows.asks("link.router_cycles", arrays):
                calibration = calibration.model_copy(update={"nop": None})
            for place in np.flatnonzero(self.keep[row]).tolist():
                chosen = {name: column[place] for name, column in zip(arrays, columns, strict=True)}
                try:
                    found = of_projection(
                        project(system=varied(system, chosen), calibration=calibration, **rows.arguments(row))
                    )
                except ValueError as refusal:
                    self.reason[row, place] = self._code(str(refusal))
                    continue
                for name, value in found.items():
                    self.results[name][row, place] = value

    def _code(self, text: str) -> int:
        return self.codes.setdefault(text, len(self.codes))


def point_job(sweep: Sweep, point: int) -> tuple[SystemSpec, dict[str, Any]]:
    """The machine of one point, and its job as :func:`chiplet.projection.project` takes it.

    Raises ``ValueError`` of one line when there is no such machine.
    """
    row, column = divmod(point, sweep.group_points)
    rows = Rows(sweep, row, row + 1, None)
    if rows.refused:
        raise ValueError(rows.refused[0])
    arrays = inner_values(sweep, np.array([column]))
    chosen = {name: values.tolist()[0] for name, values in arrays.items()}
    return varied(rows.system(0), chosen), rows.arguments(0)


def inner_values(sweep: Sweep, inner: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Values of the inner axes, the last one running fastest."""
    found: dict[str, NDArray[Any]] = {}
    rest = inner
    for axis in reversed(sweep.inner):
        rest, place = np.divmod(rest, len(axis.values))
        columns = zip(*axis.values, strict=True)
        for name, values in zip(axis.names, columns, strict=True):
            found[name] = np.array(values)[place]
    return found


def _holds(constraint: Constraint, values: Mapping[str, Any]) -> Any:
    try:
        return constraint.holds(values)
    except (TypeError, ArithmeticError) as error:
        raise ValueError(f"constraint {constraint.text!r}: {error}") from None


def check_job(name: str, value: Any) -> None:
    """Raise ``ValueError`` of one line for a model, method, mesh, batch, length or optimizer that cannot be."""
    if name == "model":
        load_model(str(value))
    elif name == "method":
        method_type(str(value))
    elif name == "mesh":
        mesh_of(value)
    elif name == "optimizer":
        if value not in STATE_BYTES:
            raise ValueError(f"optimizer {value!r}: must be one of {', '.join(STATE_BYTES)}")
    elif value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f"{name} = {value}: must be an integer of at least 1")
