"""Bounds: paths into a result, and comparisons that every value has to pass."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.accept.bounds import Bound, BoundError, select

RESULT: dict[str, Any] = {
    "cycles": 12,
    "floor": 10,
    "rows": [
        {"path": "ours", "stall": 0.0, "cycles": 7, "predicted": 7},
        {"path": "one by one", "stall": 0.25, "cycles": 9, "predicted": 7},
    ],
    "links": {"east": {"lost": 0}, "west": {"lost": 2}},
    "status": "published",
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("cycles", [12]),
        ("rows.*.cycles", [7, 9]),
        ("rows[path=one by one].cycles", [9]),
        ("rows[stall=0.0].predicted", [7]),
        ("rows[predicted=7][stall=0.25].cycles", [9]),
        ("links.*.lost", [0, 2]),
        ("links.west.lost", [2]),
    ],
)
def test_a_path_selects_values(path: str, values: list[int]) -> None:
    assert select(RESULT, path) == values


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("cycle", "the result has no 'cycle' of 'cycle'"),
        ("rows[path=theirs].cycles", "the result has no value at 'rows[path=theirs].cycles'"),
        (
            "rows[path=ours][stall=0.25].cycles",
            "the result has no value at 'rows[path=ours][stall=0.25].cycles'",
        ),
        ("rows.cycles", "the result has no 'cycles' of 'rows.cycles'"),
        ("cycles.*", "path 'cycles.*': * needs a list or a mapping"),
        ("links[path=ours].lost", "path 'links[path=ours].lost': links is not a list"),
        ("rows[path].cycles", "path 'rows[path].cycles': not understood from 'rows[path].cycles' on"),
    ],
)
def test_a_path_without_values_is_refused(path: str, message: str) -> None:
    with pytest.raises(BoundError) as refused:
        select(RESULT, path)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "value", "passed"),
    [
        ("cycles == 12", 12, True),
        ("cycles < 12", 12, False),
        ("cycles - floor <= 2", 2, True),
        ("cycles / floor <= 1.1", 1.2, False),
        ("rows.*.cycles <= 8", 9, False),
        ("rows.*.cycles >= 8", 7, False),
        ("rows.*.cycles == 7", 9, False),
        ("rows.*.cycles - rows.*.predicted == 0", 2, False),
        ("rows[stall=0.0].cycles - rows[stall=0.0].predicted == 0", 0, True),
        ("rows.*.cycles - floor <= 0", -1, True),
        ("status == published", "published", True),
        ("status == assumed", "published", False),
    ],
)
def test_a_bound_shows_the_worst_value(text: str, value: object, passed: bool) -> None:
    measured = Bound.parse(text).measure(RESULT)
    assert (measured.bound, measured.value, measured.passed) == (text, value, passed)


@pytest.mark.parametrize("text", ["cycles", "cycles = 3", "cycles <= many", "<= 3", "a + b <= 3"])
def test_what_is_not_a_bound_is_refused(text: str) -> None:
    with pytest.raises(BoundError):
        Bound.parse(text).measure(RESULT)


def test_values_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(BoundError, match="bound 'status <= 3'"):
        Bound.parse("status <= 3").measure(RESULT)
    with pytest.raises(BoundError, match="bound 'cycles / links.east.lost <= 3'"):
        Bound.parse("cycles / links.east.lost <= 3").measure(RESULT)
    with pytest.raises(BoundError, match="2 values against 0|no value|1 values against 2"):
        Bound.parse("links.east.lost - rows.*.cycles <= 3").measure(RESULT)
