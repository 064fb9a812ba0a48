"""Machines at the ends of what a configuration may say: a finite projection, or a refusal of one line."""

from __future__ import annotations

from math import isfinite, isnan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.machine.config import load_system
from chiplet.machine.configuration_keys import known_keys
from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project

NUMERIC = {name: key for name, key in known_keys().items() if type(key.default) in (int, float)}

ENDS = [
    f"{name}={type(key.default)(key.bounds[end])}"
    for name, key in NUMERIC.items()
    if not name.startswith("package.")
    for end in ("ge", "le")
]


def test_every_number_has_both_bounds() -> None:
    assert {name for name, key in NUMERIC.items() if key.bounds.keys() != {"ge", "le"}} == set()


def _finite_or_refused(overrides: list[str], method: str = "hecaton") -> None:
    message = ""
    try:
        system = load_system(None, overrides, preset="package")
        result = project(StepRequest("tinyllama-1.1b", system, mesh=(2, 3), method=method, global_batch=20))
    except ValueError as refusal:
        message = str(refusal)
    if message:
        assert "\n" not in message
        return
    assert isfinite(result.step_seconds)
    assert result.step_seconds > 0
    assert all(map(isfinite, (result.energy_joules, *result.energy.values(), result.mfu)))
    assert isfinite(result.cost.die_mm2)
    assert isfinite(result.cost.dollars) or isnan(result.cost.dollars)


@pytest.mark.parametrize("override", ENDS)
def test_a_key_at_an_end_of_its_range(override: str) -> None:
    _finite_or_refused([override])


@settings(max_examples=60, deadline=None)
@given(
    overrides=st.lists(st.sampled_from(ENDS), min_size=2, max_size=6), method=st.sampled_from(list(METHODS))
)
def test_several_keys_at_ends_of_their_ranges(overrides: list[str], method: str) -> None:
    _finite_or_refused(overrides, method)
