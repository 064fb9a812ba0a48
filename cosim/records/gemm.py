"""Requests and records of a GEMM on one die."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chiplet.layout.block_sizes import Form
from chiplet.machine.specs import DieSpec, Dtype, MemorySpec
from cosim.program.shape import Operands
from cosim.records.base import Interval, Record, Request, Seed, Stall, checked

__all__ = ["SPENT", "GemmRecord", "GemmRequest", "gemm_request", "spent_cycles"]


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


SPENT = {
    "ideal": "multiply-adds on elements that exist",
    "padding of K": "rows of the array beyond K",
    "padding of N": "columns of the array beyond N",
    "padding of M": "tiles with fewer rows than the load of the next weights takes, or than the adder has stages",
    "fill and drain": "first weights on their way into the array, last sums on their way out",
    "waiting for loads": "operands on their way from memory to the operand buffers",
    "waiting for drains": "no room for sums",
    "fetch": "commands on their way",
    "stores behind the last tile": "sums on their way to memory",
}
"""What the cycles of a GEMM are spent on."""


def spent_cycles(counters: Mapping[str, int], *, macs_per_cycle: int) -> dict[str, float]:
    """What the cycles of a program were spent on, in the order of :data:`SPENT`; each part has a counter of its own."""
    parts = (
        counters["macs"] / macs_per_cycle,
        counters["padding_k"] / macs_per_cycle,
        counters["padding_n"] / macs_per_cycle,
        *(float(counters[f"lost_{name}"]) for name in ("rows", "fill", "load", "drain", "fetch", "store")),
    )
    return dict(zip(SPENT, parts, strict=True))


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
    total_utilization
        ``ideal_cycles / cycles``.
    spent
        What the cycles were spent on, by name; they add up to ``cycles``. See :data:`SPENT`.
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
    total_utilization: float
    spent: dict[str, float]
    mismatches: int
    counters: dict[str, int]
    commands: int
    seed: int
