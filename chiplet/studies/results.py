"""Rows and results of studies: frozen models whose ``model_dump()`` has the keys of the JSON output."""

from __future__ import annotations

from typing import Any

from chiplet.machine.base import StrictModel
from chiplet.machine.sources import Input
from chiplet.projection.results import Breakdown
from chiplet.studies.published import PublishedClaim


class AblationRow(StrictModel):
    """A step without one rule of the schedule; ratios are against the step with all of them."""

    without: str
    dram_bytes: float
    step_seconds: float
    dram_ratio: float
    step_ratio: float


class MethodResult(StrictModel):
    """One method in a comparison; ``speedup`` and ``energy_ratio`` are against the flat ring."""

    method: str
    step_seconds: float
    energy_joules: float
    speedup: float
    energy_ratio: float
    mfu: float
    nop_elements_per_die_per_layer: float
    switches: dict[str, Any]
    breakdown: Breakdown
    energy: dict[str, float]


class LeftOut(StrictModel):
    """A method that does not fit the machine, and which buffer it lacks."""

    method: str
    reason: str


class BaselineResult(MethodResult):
    """A flat ring with other switches; its gains are those of Hecaton over it, with Hecaton's own switches beside it.

    ``like_for_like`` says whether both have the same switches where they decide alike, and ``unlike`` in what they do
    not.
    """

    hecaton_switches: dict[str, Any]
    like_for_like: bool
    unlike: list[str]


class Comparison(StrictModel):
    """All methods on the same machine.

    ``baselines`` are flat rings with other switches, each with the gain of Hecaton over it: first all that are like for
    like, the quickest ring first, then those that are not, such as an overlapped Hecaton over a ring without overlap,
    or over one whose dies read copies of their inputs. ``published`` are the authors' own results for the same model,
    if there are any.

    Attributes
    ----------
    digests
        Of the sections of the configuration, all as given: a calibration or a silicon report changes none of them.
    silicon_report
        Digest of the silicon report that was used; null without one.
    """

    model: str
    digests: dict[str, str]
    silicon_report: str | None
    dies: int
    mesh: str
    global_batch: int
    sequence_length: int
    methods: list[MethodResult]
    left_out: list[LeftOut]
    baselines: list[BaselineResult]
    published: list[PublishedClaim]
    measured_inputs: list[Input]
    assumed_inputs: list[Input]


class ScalingTerms(StrictModel):
    """Factors whose product is a method's computation over communication.

    ``shape``: multiply-adds of the linears over their NoP data, both at peak, on infinitely long lines of
    dies; ``borders``: n / (n - 1), as a die does not receive its own share of what its line gathers; ``attention`` and
    ``head``: the work of scores and values, and of the output head, on top of the linears; ``array``: array
    time over that at peak; ``nop_rest``: the linears' data time over all NoP time, which has latencies, norm
    sums, replicated weights and the head besides.
    """

    shape: float
    borders: float
    attention: float
    head: float
    array: float
    nop_rest: float


class ScalingRow(StrictModel):
    """One method on one pair of model and package; gains are against the flat ring, if that fits."""

    model: str
    dies: int
    mesh: str
    method: str
    global_batch: int
    sequence_length: int
    compute_to_nop: float
    compute_seconds_per_token: float
    nop_seconds_per_token: float
    step_seconds: float
    mfu: float
    energy_joules: float
    speedup: float | None
    energy_ratio: float | None
    sram_bytes: dict[str, int]
    switches: dict[str, Any]
    breakdown: Breakdown
    terms: ScalingTerms | None


class SensitivityRow(StrictModel):
    """One method with one parameter changed; gains are against the flat ring on the same machine, if it fits."""

    parameter: str
    value: str
    model: str
    dies: int
    mesh: str
    method: str
    step_seconds: float
    energy_joules: float
    mfu: float
    speedup: float | None
    energy_ratio: float | None


class ClaimBeside(PublishedClaim):
    """A published claim, and our result for the same model on as many dies."""

    our_speedup: float | None
    our_energy_ratio: float | None
