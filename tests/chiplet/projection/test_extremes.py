"""Machines at the ends of what a configuration may say: a finite projection, or a refusal of one line."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, isnan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.machine.config import load_system
from chiplet.machine.specs import SystemSpec
from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.projection.results import Projection


def _numeric() -> Iterator[tuple[str, type, dict[str, float]]]:
    """Numeric keys, their types and bounds."""
    for section, field in SystemSpec.model_fields.items():
        spec = field.annotation
        assert spec is not None
        for key, inner in spec.model_fields.items():
            if inner.annotation in (int, float):
                bounds = {
                    name: getattr(item, name)
                    for item in inner.metadata
                    for name in ("ge", "gt", "le", "lt")
                    if hasattr(item, name)
                }
                yield f"{section}.{key}", inner.annotation, bounds


NUMERIC = {name: (of_type, bounds) for name, of_type, bounds in _numeric()}

ENDS = [
    f"{name}={of_type(bounds[end])}"
    for name, (of_type, bounds) in NUMERIC.items()
    if not name.startswith("package.")
    for end in ("ge", "le")
]


def test_every_number_has_both_bounds() -> None:
    assert {name for name, (_, bounds) in NUMERIC.items() if bounds.keys() != {"ge", "le"}} == set()


def _finite_or_refused(overrides: list[str], method: str = "hecaton") -> Projection | None:
    message = ""
    try:
        system = load_system(None, overrides, preset="package")
        result = project(StepRequest("tinyllama-1.1b", system, mesh=(2, 3), method=method, global_batch=20))
    except ValueError as refusal:
        message = str(refusal)
    if message:
        assert "\n" not in message
        return None
    assert isfinite(result.step_seconds)
    assert result.step_seconds > 0
    assert all(map(isfinite, (result.energy_joules, *result.energy.values(), result.mfu)))
    assert isfinite(result.cost.die_mm2)
    assert isfinite(result.cost.dollars) or isnan(result.cost.dollars)
    return result


@pytest.mark.parametrize("override", ENDS)
def test_a_key_at_an_end_of_its_range(override: str) -> None:
    _finite_or_refused([override])


@settings(max_examples=60, deadline=None)
@given(
    overrides=st.lists(st.sampled_from(ENDS), min_size=2, max_size=6), method=st.sampled_from(list(METHODS))
)
def test_several_keys_at_ends_of_their_ranges(overrides: list[str], method: str) -> None:
    _finite_or_refused(overrides, method)
