"""JSON objects of the commands that project training steps, besides the results of the model.

These modules are imported by type checkers, and when help or documentation lists the keys.
"""

from __future__ import annotations

from typing import Any, TypedDict

from chiplet.explain.counterparts import LedgerRow
from chiplet.explain.ledger import Term
from chiplet.export.scale_sim import GemmRow
from chiplet.studies.megatron_fits import PairFit
from chiplet.studies.results import AblationRow, ClaimBeside, LeftOut, ScalingRow, SensitivityRow


class ProjectionTerms(TypedDict):
    """Terms of a projection.

    Attributes
    ----------
    terms
        Every term of the result, with its formula, operands, unit and status.
    ledger
        Every input of the result, its counterpart in the hardware, and the bench that measures it.
    """

    terms: list[Term]
    ledger: list[LedgerRow]


class PictureFiles(TypedDict):
    """What was written besides the result.

    Attributes
    ----------
    files
        The pictures, and the trace if there is one.
    """

    files: list[str]


class ProjectionAblation(TypedDict):
    """A projection without single rules of the schedule."""

    ablation: list[AblationRow]
    left_out: list[LeftOut]


class ScalingStudy(TypedDict):
    """Scaling of model and package.

    Attributes
    ----------
    rows
        Weak scaling: each method on each pair of model and package; terms are the factors of compute_to_nop.
    spread
        Largest deviation of hecaton's compute_to_nop from the middle of its range, as a share of it.
    strong
        Strong scaling of one model.
    files
        The plots.
    """

    rows: list[ScalingRow]
    spread: float
    strong: list[ScalingRow]
    sensitivity: list[SensitivityRow]
    published: list[ClaimBeside]
    left_out: list[LeftOut]
    files: list[str]


class SweepSummary(TypedDict):
    """A finished sweep.

    Attributes
    ----------
    points
        Rows of the result.
    fitting
        Points that fit the machine and meet the constraints.
    excluded
        Points that constraints on the axes leave out of the result.
    seconds, points_per_second
        Time to evaluate and write the points, without the plot.
    groups
        Combinations of the axes that need schedules of their own.
    objectives
        What the Pareto front minimizes or maximizes.
    pareto
        The front, best by the first objective first: the point, the values that vary, the objectives.
    output, plot
        The files.
    """

    points: int
    fitting: int
    excluded: int
    seconds: float
    points_per_second: float
    groups: int
    objectives: list[str]
    pareto: list[dict[str, Any]]
    output: str
    plot: str


class ClaimFiles(TypedDict):
    """What ``hecaton claims`` has written.

    Attributes
    ----------
    files
        The plot.
    """

    files: list[str]


class ValidationPairs(TypedDict):
    """Fits to pairs of published runs.

    Attributes
    ----------
    pairs
        Efficiencies that meet both runs of a pair, and the errors of the other runs; null where no efficiency up
        to 1 meets both.
    """

    pairs: list[PairFit]


class ExportedTraces(TypedDict):
    """Exported execution traces of one layer.

    Attributes
    ----------
    directory, files
        Where the files are, and their names.
    npus, nodes
        Dies, and nodes of a die's trace.
    tokens
        Tokens that the layer works on.
    received_bytes_per_die
        Bytes of all collectives.
    collective_seconds, compute_seconds
        Sums over the nodes, as we project them.
    """

    directory: str
    files: list[str]
    npus: int
    nodes: int
    tokens: int
    received_bytes_per_die: float
    collective_seconds: float
    compute_seconds: float


class ExportedGemms(TypedDict):
    """Exported GEMMs of one layer.

    Attributes
    ----------
    directory, files
        Where the files are, and their names.
    tokens
        Tokens that the layer works on.
    macs
        Multiply-adds of the busiest die.
    """

    directory: str
    files: list[str]
    tokens: int
    gemms: list[GemmRow]
    macs: int
