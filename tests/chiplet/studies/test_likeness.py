"""Like for like means the same switches where they decide alike."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.methods.base import Switches
from chiplet.methods.registry import make_switches
from chiplet.studies.likeness import COMPARED, differences


def switches(method: str, **values: Any) -> dict[str, Any]:
    return make_switches(method, values).model_dump()


def test_every_common_switch_is_compared() -> None:
    assert set(Switches.model_fields) | {"gather_again"} == set(COMPARED)


def test_defaults_differ_in_what_memory_reads_again() -> None:
    assert differences(switches("hecaton"), switches("flat-ring")) == [
        "how inputs of the backward pass come back"
    ]
    assert differences(switches("hecaton"), switches("flat-ring", gather_again=True)) == []
    assert differences(switches("hecaton", gather_again=False), switches("flat-ring")) == []


@pytest.mark.parametrize(
    ("switch", "value"),
    [("overlap", False), ("recompute", "full"), ("masked_keys", "skipped"), ("sums", "operand")],
)
def test_another_value_for_one_of_the_two_is_unlike(switch: str, value: Any) -> None:
    ring = {"gather_again": True}
    same = (switches("hecaton", **{switch: value}), switches("flat-ring", **ring, **{switch: value}))
    assert differences(*same) == []
    for ours, theirs in ((same[0], switches("flat-ring", **ring)), (switches("hecaton"), same[1])):
        assert differences(ours, theirs) == [COMPARED[switch]]


def test_directions_of_the_ring_belong_to_the_baseline() -> None:
    ring = switches("flat-ring", gather_again=True, direction="one")
    assert differences(switches("hecaton"), ring) == []
