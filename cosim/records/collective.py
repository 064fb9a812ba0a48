"""Requests and records of a collective on a mesh of dies."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from cosim.program.shape import Operands
from cosim.records.base import Record, Request, Seed, Stall, checked
from cosim.records.links import FaultyLinks, LinkTotals
from nop.collectives import Algorithm, LineOp

__all__ = ["AxisName", "CollectiveRecord", "CollectiveRequest", "collective_request"]

AxisName = Literal["row", "column", "both"]


class CollectiveRequest(Request):
    """A collective to run on every row or every column of a mesh, or on all rows and columns at the same time.

    ``flits`` is the length of a die's chunk. The dies are those of ``die``, with an array of one PE and small buffers,
    which no collective uses. Without ``links`` the routers are joined by wires without latency. With a ``stall`` (see
    :mod:`cosim.records.base`) programs arrive late, and the dies begin at different times.
    """

    op: LineOp
    rows: Annotated[int, Field(ge=1, le=64)]
    cols: Annotated[int, Field(ge=1, le=64)]
    axis: AxisName
    algorithm: Algorithm
    flits: Annotated[int, Field(ge=1, le=65535)]
    die: DieSpec = Field(default_factory=DieSpec)
    nop: NopSpec = Field(default_factory=NopSpec)
    memory: MemorySpec = Field(default_factory=MemorySpec)
    operands: Operands = "normal"
    links: FaultyLinks | None = None
    stall: Stall = 0.0
    seed: Seed = 0
    sim: str = "icarus"

    @property
    def file_stem(self) -> str:
        return f"{self.op}_{self.mesh}_{self.axis}_{self.algorithm}_{self.flits}_{self.die.dtype}"

    @property
    def mesh(self) -> str:
        """Rows and columns of dies, as in ``1x4``."""
        return f"{self.rows}x{self.cols}"

    @property
    def axes(self) -> tuple[str, ...]:
        """Axes of the lines."""
        return ("row", "column") if self.axis == "both" else (self.axis,)

    def nodes(self, axis: str) -> int:
        """Dies of a line along ``axis``."""
        return self.cols if axis == "row" else self.rows


def collective_request(**fields: Any) -> CollectiveRequest:
    """Return a request. Raises ValueError with one line for a value that is out of range."""
    return checked(CollectiveRequest, fields)


class CollectiveRecord(Record):
    """A measured collective.

    Attributes
    ----------
    request
        What was run.
    mesh
        Of the request, as in ``1x4``.
    op, axis, algorithm, flits, dtype, nop, seed
        Of the request.
    cycles
        From the first flit that leaves an engine to the last flit that enters one; 0 if no flit does.
    floor_cycles
        See :func:`nop.lower_bound.line_floor`; that of the longer axis, if both run.
    predicted_cycles
        Prediction with the design's terms, see :mod:`nop.line_model`.
    utilization
        ``floor_cycles / cycles``; 1 if there was nothing to do.
    mismatches
        32-bit words of the chunks that are undefined or differ from the golden result.
    flits_sent, flits_received
        Flits by side of the die, summed over the dies.
    commands
        Length of the longest program.
    counters
        Of each die, row by row.
    link_totals
        Totals over all links, if they have adapters.
    """

    request: CollectiveRequest
    op: LineOp
    mesh: str
    axis: AxisName
    algorithm: Algorithm
    flits: int
    dtype: str
    nop: NopSpec
    cycles: int
    floor_cycles: int
    predicted_cycles: float
    utilization: float
    mismatches: int
    flits_sent: dict[str, int]
    flits_received: dict[str, int]
    commands: int
    counters: tuple[dict[str, int], ...]
    link_totals: LinkTotals | None
    seed: int
