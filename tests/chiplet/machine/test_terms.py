"""Terms of the array and calibrations."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.calibration import Calibration
from chiplet.machine.specs import DieSpec
from chiplet.machine.terms import DieTerms, GemmTerms, floor_cycles
from nop.terms import NopTerms

SIZE = st.integers(1, 300)


@given(rows=st.integers(1, 64), cols=st.integers(1, 64), stages=st.integers(1, 4), m=SIZE, k=SIZE, n=SIZE)
def test_default_terms_are_the_floor_and_the_accumulator_adder(
    rows: int, cols: int, stages: int, m: int, k: int, n: int
) -> None:
    floor = rows + ceil(k / rows) * ceil(n / cols) * max(m, rows, stages) + rows * stages + cols - 2
    assert floor_cycles(rows=rows, cols=cols, stages=stages, m=m, k=k, n=n) == floor
    idle = max(m, rows, stages) - m  # the last tile ends with its rows: there is no next one to load
    found = GemmTerms().array_cycles(rows=rows, cols=cols, stages=stages, m=m, k=k, n=n)
    assert found == floor - idle + stages + 1


def test_the_known_case() -> None:
    assert floor_cycles(rows=16, cols=16, stages=1, m=128, k=256, n=256) == 32_814


@pytest.mark.parametrize("name", ["rows", "cols", "stages", "m", "k", "n"])
def test_sizes_below_one_are_refused(name: str) -> None:
    sizes = dict.fromkeys(("rows", "cols", "stages", "m", "k", "n"), 4) | {name: 0}
    with pytest.raises(ValueError, match=f"^{name} = 0: must be at least 1$"):
        GemmTerms().array_cycles(**sizes)


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    made = Calibration(
        die=DieSpec(rows=16),
        terms=DieTerms(gemm=GemmTerms(per_tile=0.5)),
        provenance={"simulator": "icarus", "samples": 12, "seeds": [1, 2]},
        nop=NopTerms(hop_cycles=1.25),
        extra={"hop_cycles": 1.0},
    )
    (tmp_path / "c.json").write_text(made.model_dump_json(), encoding="utf-8")
    assert Calibration.load(tmp_path / "c.json") == made


def test_a_file_without_terms_of_the_network_loads(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"die": {}}')
    assert Calibration.load(path).nop is None
    path.write_text('{"die": {}, "nop": {"hop_cycles": 2.0}}')
    assert Calibration.load(path).nop == NopTerms(hop_cycles=2.0)
    path.write_text('{"die": {}, "nop": {"hops": 2.0}}')
    with pytest.raises(
        ValueError,
        match="c.json: not a calibration: unknown key nop.hops: the nearest known one is nop.hop_cycles",
    ):
        Calibration.load(path)


def test_missing_and_broken_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    with pytest.raises(ValueError, match="c.json: cannot read the calibration: No such file or directory$"):
        Calibration.load(path)
    for text in ("", "{", "[]", '{"gemm": {}}', '{"die": {"rows": 0}}', '{"die": {"colour": 1}}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="c.json: not a calibration: ") as refusal:
            Calibration.load(path)
        assert "\n" not in str(refusal.value)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="c.json: not a calibration: byte 0 is not UTF-8"):
        Calibration.load(path)


def test_another_die_is_refused_by_name() -> None:
    calibration = Calibration(die=DieSpec(rows=8))
    calibration.check_die(DieSpec(rows=8))
    with pytest.raises(ValueError, match=r"made for a die with die\.rows = 8, not 16: calibrate this die"):
        calibration.check_die(DieSpec(rows=16))
    with pytest.raises(ValueError, match=r"die\.stages = 1, not 2"):
        calibration.check_die(DieSpec(rows=8, stages=2))
