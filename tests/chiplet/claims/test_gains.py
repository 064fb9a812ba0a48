"""Rows of the space are what single projections give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chiplet.claims.assumptions import ASSUMPTIONS, held, link_settings
from chiplet.claims.gains import LINK_ASSUMPTIONS, TOGETHER, check_base
from chiplet.claims.results import ClaimRow
from chiplet.claims.study import ClaimWork
from chiplet.machine.config import load_system
from chiplet.machine.specs import SystemSpec
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.projection.results import Projection
from chiplet.studies.likeness import differences
from chiplet.studies.published import CLAIMS, PublishedClaim
from nop.topology import most_square
from tests.chiplet.machines import PACKAGE, package

SMALL = PublishedClaim(model="tinyllama-1.1b", dies=12, speedup=1.5, energy_ratio=1.2, source="none: a test")


def machine_of(row: ClaimRow) -> SystemSpec:
    chosen = {
        one.name: held([one], {one.name: row.assumptions[one.name]})[0].choices[0] for one in ASSUMPTIONS
    }
    keys: dict[str, Any] = link_settings(*(chosen[name] for name in LINK_ASSUMPTIONS))
    for name in TOGETHER:
        keys |= chosen[name].settings
    return load_system(None, [f"{key}={value}" for key, value in keys.items()], preset="package")


def projected(claim: PublishedClaim, row: ClaimRow, method: str) -> Projection:
    """The single projection of one method under the assumptions of ``row``."""
    assumed = row.assumptions
    overlapped = {"both": True, "neither": False, "only Hecaton": method == "hecaton"}[assumed["overlap"]]
    switches: dict[str, Any] = {
        "overlap": overlapped,
        "recompute": assumed["recompute"],
        "sums": assumed["partial sums"],
    }
    if method == "flat-ring":
        switches["direction"] = assumed["ring directions"]
        switches["gather_again"] = assumed["inputs of the backward pass"] == "gathered again"
    mesh = most_square(claim.dies)
    return project(StepRequest(claim.model, machine_of(row), mesh=mesh, method=method, switches=switches))


@pytest.mark.parametrize(("claim", "count"), [(SMALL, 12), (CLAIMS[0], 3)])
def test_rows_are_those_of_single_projections(claim: PublishedClaim, count: int) -> None:
    rng = np.random.default_rng(5)
    # Some assumptions are held, at random, so that few points are evaluated.
    names = ("recompute", "partial sums", "DRAM", "array", "package", "lane rate", "link energy")
    values = {
        one.name: str(rng.choice([c.label for c in one.choices])) for one in ASSUMPTIONS if one.name in names
    }
    if claim is not SMALL:
        values["DRAM"] = "4 x DDR5-6400"
    assumptions = held(ASSUMPTIONS, values)
    rows = ClaimWork(PACKAGE, assumptions=assumptions, claims=[claim]).study().rows
    assert len(rows) == np.prod([len(one.choices) for one in assumptions])
    for row in (rows[number] for number in rng.choice(len(rows), count, replace=False)):
        ours, ring = (projected(claim, row, method) for method in ("hecaton", "flat-ring"))
        (pair,) = row.pairs
        assert pair.speedup == pytest.approx(ring.step_seconds / ours.step_seconds, rel=1e-9)
        assert pair.energy_ratio == pytest.approx(ring.energy_joules / ours.energy_joules, rel=1e-9)
        assert pair.speed_reached == (pair.speedup >= claim.speedup)
        assert pair.energy_reached == (pair.energy_ratio >= claim.energy_ratio)
        assert row.like_for_like == (not differences(ours.switches, ring.switches))


def test_what_does_not_fit_is_a_row_with_the_reason() -> None:
    values = {one.name: one.choices[0].label for one in ASSUMPTIONS if one.name not in ("overlap", "DRAM")}
    study = ClaimWork(PACKAGE, assumptions=held(ASSUMPTIONS, values)).study()
    assert len(study.rows) == 9
    for row in study.rows:
        for pair in row.pairs:
            if row.assumptions["DRAM"] == "HBM3":
                assert pair.speedup is None is pair.energy_ratio
                assert pair.reason is not None
                assert "DRAM needs" in pair.reason
                assert pair.speed_reached is pair.energy_reached is False
            else:
                assert pair.reason is None
    assert [one.reach[0].rows for one in study.summary] == [6, 6]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "die.rows=32",
            "die.rows = 32: the assumption 'array' sets it; it can be held at one of 64x64, 32x32, 128x128",
        ),
        ("link.lanes=32", "link.lanes = 32: the assumption 'package' sets it"),
        ("energy.static_watts=1", "energy.static_watts = 1.0: the assumption 'static power' sets it"),
        ("memory.preset=hbm3", "the assumption 'DRAM' sets it"),
        ("parallel.data=2", "2 packages: the claims are about one"),
    ],
)
def test_a_machine_that_sets_what_is_assumed_is_refused(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_base(package(override), ASSUMPTIONS)


def test_other_keys_of_the_machine_are_kept() -> None:
    first = {one.name: one.choices[0].label for one in ASSUMPTIONS}
    assumptions = held(ASSUMPTIONS, first)
    (plain,), (slower,) = (
        ClaimWork(machine, assumptions=assumptions, claims=[SMALL]).study().rows
        for machine in (PACKAGE, package("vector.lanes=1"))
    )
    assert plain.pairs[0].speedup != slower.pairs[0].speedup
