"""Files of design spaces: axes, ranges, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chiplet.sweep.axes import Sweep
from chiplet.sweep.constraints import Constraint
from chiplet.sweep.space import Range, load_space, make_sweep
from tests.chiplet.machines import PACKAGE

SPACES = Path(__file__).resolve().parents[3] / "benchmarks" / "spaces"


def load(tmp_path: Path, text: str) -> Sweep:
    path = tmp_path / "space.toml"
    path.write_text(text, encoding="utf-8")
    return make_sweep(load_space(path), PACKAGE, source=str(path))


def test_axes_are_crossed_and_tables_vary_in_step(tmp_path: Path) -> None:
    sweep = load(
        tmp_path,
        """
        model = "llama2-7b"
        dies = [16, 64]
        [switches]
        overlap = [true, false]
        [vary]
        die.rows = [32, 64]
        "link.lanes" = { start = 8, stop = 32, step = 8 }
        die.clock_hz = 1000000000
        [[together]]
        link.lane_rate = [16e9, 32e9]
        link.pj_per_bit = [0.5, 0.6]
        """,
    )
    assert (sweep.groups, sweep.group_points) == (8, 8)
    assert sweep.group(0)["mesh"] == 16
    assert sweep.group(7) == sweep.group(0) | {"mesh": 64, "die.rows": 64, "switches.overlap": False}
    clock, lanes, rates = sweep.inner
    assert lanes.values == ((8,), (16,), (24,), (32,))
    assert all(type(value) is int for (value,) in lanes.values)
    assert clock.values == ((1e9,),)
    assert rates.names == ("link.lane_rate", "link.pj_per_bit")
    assert rates.values == ((16e9, 0.5), (32e9, 0.6))
    assert sweep.objectives == ("step_seconds", "energy_joules", "cost_dollars")


def test_ranges() -> None:
    assert Range(start=1.0, stop=2.0, count=3).values() == (1.0, 1.5, 2.0)
    assert Range(start=1.0, stop=100.0, count=3, scale="log").values() == pytest.approx((1, 10, 100))
    assert Range(start=0.1, stop=0.5, step=0.1).values() == pytest.approx((0.1, 0.2, 0.3, 0.4, 0.5))
    assert Range(start=4.0, stop=4.0, count=1).values() == (4.0,)


@pytest.mark.parametrize("path", sorted(SPACES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_are_spaces(path: Path) -> None:
    sweep = make_sweep(load_space(path), PACKAGE, source=str(path))
    assert sweep.groups * sweep.group_points > 10_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dies = 4", "model is missing"),
        ('model = "llama2-7b"\nmethods = "hecaton"', "unknown key methods: the nearest known one is method"),
        ('model = "llama2"', "unknown model 'llama2': nearest known names are "),
        ('model = "llama2-7b"\nmethod = "ring"', "unknown method 'ring': must be one of hecaton, "),
        ('model = "llama2-7b"\nmesh = "8by8"', "mesh '8by8': must be ROWSxCOLUMNS, as in 4x8, or a number"),
        ('model = "llama2-7b"\nmesh = "8x8"\ndies = 64', "mesh and dies exclude each other"),
        ('model = "llama2-7b"\ndies = []\nmethod = []', "method: no values"),
        ('model = "llama2-7b"\nglobal_batch = 0', "global_batch = 0: must be an integer of at least 1"),
        ('model = "llama2-7b"\noptimizer = "lion"', "optimizer 'lion': must be one of sgd, adam"),
        (
            'model = "llama2-7b"\n[vary]\nlink.lane = [1]',
            "unknown key link.lane: the nearest known one is link.lanes",
        ),
        (
            'model = "llama2-7b"\n[vary]\ndie.rows = [0]',
            "die.rows must be an integer from 1 to 512, not 0",
        ),
        (
            'model = "llama2-7b"\n[vary]\ndie.rows = { start = 8.5, stop = 9, count = 2 }',
            "die.rows must be an integer from 1 to 512, not 8.5",
        ),
        (
            'model = "llama2-7b"\n[vary]\nlink.lanes = { start = 8, stop = 9 }',
            "vary.link.lanes: give one of count and step",
        ),
        (
            'model = "llama2-7b"\n[vary]\nlink.lanes = { start = 8, stop = 9, steps = 1, count = 2 }',
            "vary.link.lanes: unknown key steps: the nearest known one is step",
        ),
        ('model = "llama2-7b"\n[vary]\npackage.rows = [4]', "package.rows: give mesh or dies instead"),
        (
            'model = "llama2-7b"\n[switches]\ncolective = "ring"',
            "unknown switch colective: the nearest known one is collective",
        ),
        (
            'model = "llama2-7b"\n[[together]]\nlink.lanes = [8, 16]\nlink.lane_rate = [8e9]',
            "together link.lanes, link.lane_rate: lists must be equally long",
        ),
        (
            'model = "llama2-7b"\n[vary]\nlink.lanes = 8\n[[together]]\nlink.lanes = [8, 16]',
            "link.lanes is varied twice",
        ),
        (
            'model = "llama2-7b"\nconstraints = ["die_mm <= 100"]',
            "constraint 'die_mm <= 100': unknown name die_mm: the nearest known one is die_mm2",
        ),
        (
            'model = "llama2-7b"\nconstraints = ["die_mm2"]',
            "constraint 'die_mm2': must compare two expressions",
        ),
        (
            'model = "llama2-7b"\nobjectives = ["step_second"]',
            "unknown objective 'step_second': the nearest known one is step_seconds",
        ),
        ("model = ", "not valid TOML: Invalid value (at end of document)"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        load(tmp_path, text)
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith(str(tmp_path / "space.toml") + ": ")


@pytest.mark.parametrize(
    ("text", "holds"),
    [("a.b * 2 <= 4", True), ("a.b ** 2 > 4 - c", False), ("-a.b / c % 2 != 1", True), ("name == 'x'", True)],
)
def test_constraints_compare(text: str, holds: bool) -> None:
    values = {"a.b": 2.0, "c": -1.0, "name": "x"}
    assert Constraint.parse(text, tuple(values), ()).holds(values) == holds


@pytest.mark.parametrize(
    "text", ["__import__('os') == 1", "a[0] < 1", "a < b < 1", "a <", "1 < " + "1+" * 400 + "1"]
)
def test_constraints_are_no_programs(text: str) -> None:
    with pytest.raises(ValueError, match="must compare two expressions"):
        Constraint.parse(text, ("a", "b"), ())
