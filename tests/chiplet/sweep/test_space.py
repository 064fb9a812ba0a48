"""Files of design spaces: axes, ranges, and what is refused."""

from __future__ import annotations

import re
import tracemalloc
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.sweep.axes import Sweep
from chiplet.sweep.constraints import Constraint
from chiplet.sweep.limits import MAX_POINTS, check_points
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
        ('model = "llama2-7b"\ndies = []', "dies: no values"),
        ('model = "llama2-7b"\nmesh = []', "mesh: no values"),
        ('model = "llama2-7b"\nmethod = []', "method: no values"),
        ('model = "llama2-7b"\nsequence_length = []', "sequence_length: no values"),
        ('model = "llama2-7b"\n[vary]\ndie.rows = []', "die.rows: no values"),
        ('model = "llama2-7b"\n[switches]\noverlap = []', "switches.overlap: no values"),
        (
            'model = "llama2-7b"\n[[together]]\nlink.lanes = []\nlink.pj_per_bit = []',
            "link.lanes, link.pj_per_bit: no values",
        ),
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
        (
            'model = "llama2-7b"\nobjectives = ["mfu", "step_seconds", "mfu"]',
            "objective mfu is given twice",
        ),
        (
            'model = "llama2-7b"\nmethod = ["hecaton", "flat-ring"]\n[switches]\ncollective = ["ring", "rings"]',
            "switch of hecaton: collective = 'rings': ",
        ),
        (
            'model = "llama2-7b"\n[[together]]\nswitches.overlap = [true, 1]\nlink.lanes = [8, 16]',
            "switch of hecaton: overlap = 1: ",
        ),
        (
            'model = "llama2-7b"\nconstraints = ["global_batch <= 8"]',
            "constraint 'global_batch <= 8': global_batch has no value in this space",
        ),
        (
            'model = "llama2-7b"\nconstraints = ["die.dtype < 8"]',
            "constraint 'die.dtype < 8': text and numbers have no order",
        ),
        (
            'model = "llama2-7b"\nconstraints = ["memory.kind * 2 == 8"]',
            "constraint 'memory.kind * 2 == 8': memory.kind * 2: text is no number",
        ),
        ("model = ", "not valid TOML: Invalid value (at end of document)"),
        *(
            (f'model = "llama2-7b"\n{text}', message)
            for text, message in (
                (f"dies = {10**21}", "dies = about 10^21: integers go up to 2^53"),
                ("dies = 1048577", "dies = 1048577: must be at most 1048576, the most of a package"),
                ("dies = [16, true]", "mesh True: must be ROWSxCOLUMNS, as in 4x8, or a number of dies"),
                ("dies = inf", "dies = inf: must be finite"),
                ('mesh = "999999x999999"', "mesh 999999x999999 has more than 1048576 dies"),
                ("mesh = [nan]", "mesh = nan: must be finite"),
                ("global_batch = true", "global_batch = true: must be an integer of at least 1"),
                (f"global_batch = {10**400}", "global_batch = about 10^400: integers go up to 2^53"),
                ("sequence_length = inf", "sequence_length = inf: must be finite"),
                ("mini_batch = nan", "mini_batch = nan: must be finite"),
                ("optimizer = nan", "optimizer = nan: must be finite"),
                ("optimizer = true", "optimizer True: must be one of sgd, adam"),
                ("method = inf", "method = inf: must be finite"),
                ("[vary]\ndie.clock_hz = [1e9, inf]", "die.clock_hz = inf: must be finite"),
                ("[vary]\nlink.pj_per_bit = nan", "link.pj_per_bit = nan: must be finite"),
                ("[vary]\nlink.lanes = [8, true]", "link.lanes must be an integer"),
                (
                    "[vary]\nlink.pj_per_bit = true",
                    "link.pj_per_bit must be a finite number from 0 to 1000000.0, not true",
                ),
                (
                    f"[vary]\nmemory.channel_bytes = {10**30}",
                    "memory.channel_bytes = about 10^30: integers go",
                ),
                ("[switches]\noverlap = inf", "switches.overlap = inf: must be finite"),
                (
                    "[[together]]\nlink.lanes = [8, 16]\nlink.pj_per_bit = [0.5, inf]",
                    "link.pj_per_bit = inf: must",
                ),
                (
                    "[[together]]\nlink.lanes = [8, 16]\nswitches.overlap = [true, nan]",
                    "switches.overlap = nan: must",
                ),
                (
                    "[vary]\nlink.lanes = { start = true, stop = 8, count = 2 }",
                    "vary.link.lanes: start = true: ",
                ),
                (
                    "[vary]\nlink.lanes = { start = 8, stop = inf, count = 2 }",
                    "vary.link.lanes: stop = inf: ",
                ),
                ("[vary]\nlink.lanes = { start = 8, stop = 9, step = nan }", "vary.link.lanes: step = nan: "),
                (
                    "[vary]\nlink.lanes = { start = 8, stop = 9, count = true }",
                    "vary.link.lanes: count = true: ",
                ),
                ("[vary]\nlink.lanes = { start = 8 }", "vary.link.lanes: stop is missing"),
                (
                    "[vary]\nlink.lane_rate = { start = -1e308, stop = 1e308, count = 3 }",
                    "vary.link.lane_rate: start and stop are too far apart",
                ),
                (
                    "[vary]\nlink.lane_rate = { start = 1e-300, stop = 1e300, count = 3, scale = 'log' }",
                    "link.lane_rate must be a finite number from 1000.0 to 1000000000000000.0, not 1e-300",
                ),
            )
        ),
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[vary]\nlink.lanes = { start = 1, stop = 1e12, step = 1 }",
            "vary.link.lanes: about 1e+12 values: a sweep has at most 10,000,000 points",
        ),
        (
            "[vary]\nlink.lane_rate = { start = 0, stop = 1e308, step = 1e-308 }",
            "vary.link.lane_rate: more than 10^308 values: a sweep has at most 10,000,000 points",
        ),
        (
            "[vary]\nlink.lanes = { start = 1, stop = 2, count = 1000000000000 }",
            "vary.link.lanes: count = 1000000000000: input should be less than or equal to 10000000",
        ),
        (
            (
                "dies = { start = 1, stop = 1e6, step = 1 }\n"
                "[vary]\nlink.lane_rate = { start = 1e9, stop = 2e9, count = 1000000 }"
            ),
            (
                "1,000,000,000,000 points (1,000,000 of dies, 1,000,000 of link.lane_rate): "
                "a sweep has at most 10,000,000; vary less, or make several sweeps"
            ),
        ),
        (
            "sequence_length = { start = 1, stop = 9e6, step = 1 }\n[switches]\noverlap = [true, false]",
            "18,000,000 points (9,000,000 of sequence_length, 2 of switches.overlap): a sweep has at most",
        ),
        (
            "[vary]\n"
            + "".join(
                f"{key} = {{ start = 1, stop = 2, count = 10000000 }}\n"
                for key in ("link.lanes", "link.lane_rate", "link.pj_per_bit")
            ),
            "about 10^21 points (10,000,000 of link.lanes, 10,000,000 of link.lane_rate, ",
        ),
    ],
)
def test_too_many_points_are_refused_from_their_counts(tmp_path: Path, text: str, message: str) -> None:
    """As quick as any other refusal: values that are never made take no time and no memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=re.escape(message)) as refusal:
            load(tmp_path, 'model = "llama2-7b"\n' + text)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert "\n" not in str(refusal.value)


@given(
    sizes=st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 10**9), max_size=6),
)
def test_points_are_counted_exactly(sizes: dict[str, int]) -> None:
    if prod(sizes.values()) <= MAX_POINTS:
        check_points(sizes)
    else:
        with pytest.raises(ValueError, match=f"a sweep has at most {MAX_POINTS:,}"):
            check_points(sizes)


@given(start=st.floats(-1e6, 1e6), length=st.floats(0, 1e4), step=st.floats(1e-2, 1e3))
def test_the_size_of_a_range_is_its_number_of_values(start: float, length: float, step: float) -> None:
    made = Range(start=start, stop=start + length, step=step)
    assert made.size == len(made.values())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("9**9**9 > a", "9 ** 9 ** 9 is no finite number"),
        ("a < 2 ** 9**9 * b", "2 ** 9 ** 9 is no finite number"),
        ("-(9**9**9) < a", "9 ** 9 ** 9 is no finite number"),
        ("1e999 > a", "1e309 is no finite number"),
        (f"a < {'9' * 400}", f"{'9' * 60} is no finite number"),
        ("1 / 0 > a", "1 / 0 is no finite number"),
        ("a / 0 > b", "a / 0 divides by zero"),
        ("a % (2 - 2) > b", "a % (2 - 2) divides by zero"),
        ("(-8) ** 0.5 == a", "(-8) ** 0.5 is no finite number"),
        ("a + True > 1", "True is no number"),
        ("'%999999999d' % a == 'x'", "'%999999999d' is no number"),
        ("-'x' == a", "'x' is no number"),
    ],
)
def test_constants_of_a_constraint_are_finite_numbers(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as refusal:
        Constraint.parse(text, ("a", "b"), ())
    assert "\n" not in str(refusal.value)


def test_powers_of_names_are_floats() -> None:
    values = {"a": 2**40, "b": 10**9, "name": "%999999999d"}
    assert Constraint.parse("a ** b > 1", tuple(values), ()).holds(values)  # infinite
    assert not Constraint.parse("a / (b - 10 ** 9) < 1", tuple(values), ()).holds(values)
    assert not Constraint.parse("(0 - a) ** 0.5 == a", tuple(values), ()).holds(values)
    with pytest.raises(TypeError, match="text is no number"):
        Constraint.parse("name % b == 'x'", tuple(values), ()).holds(values)
    assert Constraint.parse("a * b == 1099511627776000000000", tuple(values), ()).holds(values)
    assert Constraint.parse("on == True", ("on",), ()).holds({"on": True})


def test_a_number_and_an_array_of_it_compare_alike() -> None:
    texts = ("a / b > 1", "a % b < 1", "a ** b < 1", "(0 - a) ** 0.5 >= 0", "a / b == b / a")
    for text in texts:
        constraint = Constraint.parse(text, ("a", "b"), ())
        for a, b in ((0, 0), (3, 0), (0, 3), (1e200, 1e200), (2**60, 0.5)):
            one = constraint.holds({"a": a, "b": b})
            many = constraint.holds({"a": np.array([float(a)]), "b": np.array([float(b)])})
            assert many.tolist() == [bool(one)]
