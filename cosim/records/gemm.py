"""Measurement records: what was run, on what, and what came out."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from pydantic import Field

from chiplet.machine.specs import DieSpec, Dtype, MemorySpec
from cosim.program.shape import Form, Operands
from cosim.records.base import Model, checked

__all__ = ["GemmRecord", "GemmRequest", "gemm_request", "record_file_name"]


class GemmRequest(Model):
    """A GEMM to run on a die.

    ``stall`` is the chance that a cycle of the memory port takes no request, and that a word that is due does not
    come; ``interval`` the least cycles from one request to the next.
    """

    m: int
    k: int
    n: int
    form: Form = "nn"
    die: DieSpec
    memory: MemorySpec
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 0
    stall: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    interval: Annotated[int, Field(ge=1, le=1 << 15)] = 1
    operands: Operands = "normal"
    sim: str = "icarus"


def gemm_request(**fields: Any) -> GemmRequest:
    """Return a request. Raises ValueError, in one line, for a value that is out of range."""
    return checked(GemmRequest, fields)


class GemmRecord(Model):
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
        What the timeline says, without simulation.
    utilization
        ``ideal_cycles / array_cycles``.
    mismatches
        Result elements that differ from the golden model, or are undefined, in any bit.
    commands, verilog_sha256
        Length of the program; the design that ran it.
    sim, simulator_version, hecaton_version
        What ran it.
    wall_seconds
        Time of the simulation, without building.
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
    sim: str
    simulator_version: str
    hecaton_version: str
    verilog_sha256: str
    wall_seconds: float

    @property
    def file_name(self) -> str:
        """Name of the record's file, see :func:`record_file_name`."""
        return record_file_name(self.request, self.verilog_sha256)


def record_file_name(request: GemmRequest, verilog_sha256: str) -> str:
    """Name of a record's file: what is run, and a digest of everything that decides the outcome."""
    decides = request.model_dump_json() + verilog_sha256
    die = request.die
    return (
        f"gemm_{request.m}x{request.k}x{request.n}_{request.form}_{die.rows}x{die.cols}_{die.dtype}_"
        f"{hashlib.sha256(decides.encode()).hexdigest()[:8]}.json"
    )
