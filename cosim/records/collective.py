"""Records of collectives: what was run, on what, and what came out."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import Field

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from cosim.program.shape import Operands
from cosim.records.base import Model, checked
from cosim.records.links import FaultyLinks, LinkTotals
from nop.collectives import Algorithm, LineOp

__all__ = ["AxisName", "CollectiveRecord", "CollectiveRequest", "collective_request"]

AxisName = Literal["row", "column", "both"]


class CollectiveRequest(Model):
    """A collective to run on every row or column of a mesh, or on all of both at the same time.

    ``flits`` is the length of a die's chunk. The dies are those of ``die`` but for arrays of one PE and small buffers,
    which no collective touches. Without ``links`` the routers are joined by wires without latency. ``stall`` is the
    chance that a cycle of a die's memory port takes no request, and that a word that is due does not come: programs
    come late, and dies begin one after the other.
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
    stall: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 0
    sim: str = "icarus"

    @property
    def axes(self) -> tuple[str, ...]:
        """Axes along which lines run."""
        return ("row", "column") if self.axis == "both" else (self.axis,)

    def nodes(self, axis: str) -> int:
        """Dies of a line along ``axis``."""
        return self.cols if axis == "row" else self.rows


def collective_request(**fields: Any) -> CollectiveRequest:
    """Return a request. Raises ValueError of one line if a field is out of range."""
    return checked(CollectiveRequest, fields)


class CollectiveRecord(Model):
    """A measured collective.

    Attributes
    ----------
    request
        What was run.
    op, mesh, axis, algorithm, flits, dtype, nop, seed
        Of the request; ``mesh`` as in ``1x4``.
    cycles
        From the first flit that left an engine to the last one that entered one; 0 if none did.
    floor_cycles
        See :func:`nop.lower_bound.line_floor`; of the longer axis, if both run.
    predicted_cycles
        With the design's terms, see :mod:`nop.line_model`.
    utilization
        ``floor_cycles / cycles``; 1 if there was nothing to do.
    mismatches
        32-bit words of the chunks that differ from the golden result.
    flits_sent, flits_received
        By side of the die, summed over the dies.
    commands
        Of the longest program.
    counters
        Of each die, row by row.
    link_totals
        Of all links, if they have adapters.
    sim, simulator_version, hecaton_version, verilog_sha256
        What ran it, and the design that ran.
    wall_seconds
        Time of the simulation, without building.
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
    sim: str
    simulator_version: str
    hecaton_version: str
    verilog_sha256: str
    wall_seconds: float

    @property
    def file_name(self) -> str:
        """Name of the record's file: what was run, and a digest of everything that decides the outcome."""
        decides = self.request.model_dump_json() + self.verilog_sha256
        return (
            f"{self.op}_{self.mesh}_{self.axis}_{self.algorithm}_{self.flits}_{self.dtype}_"
            f"{hashlib.sha256(decides.encode()).hexdigest()[:8]}.json"
        )
