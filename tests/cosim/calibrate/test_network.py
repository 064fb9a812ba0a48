"""Fit of the network's terms."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chiplet.machine.calibration import Calibration
from chiplet.machine.config import load_system
from cosim.calibrate.network import (
    NopSample,
    fit_nop_terms,
    measure,
    nop_error,
    nop_fits,
    nop_samples,
    request_for,
    with_network,
)
from cosim.predict.collective import design_terms, predict_collective
from cosim.records.collective import CollectiveRecord, collective_request
from cosim.run.collective import line_collectives, run_collective
from nop.terms import NopTerms

SYSTEM = load_system(None, [], preset="package")


def _as_if(sample: NopSample, terms: NopTerms) -> CollectiveRecord:
    """The record of dies with other terms."""
    request = request_for(sample, SYSTEM, seed=0, sim="icarus")
    cycles = predict_collective(request, line_collectives(request), terms)
    return CollectiveRecord.model_construct(request=request, cycles=cycles)


@pytest.mark.parametrize("quick", [False, True])
def test_held_out_runs_have_other_lines_and_lengths(quick: bool) -> None:
    chosen = nop_samples(quick=quick)
    fitted = {(sample.nodes, sample.flits) for sample in chosen if not sample.holdout}
    held_out = {(sample.nodes, sample.flits) for sample in chosen if sample.holdout}
    assert held_out
    assert not fitted & held_out
    assert {nodes for nodes, _ in held_out} - {nodes for nodes, _ in fitted}


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"hop_cycles": 3.0, "bypass_cycles": 3.0},
        {"add_cycles": 3.0},
        {"store_cycles": 6.0},
        {"send_cycles": 6.0},
        {"bypass_cycles": 2.0, "add_cycles": 2.0},
        {"hop_cycles": 2.0, "command_cycles": 3.0},
    ],
)
def test_terms_of_other_hardware_are_found(quick: bool, changed: dict[str, float]) -> None:
    hidden = replace(design_terms(SYSTEM.die), **changed)
    chosen = nop_samples(quick=quick)
    records = [_as_if(sample, hidden) for sample in chosen]
    found, rows = with_network(Calibration(die=SYSTEM.die), chosen, records)
    assert found.provenance["nop_holdout_max_relative_error"] < 0.03
    assert all(row["relative_error"] < 0.03 for row in rows)
    assert found.nop is not None
    assert found.nop.hop_cycles == pytest.approx(hidden.hop_cycles, abs=0.05)
    held = found.provenance["nop_held"]
    assert held
    assert all(getattr(found.nop, name) == getattr(design_terms(SYSTEM.die), name) for name in held)


@pytest.mark.parametrize(
    ("quick", "held"),
    [
        (False, {"store_cycles": [], "post_cycles": [], "pass_cycles": ["command_cycles", "send_cycles"]}),
        (
            True,
            {
                "store_cycles": [],
                "post_cycles": [],
                "send_cycles": ["command_cycles"],
                "pass_cycles": [],
                "hand_cycles": ["add_cycles"],
            },
        ),
    ],
)
def test_terms_that_are_not_told_apart_are_held_and_named(quick: bool, held: dict[str, list[str]]) -> None:
    """A command begins before what it passes on comes: the time of both is fitted as that of the first."""
    chosen = nop_samples(quick=quick)
    changed = replace(design_terms(SYSTEM.die), pass_cycles=3.0)
    fitted, found = with_network(
        Calibration(die=SYSTEM.die), chosen, [_as_if(sample, changed) for sample in chosen]
    )
    assert fitted.nop is not None
    assert fitted.nop.command_cycles > 1.0
    rows = {row["term"].removeprefix("nop."): row for row in nop_fits(fitted)}
    assert {name: row["like"] for name, row in rows.items() if row["use"] == "held"} == held
    assert rows["pass_cycles"]["value"] == 1.0
    assert rows["hop_cycles"]["use"] == "fit"
    assert max(row["relative_error"] for row in found) < 0.03


def test_the_generated_dies_have_the_terms_of_the_design() -> None:
    chosen = [
        NopSample("all-gather", "chain", 2, 1, False),
        NopSample("all-reduce", "ring", 2, 8, False),
        NopSample("all-reduce", "chain", 2, 21, True),
    ]
    records = measure([request_for(sample, SYSTEM, seed=1, sim="icarus") for sample in chosen], workers=1)
    fitted = fit_nop_terms(records[:2])
    assert fitted == design_terms(SYSTEM.die)
    assert nop_error(records[2], fitted) == (records[2].cycles, 0.0)


def test_a_record_says_what_was_predicted() -> None:
    request = collective_request(
        op="reduce-scatter", algorithm="ring", rows=1, cols=2, axis="row", flits=5, sim="icarus"
    )
    record = run_collective(request)
    assert record.predicted_cycles == record.cycles
    assert (
        predict_collective(request, line_collectives(request), NopTerms(hop_cycles=3.0)) == record.cycles + 2
    )


def test_wrong_results_are_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = CollectiveRecord.model_construct(op="all-gather", mesh="1x2", mismatches=3)
    monkeypatch.setattr("cosim.calibrate.sample_runs.run_all", lambda *_args, **_more: iter([(0, wrong)]))
    with pytest.raises(ValueError, match="^all-gather on 1x2 dies has 3 mismatches: cycles of wrong"):
        measure([request_for(nop_samples()[0], SYSTEM, seed=0, sim="icarus")])
