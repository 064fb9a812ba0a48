"""All methods on the same machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from chiplet.methods.registry import METHODS, method_type
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.projection.results import Projection
from chiplet.schedule.buffers import DoesNotFitError
from chiplet.studies.likeness import differences
from chiplet.studies.published import CLAIMS
from chiplet.studies.results import BaselineResult, Comparison, LeftOut, MethodResult
from chiplet.workload.llm import load_model
from nop.topology import most_square


def compare(request: StepRequest, switches: Mapping[str, Mapping[str, Any]] | None = None) -> Comparison:
    """Project all methods on the same machine, and on the same mesh: the most square one of the dies of ``request``.

    ``switches`` has the switches of each method by its name; ``method`` and ``switches`` of ``request`` are ignored.
    Errors as :func:`project`.
    """
    model = load_model(request.model) if isinstance(request.model, str) else request.model
    chosen = dict(switches or {})
    if request.mesh is None and request.dies is not None:
        request = replace(request, mesh=most_square(request.dies))
    for name in chosen:
        method_type(name)

    def run(method: str, values: Mapping[str, Any] | None) -> Projection:
        return project(replace(request, model=model, method=method, switches=values))

    # Hecaton and the flat ring must fit, as everything is compared with them.
    flat, ours = run("flat-ring", chosen.get("flat-ring")), run("hecaton", chosen.get("hecaton"))
    results = {"hecaton": ours, "flat-ring": flat}
    left_out = []
    for name in METHODS:
        if name not in results:
            try:
                results[name] = run(name, chosen.get(name))
            except DoesNotFitError as refusal:
                left_out.append(LeftOut(method=name, reason=str(refusal)))
    by_overlap = {overlap: run("hecaton", {**ours.switches, "overlap": overlap}) for overlap in (False, True)}
    baselines = []
    for again, direction, overlap in product((True, False), ("one", "both"), (False, True)):
        values = {"gather_again": again, "direction": direction, "overlap": overlap}
        try:
            ring = run("flat-ring", {**flat.switches, **values})
        except DoesNotFitError as refusal:
            label = ", ".join(f"{name} = {value}" for name, value in values.items())
            left_out.append(LeftOut(method=f"flat-ring with {label}", reason=str(refusal)))
            continue
        baselines.append(_hecaton_against(by_overlap[overlap], ring))
        if not overlap:
            baselines.append(_hecaton_against(by_overlap[True], ring))
    return Comparison(
        model=flat.model,
        digests=flat.digests,
        silicon_report=flat.silicon_report,
        dies=flat.dies,
        mesh=flat.mesh,
        global_batch=flat.global_batch,
        sequence_length=flat.sequence_length,
        left_out=left_out,
        methods=[_against(flat, result) for result in results.values()],
        baselines=sorted(baselines, key=lambda row: (not row.like_for_like, row.step_seconds)),
        published=[claim for claim in CLAIMS if claim.model == flat.model],
        measured_inputs=flat.measured_inputs,
        assumed_inputs=flat.assumed_inputs,
    )


def _against(baseline: Projection, result: Projection) -> MethodResult:
    return MethodResult(
        method=result.method,
        step_seconds=result.step_seconds,
        energy_joules=result.energy_joules,
        speedup=baseline.step_seconds / result.step_seconds,
        energy_ratio=baseline.energy_joules / result.energy_joules,
        mfu=result.mfu,
        nop_elements_per_die_per_layer=result.nop_elements_per_die_per_layer,
        switches=result.switches,
        breakdown=result.breakdown,
        energy=result.energy,
    )


def _hecaton_against(ours: Projection, baseline: Projection) -> BaselineResult:
    """The baseline's own result, with the gain of Hecaton over it."""
    gain = _against(baseline, ours)
    own = dict(_against(baseline, baseline)) | {"speedup": gain.speedup, "energy_ratio": gain.energy_ratio}
    unlike = differences(ours.switches, baseline.switches)
    return BaselineResult(**own, hecaton_switches=ours.switches, like_for_like=not unlike, unlike=unlike)
