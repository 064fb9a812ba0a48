"""Ends of links: registers decoded and summed."""

from __future__ import annotations

import pytest

from chiplet.machine.specs import PackageSpec
from cosim.records.link_ends import link_ends

PACKAGE = PackageSpec(rows=1, cols=2, io="both")
"""A link between the dies in each plane, and one to an IO die at either end: 6 ends of dies."""

UP = [[0, 1, 0, 0, 0, 1, 0, 1], [0, 0, 0, 1, 0, 1, 0, 1]]


def test_links_that_run_are_counted() -> None:
    found = link_ends(PACKAGE, UP)
    assert (found.ends, found.up, found.dead, found.pending, found.lost) == (6, 6, 0, 0, 0)
    assert found.unhealthy == ()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (
            0b10_0101 | 3 << 8 | 4 << 16,
            {"up": True, "lanes": "lower", "restarted": True, "pending": 3, "lost": 4},
        ),
        (0b01_0010 | 9 << 16, {"dead": True, "timed_out": True, "lost": 9}),
        (0b00_1001, {"up": True, "lanes": "upper"}),
    ],
)
def test_the_others_are_named(word: int, expected: dict[str, object]) -> None:
    registers = [list(words) for words in UP]
    registers[1][5] = word
    found = link_ends(PACKAGE, registers)
    (end,) = found.unhealthy
    quiet = {"up": False, "dead": False, "lanes": "all", "timed_out": False, "restarted": False}
    place = {"row": 0, "col": 1, "plane": "memory", "side": "east"}
    assert end.model_dump() == {**place, **quiet, "pending": 0, "lost": 0, **expected}
    assert (found.ends, found.up) == (6, 5 + end.up)
    assert (found.half_width, found.restarted, found.dead) == (end.lanes != "all", end.restarted, end.dead)
    assert (found.pending, found.lost, found.timed_out) == (end.pending, end.lost, end.timed_out)


def test_a_link_that_never_ran_is_missing_in_those_that_are_up() -> None:
    registers = [list(words) for words in UP]
    registers[0][1] = 0
    found = link_ends(PACKAGE, registers)
    assert (found.ends, found.up) == (6, 5)
