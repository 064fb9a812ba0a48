"""The runs of a regression as tasks for workers, and the bounds that a finished run misses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cosim.backends.base import SimulationError
from cosim.records.gemm import GemmRecord, GemmRequest
from cosim.regress.cases import GemmCase
from cosim.regress.matrix import Bounds
from cosim.regress.reuse import run_unless_known

__all__ = ["Finished", "RegressionTask", "run_task", "shortfalls"]


@dataclass(frozen=True)
class RegressionTask:
    """A request, and its known records."""

    request: GemmRequest
    known: tuple[GemmRecord, ...]


@dataclass(frozen=True)
class Finished:
    """A run that has ended: its record and whether that was known before, or why there is none."""

    record: GemmRecord | None
    reused: bool
    error: str


def run_task(task: RegressionTask) -> Finished:
    """Run a task, or reuse one of its records. A simulation that fails is an outcome, not an error."""
    try:
        record, reused = run_unless_known(task.request, task.known)
    except SimulationError as error:
        return Finished(None, False, str(error))
    return Finished(record, reused, "")


def shortfalls(
    case: GemmCase, finished: Finished, bounds: Bounds, most_cycles: Mapping[str, int]
) -> list[str]:
    """The bounds that a run misses, as texts; empty if it meets all.

    ``most_cycles`` are the cycles that runs may take, by their names.
    """
    record = finished.record
    if record is None:
        return [finished.error]
    missed = []
    if record.mismatches:
        missed.append(f"{record.mismatches} of {record.m * record.n} results differ from the golden model")
    over = record.array_cycles - record.floor_cycles
    if case.fits and over > bounds.array_cycles_over_floor:
        missed.append(
            f"array_cycles = {record.array_cycles} is {over} over the floor of {record.floor_cycles}: "
            f"must be at most {bounds.array_cycles_over_floor}"
        )
    most = most_cycles.get(case.name)
    if most is not None and record.cycles > most:
        missed.append(f"cycles = {record.cycles}: must be at most {most}, those of the baseline")
    if bounds.prediction_error is not None and not case.request.stall:
        cycles = abs(record.predicted_cycles - record.cycles)
        error = cycles / record.cycles
        besides = f" or {bounds.prediction_cycles} cycles" if bounds.prediction_cycles else ""
        if error > bounds.prediction_error and cycles > bounds.prediction_cycles:
            missed.append(
                f"predicted_cycles = {record.predicted_cycles} is off by {error:.2%} of cycles = {record.cycles}: "
                f"must be at most {bounds.prediction_error:.2%}{besides}"
            )
    return missed
