"""Requests and records of a vector program on one die."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from chiplet.machine.specs import DieSpec, MemorySpec
from chiplet.machine.vector_specs import VectorSpec
from cosim.program.shape import Operands
from cosim.records.base import Interval, Record, Request, Seed, Stall, checked

__all__ = ["VectorRecord", "VectorRequest", "vector_request"]


class VectorRequest(Request):
    """A vector program to run on a die, on a matrix of ``rows`` x ``cols``.

    ``causal``: softmax under the causal mask. ``lines`` is the number of dies whose parts of the vocabulary
    ``cross-entropy-merge`` joins. ``stall`` and ``interval`` are those of the memory, see :mod:`cosim.records.base`.
    """

    program: str
    rows: int
    cols: int
    causal: bool = False
    lines: Annotated[int, Field(ge=1, le=16)] = 1
    die: DieSpec
    memory: MemorySpec
    vector: VectorSpec
    seed: Seed = 0
    stall: Stall = 0.0
    interval: Interval = 1
    operands: Operands = "normal"
    sim: str = "icarus"

    @property
    def file_stem(self) -> str:
        return f"vector_{self.program}_{self.rows}x{self.cols}"


def vector_request(**fields: Any) -> VectorRequest:
    """Return a request. Raises ValueError with one line for a value that is out of range."""
    return checked(VectorRequest, fields)


class VectorRecord(Record):
    """A measured vector program.

    Attributes
    ----------
    request
        What was run.
    program, rows, cols
        Of the request.
    lanes, function_lanes
        Of the vector unit.
    blocks, block_rows, buffers
        Blocks of rows, rows of one, and places of each input and output in the scratchpad that blocks take in turn.
    passes
        Passes of all blocks.
    cycles
        From start to done.
    vector_cycles
        Cycles in which the vector unit had a command that waited for no semaphore.
    beat_cycles
        Cycles that the passes take at the rate of the vector unit, without beginnings and ends.
    predicted_cycles
        Prediction of the timeline for ``cycles``, without simulation.
    mismatches
        Elements of all outputs with a bit that is undefined or differs from the golden model.
    results
        Elements of all outputs.
    counters
        Every counter of the die.
    commands
        Length of the program.
    """

    request: VectorRequest
    program: str
    rows: int
    cols: int
    lanes: int
    function_lanes: int
    blocks: int
    block_rows: int
    buffers: int
    passes: int
    cycles: int
    vector_cycles: int
    beat_cycles: int
    predicted_cycles: int
    mismatches: int
    results: int
    counters: dict[str, int]
    commands: int
    seed: int
