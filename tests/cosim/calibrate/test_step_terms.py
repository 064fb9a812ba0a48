"""Fit of the terms of a training step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.dataflow.package_play import StepTerms
from chiplet.machine.calibration import Calibration
from chiplet.machine.config import load_system
from chiplet.machine.terms import StepUnitTerms
from cosim.calibrate.step_graphs import Moved, Multiplied, Passed
from cosim.calibrate.step_runs import CYCLES, StepRun, run_step
from cosim.calibrate.step_terms import (
    StepSample,
    fit_step_terms,
    held_by_design,
    held_step_terms,
    measure,
    request_for,
    step_benches,
    step_fits,
    step_samples,
    with_step,
)

SYSTEM = load_system(None, [], preset="bench")
DESIGN = StepTerms.of_design(SYSTEM)


def _as_if(sample: StepSample, units: StepUnitTerms) -> StepRun:
    """The run of dies with other terms."""
    request = request_for(sample, SYSTEM, seed=0, sim="icarus")
    predicted = request.predicted(DESIGN.with_units(units))
    return StepRun(request=request, measured=predicted, mismatches=0, provenance=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("quick", [False, True])
def test_held_out_runs_are_not_fitted(quick: bool) -> None:
    chosen = step_samples(quick=quick)
    fitted = {sample.work for sample in chosen if not sample.holdout}
    held_out = {sample.work for sample in chosen if sample.holdout}
    assert held_out
    assert not fitted & held_out


@pytest.mark.parametrize(
    ("quick", "changed"),
    [
        (True, {}),
        (True, {"vector_pass": 11.0, "vector_post": 1.0}),
        (True, {"feed_group": 2.0, "vector_beat": 2.0}),
        (True, {"sums_row": 5.0, "sums_panel": 1.0}),
        (True, {"drain_row": 2.0, "drain_write": 3.0}),
        (False, {"memory_flit": 1.5, "memory_read": 4.0}),
    ],
)
def test_terms_of_other_hardware_are_found(quick: bool, changed: dict[str, float]) -> None:
    hidden = StepUnitTerms(**changed)
    chosen = step_samples(quick=quick)
    made, rows = with_step(
        Calibration(die=SYSTEM.die), SYSTEM, chosen, [_as_if(sample, hidden) for sample in chosen]
    )
    assert all(row["relative_error"] < 1e-3 for row in rows)
    assert made.provenance["step_holdout_max_relative_error"] < 1e-3
    assert made.step is not None
    for name in {*changed} - {*made.provenance["step_held"]}:
        assert getattr(made.step, name) == pytest.approx(getattr(hidden, name), abs=1e-2)


@settings(max_examples=3)
@given(st.floats(0, 40), st.floats(1, 4), st.floats(1, 4))
def test_any_hardware_within_the_bounds_is_found(
    vector_pass: float, sums_row: float, drain_row: float
) -> None:
    hidden = StepUnitTerms(vector_pass=vector_pass, sums_row=sums_row, drain_row=drain_row)
    runs = [_as_if(sample, hidden) for sample in step_samples(quick=True) if not sample.holdout]
    found = fit_step_terms(runs, DESIGN)
    for name in ("vector_pass", "sums_row", "drain_row"):
        assert getattr(found, name) == pytest.approx(getattr(hidden, name), abs=1e-2)


def test_held_terms_are_the_designs_and_are_not_measured(tmp_path: Path) -> None:
    chosen = step_samples()
    runs = [_as_if(sample, StepUnitTerms()) for sample in chosen]
    made, _ = with_step(
        Calibration(die=SYSTEM.die, provenance={"holdout_max_relative_error": 0.0}), SYSTEM, chosen, runs
    )
    held = made.provenance["step_held"]
    assert {*held} == {*held_by_design()} == {*held_step_terms(runs[:12], DESIGN)}
    assert {"operand_wait", "store_word"} <= {*held}
    path = tmp_path / "c.json"
    path.write_text(made.to_json(), encoding="utf-8")
    loaded = Calibration.load(path)
    assert loaded.step is not None
    assert loaded.step.model_fields_set == {*StepUnitTerms.model_fields} - {*held}
    assert StepTerms.of(SYSTEM, loaded) == DESIGN
    rows = {row["term"].removeprefix("step."): row for row in step_fits(made)}
    assert {name for name, row in rows.items() if row["use"] == "held"} == {*held}
    assert all(row["value"] == row["design"] for row in rows.values())


def test_each_term_that_is_fitted_shows_in_a_run() -> None:
    held = held_by_design()
    benches = step_benches()
    assert {*benches} == {*StepUnitTerms.model_fields}
    assert all(works for name, works in benches.items() if name not in held)
    # What has no effect is held, and is told from nothing.
    assert all(benches[name] or not like for name, like in held.items())


def test_the_generated_die_has_the_terms_of_the_design() -> None:
    works = (Moved(3), Multiplied(4, 4, 4, "nn", 2), Multiplied(8, 4, 4, "nt", 2), Passed("exp", 3, 16, 2))
    chosen = [StepSample(4, 4, work, holdout=False) for work in works]
    runs = [run_step(request_for(sample, SYSTEM, seed=1, sim="icarus")) for sample in chosen]
    assert [run.mismatches for run in runs] == [0] * len(works)
    for run in runs:
        predicted = run.request.predicted(DESIGN)
        assert {name: pytest.approx(cycles) for name, cycles in predicted.items()} == run.measured
    fitted = fit_step_terms(runs, DESIGN)
    assert fitted == StepUnitTerms.model_construct(_fields_set=fitted.model_fields_set)
    assert {"vector_pass", "feed_group", "sums_row", "drain_row", "memory_flit"} <= fitted.model_fields_set


def test_wrong_results_are_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = StepSample(4, 4, Moved(3), holdout=False)
    wrong = StepRun(
        request=request_for(sample, SYSTEM, seed=0, sim="icarus"),
        measured={CYCLES: 9},
        mismatches=2,
        provenance=None,
    )
    monkeypatch.setattr("cosim.calibrate.sample_runs.run_all", lambda *_args, **_more: iter([(0, wrong)]))
    with pytest.raises(
        ValueError, match="^step of load and store of 3 rows has 2 mismatches: cycles of wrong"
    ):
        measure([wrong.request])


@pytest.mark.parametrize(
    ("name", "value"),
    [("vector_beat", 0.5), ("memory_flit", -1.0), ("queue", 5000.0), ("drain_row", float("nan"))],
)
def test_terms_that_no_hardware_has_are_refused(tmp_path: Path, name: str, value: float) -> None:
    content: dict[str, Any] = {"die": SYSTEM.die.model_dump(mode="json"), "step": {name: value}}
    path = tmp_path / "c.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"^.*c\.json: not a calibration: .*{name}") as error:
        Calibration.load(path)
    assert "\n" not in str(error.value)
