"""Requests and records of a package: a GEMM spread over its dies, and a collective."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from pydantic import Field

from chiplet.machine.specs import Dtype, SystemSpec
from cosim.program.shape import Form, Operands
from cosim.records.base import Model, checked
from cosim.records.collective import CollectiveRecord
from nop.collectives import Algorithm


class PackageCollectiveRecord(CollectiveRecord):
    """A collective measured on a package.

    Attributes
    ----------
    io
        Sides of the package that have IO dies.
    phase_cycles
        Of ``load`` and ``store``, too, each from the common start to the end of the last die's program.
    """

    io: str
    phase_cycles: dict[str, int]

    @property
    def file_name(self) -> str:
        """As that of a collective, and that it ran on a package."""
        return f"package_{super().file_name}"


class PackageGemmRequest(Model):
    """A GEMM on all dies of a package together, see :mod:`cosim.program.distribution`.

    ``stall`` and ``interval`` are those of each memory, see :class:`cosim.records.gemm.GemmRequest`. With ``direct`` there
    are no link adapters between the routers.
    """

    m: int
    k: int
    n: int
    form: Form = "nn"
    algorithm: Algorithm = "chain"
    system: SystemSpec
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 0
    stall: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    interval: Annotated[int, Field(ge=1, le=1 << 15)] = 1
    operands: Operands = "normal"
    sim: str = "icarus"
    direct: bool = False


def package_gemm_request(**fields: Any) -> PackageGemmRequest:
    """Return a request. Raises ValueError of one line if a field is out of range."""
    return checked(PackageGemmRequest, fields)


class PhaseResult(Model):
    """A phase: from the common start to the end of the last die's program.

    Attributes
    ----------
    name
        One of :data:`cosim.program.package_gemm.GEMM_PHASES`.
    cycles
        Of the slowest die.
    axi_reads, axi_writes
        Words at all AXI ports, programs included.
    nop_flits
        Flits that left the engines.
    """

    name: str
    cycles: int
    axi_reads: int
    axi_writes: int
    nop_flits: int


class DieResult(Model):
    """A die.

    Attributes
    ----------
    row, col
        Its place, from 0.
    macs
        Multiply-adds of the GEMM that it did.
    utilization
        ``macs`` over R C multiply-adds in each cycle of the whole run.
    mismatches
        Elements of its part of the result that differ from the golden model, or are undefined, in any bit.
    """

    row: int
    col: int
    macs: int
    utilization: float
    mismatches: int


class PackageGemmRecord(Model):
    """A measured GEMM of a package.

    Attributes
    ----------
    request
        What was run.
    m, k, n, form, algorithm, mesh, rows, cols, dtype, seed
        Of the request; ``mesh`` as in ``2x3``, ``rows`` and ``cols`` those of a die's array.
    cycles
        Sum of the phases'.
    ideal_cycles
        ceil(M K N / (R C)) over the dies.
    utilization, array_utilization
        ``ideal_cycles`` over ``cycles``, and over those of the phase ``multiply``.
    phases, dies
        One after the other.
    axi_bytes
        Read and written at the AXI port of each IO die.
    least_axi_bytes
        Operands and result once, without programs and rows that are filled up.
    mismatches
        Of all dies.
    counters
        Of each die in each phase.
    sim, simulator_version, hecaton_version, verilog_sha256
        What ran it, and the design that ran.
    wall_seconds
        Time of the simulation, without building.
    """

    request: PackageGemmRequest
    m: int
    k: int
    n: int
    form: Form
    algorithm: Algorithm
    mesh: str
    rows: int
    cols: int
    dtype: Dtype
    cycles: int
    ideal_cycles: int
    utilization: float
    array_utilization: float
    mismatches: int
    phases: tuple[PhaseResult, ...]
    dies: tuple[DieResult, ...]
    axi_bytes: dict[str, dict[str, int]]
    least_axi_bytes: int
    counters: dict[str, tuple[dict[str, int], ...]]
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
            f"package_{self.mesh}_{self.m}x{self.k}x{self.n}_{self.form}_{self.rows}x{self.cols}_{self.dtype}_"
            f"{hashlib.sha256(decides.encode()).hexdigest()[:8]}.json"
        )
