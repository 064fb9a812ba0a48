"""Requests and records of a GEMM on one die."""

from __future__ import annotations

from typing import Any

from chiplet.machine.specs import DieSpec, Dtype, MemorySpec
from cosim.program.shape import Form, Operands
from cosim.records.base import Interval, Record, Request, Seed, Stall, checked

__all__ = ["GemmRecord", "GemmRequest", "gemm_request"]


class GemmRequest(Request):
    """A GEMM to run on a die.

    ``stall`` and ``interval`` are those of the memory, see :mod:`cosim.records.base`.
    """

    m: int
    k: int
    n: int
    form: Form = "nn"
    die: DieSpec
    memory: MemorySpec
    seed: Seed = 0
    stall: Stall = 0.0
    interval: Interval = 1
    operands: Operands = "normal"
    sim: str = "icarus"

    @property
    def file_stem(self) -> str:
        return f"gemm_{self.m}x{self.k}x{self.n}_{self.form}_{self.die.rows}x{self.die.cols}_{self.die.dtype}"


def gemm_request(**fields: Any) -> GemmRequest:
    """Return a request. Raises ValueError with one line for a value that is out of range."""
    return checked(GemmRequest, fields)


class GemmRecord(Record):
    """A measured GEMM.

    Attributes
    ----------
    request
        What was run.
    rows, cols, dtype
        Of the die.
    cycles
        From start to done.
    array_cycles
        From the first operand row at the array to the last row of sums out of the accumulator adders.
    ideal_cycles
        ceil(M K N / (R C)).
    floor_cycles
        The design's floor for ``array_cycles``.
    predicted_cycles, predicted_array_cycles
        Prediction of the timeline, without simulation.
    utilization
        ``ideal_cycles / array_cycles``.
    mismatches
        Elements of the result with a bit that is undefined or differs from the golden model.
    counters
        Every counter of the die.
    commands
        Length of the program.
    """

    request: GemmRequest
    m: int
    k: int
    n: int
    form: Form
    rows: int
    cols: int
    dtype: Dtype
    cycles: int
    array_cycles: int
    ideal_cycles: int
    floor_cycles: int
    predicted_cycles: int
    predicted_array_cycles: int
    utilization: float
    mismatches: int
    counters: dict[str, int]
    commands: int
    seed: int
