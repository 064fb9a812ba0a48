"""What a search chooses between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chiplet.methods.registry import METHODS, make_switches
from chiplet.optimize.ways import (
    HELD,
    PACKAGES_OF_ALL_USES,
    Use,
    Way,
    packages_near,
    packages_of_a_sequence,
    packages_shared,
    searched_switches,
)


def test_all_values_of_all_other_switches_are_searched() -> None:
    for method in METHODS:
        defaults = make_switches(method).model_dump()
        values = searched_switches(method, {})
        assert set(values) == set(defaults) - set(HELD)
        for name, of_name in values.items():
            assert of_name[0] == defaults[name]
            assert len(of_name) > 1
            for value in of_name:
                make_switches(method, {name: value})


def test_a_given_value_is_the_only_one() -> None:
    values = searched_switches("hecaton", {"recompute": "full", "overlap": False})
    assert values["recompute"] == ("full",)
    assert values["overlap"] == (False,)


@given(packages=st.integers(1, 3000), batch=st.integers(1, 600), layers=st.integers(1, 130))
def test_packages_are_no_more_than_there_are(packages: int, batch: int, layers: int) -> None:
    shared = packages_shared(packages, batch, layers)
    assert shared[0] == Use(1, 1)
    assert len(set(shared)) == len(shared)
    assert Use(min(packages, batch), 1) in shared
    assert Use(1, min(packages, layers)) in shared
    several = packages_of_a_sequence(packages, batch, layers, 96, 1)
    assert {use.context for use in several} == {count for count in (2, 4, 8, 16, 32) if count <= packages}
    for start in (shared[-1], *several[-1:]):
        near = packages_near(Way("hecaton", (), start), packages, batch, layers)
        assert {use.context for use in near} == {start.context}
        for use in (*shared, *several, *near):
            assert use.packages <= packages
            assert use.data <= batch
            assert use.pipeline <= layers
    if packages <= PACKAGES_OF_ALL_USES:
        for data in range(1, min(packages, batch) + 1):
            for pipeline in range(1, min(packages // data, layers) + 1):
                assert Use(data, pipeline) in shared
