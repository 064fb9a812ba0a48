"""Inputs of SCALE-Sim: the GEMMs of one layer on one die as a topology file, and the die's array.

SCALE-Sim simulates each row separately, cycle by cycle. A GEMM that runs more than once, for several token tiles or
heads, is listed once; the result of the export says how often it runs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil

from chiplet.export.layer_graph import cut_gemm, layer_operations
from chiplet.machine.specs import SUM_BYTES, DieSpec
from chiplet.machine.terms import GemmTerms
from chiplet.projection.project import Accounted


@dataclass(frozen=True)
class GemmRow:
    """A GEMM of m x k by k x n that a die runs ``times`` times, with its array cycles by our terms and by SCALE-Sim."""

    name: str
    m: int
    k: int
    n: int
    times: int
    array_cycles: float
    scale_sim_cycles: int


def scale_sim_cycles(*, rows: int, cols: int, m: int, k: int, n: int) -> int:
    """SCALE-Sim's stall-free cycles of a weight-stationary GEMM, which has no shadow weights:
    ceil(k / R) ceil(n / C) (m + 2 R + C - 2) - 1.
    """
    return ceil(k / rows) * ceil(n / cols) * (m + 2 * rows + cols - 2) - 1


def gemm_rows(accounted: Accounted, sequences: int) -> list[GemmRow]:
    """The GEMMs of one layer on the busiest die, forward and backward, cut into token tiles; equal ones listed once."""
    die, terms = accounted.machine.system.die, accounted.machine.terms
    counts: Counter[tuple[int, int, int]] = Counter()
    names: dict[tuple[int, int, int], str] = {}
    for block, direction, operation, tokens, tile in layer_operations(accounted, sequences):
        for step in operation.gemms:
            for part, times in cut_gemm(step, min(tile, tokens)):
                shape = (part.m, part.k, part.n)
                counts[shape] += times * part.count
                names.setdefault(shape, f"{block} {direction} {operation.name} {step.name}")
    return [_row(names[shape], shape, times, die, terms) for shape, times in counts.items()]


def _row(name: str, shape: tuple[int, int, int], times: int, die: DieSpec, terms: GemmTerms) -> GemmRow:
    m, k, n = shape
    # Commas separate the columns of the file.
    plain = "_".join(name.replace(",", "").replace("^", "").split())
    theirs = scale_sim_cycles(rows=die.rows, cols=die.cols, m=m, k=k, n=n)
    return GemmRow(plain, m, k, n, times, terms.on(die, m, k, n), theirs)


def topology_csv(rows: list[GemmRow]) -> str:
    """The GEMMs as SCALE-Sim reads them with ``-i gemm``; every line ends with a comma."""
    lines = ["Layer, M, N, K,", *(f"{row.name}, {row.m}, {row.n}, {row.k}," for row in rows)]
    return "\n".join(lines) + "\n"


def config_cfg(die: DieSpec, run_name: str) -> str:
    """The die as SCALE-Sim reads it: array, buffers, weight-stationary, bandwidth as needed.

    Its SRAM of an operand is what lies between array and DRAM: of the activations the scratchpad, which they stay in,
    and not the activation buffer, through which they stream again for each column of tiles. Its buffers are in KiB of
    words of one byte, whatever the type: as many words as ours hold elements.
    """
    buffers = (
        (die.scratchpad_bytes, die.element_bytes),
        (die.weight_bytes, die.element_bytes),
        (die.accumulator_bytes, SUM_BYTES),
    )
    kib = [max(1, size // (1024 * word)) for size, word in buffers]
    return f"""[general]
run_name = {run_name}

[architecture_presets]
ArrayHeight = {die.rows}
ArrayWidth = {die.cols}
IfmapSramSzkB = {kib[0]}
FilterSramSzkB = {kib[1]}
OfmapSramSzkB = {kib[2]}
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = ws
Bandwidth = 10
ReadRequestBuffer = 32
WriteRequestBuffer = 32

[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2

[sparsity]
SparsitySupport = false
SparseRep = ellpack_block
OptimizedMapping = false
BlockSize = 8
RandomNumberGeneratorSeed = 40

[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
"""
