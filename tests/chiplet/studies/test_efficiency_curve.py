"""Efficiency curves: through their points, between neighbours, constant beyond."""

from __future__ import annotations

from math import exp, inf, log, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.studies.efficiency_curve import CurvePoint, curve_in_words, efficiency_at

POINTS = st.lists(
    st.tuples(st.floats(1, 1e12), st.floats(1e-3, 1)),
    min_size=1,
    max_size=6,
    unique_by=lambda point: point[0],
).map(lambda points: [CurvePoint(size=size, efficiency=value) for size, value in sorted(points)])


@given(points=POINTS)
def test_a_curve_goes_through_its_points_and_stays_there_beyond(points: list[CurvePoint]) -> None:
    for point in points:
        assert efficiency_at(points, point.size) == point.efficiency
    assert efficiency_at(points, points[0].size / 3) == points[0].efficiency
    assert efficiency_at(points, points[-1].size * 3) == points[-1].efficiency


@given(points=POINTS, size=st.floats(1e-3, 1e15))
def test_a_value_lies_between_its_neighbours(points: list[CurvePoint], size: float) -> None:
    below = [point for point in points if point.size <= size][-1:]
    above = [point for point in points if point.size >= size][:1]
    near = [point.efficiency for point in below + above]
    assert min(near) * (1 - 1e-12) <= efficiency_at(points, size) <= max(near) * (1 + 1e-12)


def test_it_is_linear_in_the_logarithm_and_need_not_rise() -> None:
    points = [
        CurvePoint(size=size, efficiency=value) for size, value in ((100, 0.2), (1000, 0.9), (4000, 0.5))
    ]
    for share in (0.25, 0.5, 0.9):
        size = exp(log(1000) + share * log(4))
        assert efficiency_at(points, size) == pytest.approx(0.9 - 0.4 * share)
    assert efficiency_at(points, 1000 / 10**0.5) == pytest.approx(0.55)


def test_neighbouring_floats_are_two_points() -> None:
    size = nextafter(2.0, 0.0)
    points = [CurvePoint(size=size, efficiency=0.2), CurvePoint(size=nextafter(size, inf), efficiency=0.9)]
    assert [efficiency_at(points, point.size) for point in points] == [0.2, 0.9]


def test_words_say_how_many_points_and_over_what() -> None:
    points = [CurvePoint(size=size, efficiency=0.5) for size in (1e3, 1e6)]
    assert curve_in_words(points, "bytes").startswith(
        "curve of 2 points over bytes from 1000 to 1e+06, linear"
    )
