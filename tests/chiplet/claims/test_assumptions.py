"""The space of assumptions: every value has a source, and the first ones are those of the preset."""

from __future__ import annotations

from itertools import product

import pytest

from chiplet.claims.assumptions import ASSUMPTIONS, held, link_settings
from chiplet.claims.gains import LINK_ASSUMPTIONS, TOGETHER
from chiplet.machine.configuration_keys import values_by_name
from chiplet.machine.sources import PUBLISHED_SOURCES
from tests.chiplet.machines import PACKAGE

BY_NAME = {assumption.name: assumption for assumption in ASSUMPTIONS}


def test_every_value_has_a_source_and_values_differ() -> None:
    assert len(BY_NAME) == len(ASSUMPTIONS)
    for assumption in ASSUMPTIONS:
        labels = [choice.label for choice in assumption.choices]
        assert len(set(labels)) == len(labels) > 1
        assert all(choice.source and choice.settings for choice in assumption.choices)


def test_first_values_are_those_of_the_preset() -> None:
    values = values_by_name(PACKAGE)
    settings = link_settings(*(BY_NAME[name].choices[0] for name in LINK_ASSUMPTIONS))
    for name in TOGETHER:
        settings |= BY_NAME[name].choices[0].settings
    assert {key: values[key] for key in settings} == settings


def test_links_of_the_table_are_published_ones_and_a_flit_is_what_the_lanes_carry() -> None:
    for package, rate, energy in product(*(BY_NAME[name].choices for name in LINK_ASSUMPTIONS)):
        keys = link_settings(package, rate, energy)
        for name in ("link.lanes", "link.lane_rate"):
            assert keys[name] in PUBLISHED_SOURCES[name]
        if energy.label == "table":
            source = PUBLISHED_SOURCES["link.pj_per_bit"][keys["link.pj_per_bit"]]
            up_to = "up to 16" if keys["link.lane_rate"] <= 16e9 else "above 16"
            assert source.startswith(f"UCIe {package.label} package {up_to} GT/s")
        else:
            assert keys["link.pj_per_bit"] == {"standard": 1.25, "advanced": 0.6}[package.label]
        assert keys["nop.flit_bits"] >= keys["link.lanes"] * keys["link.lane_rate"] / PACKAGE.die.clock_hz


def test_an_assumption_is_held_at_a_value_that_it_has() -> None:
    kept = held(ASSUMPTIONS, {"overlap": "neither"})
    assert [len(one.choices) for one in kept[1:]] == [len(one.choices) for one in ASSUMPTIONS[1:]]
    assert [choice.label for choice in kept[0].choices] == ["neither"]
    with pytest.raises(
        ValueError, match="unknown assumption 'lanes': must be one of overlap, ring directions,"
    ):
        held(ASSUMPTIONS, {"lanes": "16"})
    with pytest.raises(ValueError, match="lane rate = 4 GT/s: must be one of 32 GT/s, 16 GT/s, 8 GT/s$"):
        held(ASSUMPTIONS, {"lane rate": "4 GT/s"})
