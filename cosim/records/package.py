"""Requests and records of a package: a GEMM spread over its dies, and a collective."""

from __future__ import annotations

from typing import Any

from chiplet.layout.block_sizes import Form
from chiplet.machine.base import StrictModel
from chiplet.machine.specs import Dtype, SystemSpec
from cosim.program.shape import Operands
from cosim.records.base import Interval, Record, Request, Seed, Stall, checked
from cosim.records.collective import CollectiveRecord
from cosim.records.link_ends import LinkEnds
from cosim.records.links import FaultyLinks, LinkFaults
from nop.collectives import Algorithm


class PackageCollectiveRecord(CollectiveRecord):
    """A collective measured on a package.

    Attributes
    ----------
    io
        Sides of the package that have IO dies.
    phase_cycles
        Cycles of ``load``, ``collective`` and ``store``, each from the common start to the end of the last program.
    link_faults
        Faults of the links, or None if they had none.
    link_ends
        What the dies' ends of the links said at the end of the run, or None without adapters.
    """

    io: str
    phase_cycles: dict[str, int]
    link_faults: LinkFaults | None
    link_ends: LinkEnds | None

    @property
    def file_name(self) -> str:
        """That of a collective's record, marked as one on a package."""
        return f"package_{super().file_name}"


class PackageGemmRequest(Request):
    """A GEMM on all dies of a package together, see :mod:`cosim.program.distribution`.

    ``stall`` and ``interval`` are those of each memory, see :mod:`cosim.records.base`. With ``direct`` the routers are
    joined without link adapters. ``links`` are links with faults, if they have any.
    """

    m: int
    k: int
    n: int
    form: Form = "nn"
    algorithm: Algorithm = "chain"
    system: SystemSpec
    seed: Seed = 0
    stall: Stall = 0.0
    interval: Interval = 1
    operands: Operands = "normal"
    sim: str = "icarus"
    direct: bool = False
    links: FaultyLinks | None = None

    @property
    def file_stem(self) -> str:
        die = self.system.die
        return f"package_{self.mesh}_{self.m}x{self.k}x{self.n}_{self.form}_{die.rows}x{die.cols}_{die.dtype}"

    @property
    def mesh(self) -> str:
        """Rows and columns of dies, as in ``2x3``."""
        return f"{self.system.package.rows}x{self.system.package.cols}"


def package_gemm_request(**fields: Any) -> PackageGemmRequest:
    """Return a request. Raises ValueError with one line for a value that is out of range."""
    return checked(PackageGemmRequest, fields)


class PhaseResult(StrictModel):
    """A phase: from the common start to the end of the last program.

    Attributes
    ----------
    name
        One of :data:`cosim.program.package_gemm.GEMM_PHASES`.
    cycles
        Of the slowest die.
    axi_reads, axi_writes
        Words at all AXI ports, including programs.
    nop_flits
        Flits that left the engines.
    """

    name: str
    cycles: int
    axi_reads: int
    axi_writes: int
    nop_flits: int


class DieResult(StrictModel):
    """A die.

    Attributes
    ----------
    row, col
        Coordinates, from 0.
    macs
        Multiply-adds of the GEMM that this die did.
    utilization
        ``macs`` over R C multiply-adds in every cycle of the run.
    mismatches
        Elements of its part of the result with a bit that is undefined or differs from the golden model.
    """

    row: int
    col: int
    macs: int
    utilization: float
    mismatches: int


class PackageGemmRecord(Record):
    """A measured GEMM of a package.

    Attributes
    ----------
    request
        What was run.
    mesh
        Of the request, as in ``2x3``.
    rows, cols
        Of a die's array.
    m, k, n, form, algorithm, dtype, seed
        Of the request.
    cycles
        From the common start to the end of the last program.
    predicted_cycles
        Of :func:`cosim.predict.package.predict_package`.
    ideal_cycles
        ceil(M K N / (R C x dies)).
    utilization, array_utilization
        ``ideal_cycles`` over ``cycles``, and over the cycles of the slowest array, from its first operand row to its
        last sum.
    phases, dies
        In order: of time, and of the dies' numbers.
    axi_bytes
        Bytes read and written at the AXI port of each IO die.
    least_axi_bytes
        Operands and result moved once, without programs and without padding of rows.
    mismatches
        Sum over the dies.
    counters
        Counters of each die in each phase.
    link_faults
        Faults of the links, or None if they had none.
    link_ends
        What the dies' ends of the links said at the end of the run, or None without adapters.
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
    predicted_cycles: int
    ideal_cycles: int
    utilization: float
    array_utilization: float
    mismatches: int
    phases: tuple[PhaseResult, ...]
    dies: tuple[DieResult, ...]
    axi_bytes: dict[str, dict[str, int]]
    least_axi_bytes: int
    counters: dict[str, tuple[dict[str, int], ...]]
    link_faults: LinkFaults | None
    link_ends: LinkEnds | None
    seed: int
