"""Views of a waveform: names through the hierarchy, grouped by unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.observe.units import OBSERVED_UNITS
from cosim.observe.waves import Group, Wave, gtkwave_view, surfer_view, unit_groups
from cosim.run.die import emit_bench

GROUPS = [
    Group("first", (Wave("top.clk", 1), Wave("top.die.word", 32))),
    Group("second", (Wave("top.die.unit.busy", 1),)),
]


@pytest.mark.parametrize(("scope", "prefix"), [("", ""), ("top", "top.")])
def test_groups_of_a_die(scope: str, prefix: str) -> None:
    design = emit_bench(DieSpec(rows=3, cols=2), MemorySpec(), 1)
    groups = {
        g.name: g.waves
        for g in unit_groups(design.text, design.top, dies={"die": ""}, engine=False, scope=scope)
    }
    assert groups.keys() >= {unit.name.replace(" ", "_") for unit in OBSERVED_UNITS}
    assert groups["bench"][0] == Wave(f"{prefix}clk", 1)
    assert Wave(f"{prefix}host_read_data", 32) in groups["bench"]
    assert Wave(f"{prefix}die.array_unit.weight_loader.needs", 64) in groups["weight_loader"]
    assert Wave(f"{prefix}die.registers.running", 1) in groups["registers"]


def test_gtkwave(tmp_path: Path) -> None:
    lines = gtkwave_view(tmp_path / "run.fst", GROUPS).splitlines()
    assert lines[0] == f'[dumpfile] "{tmp_path / "run.fst"}"'
    assert lines[3:] == [
        *("@800200", "-first", "@28", "top.clk", "@22", "top.die.word[31:0]", "@1000200", "-first"),
        *("@800200", "-second", "@28", "top.die.unit.busy", "@1000200", "-second"),
    ]


def test_surfer(tmp_path: Path) -> None:
    assert surfer_view(tmp_path / "run.vcd", GROUPS).splitlines() == [
        f"load_file {tmp_path / 'run.vcd'}",
        *("divider_add first", "variable_add top.clk", "variable_add top.die.word"),
        *("divider_add second", "variable_add top.die.unit.busy"),
        "zoom_fit",
    ]
