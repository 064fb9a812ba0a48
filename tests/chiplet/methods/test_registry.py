"""Methods and switches by name."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chiplet.methods.flat_ring import FlatRingSwitches
from chiplet.methods.registry import METHODS, make_switches, method_type


def test_the_four_methods() -> None:
    assert list(METHODS) == ["hecaton", "flat-ring", "torus-ring", "optimus"]


def test_switches_from_values() -> None:
    switches = make_switches("flat-ring", {"direction": "one", "overlap": False})
    assert switches == FlatRingSwitches(direction="one", overlap=False)
    assert make_switches("flat-ring", switches) is switches


@pytest.mark.parametrize(
    ("method", "values", "message"),
    [
        ("ring", {}, "unknown method 'ring': must be one of hecaton, flat-ring, torus-ring, optimus"),
        (
            "hecaton",
            {"colective": "ring"},
            "unknown switch 'colective' of hecaton: the nearest known one is collective",
        ),
        (
            "hecaton",
            {"collective": "star"},
            "switch of hecaton: collective = 'star': input should be 'ring' or 'chain'",
        ),
        ("optimus", {"overlap": 1}, "switch of optimus: overlap = 1: input should be a valid boolean"),
        (
            "optimus",
            FlatRingSwitches(),
            "FlatRingSwitches are not the switches of optimus: must be OptimusSwitches",
        ),
    ],
)
def test_what_is_unknown_is_refused_in_one_line(method: str, values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        make_switches(method, values)
    assert str(refusal.value) == message


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown method 'megatron'"):
        method_type("megatron")
