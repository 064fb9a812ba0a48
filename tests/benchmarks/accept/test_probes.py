"""Probes: comparison of folders, and names."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.accept.probes import ProbeError, main, regression_simulators, same_bytes, sweep_million


def test_folders_are_compared_byte_for_byte(tmp_path: Path) -> None:
    left, right = tmp_path / "left", tmp_path / "right"
    for folder in (left, right):
        (folder / "inner").mkdir(parents=True)
        (folder / "top.v").write_text("module top;")
        (folder / "inner" / "map.json").write_text("{}")
    assert same_bytes(left, right) == 2
    (right / "inner" / "map.json").write_text("{ }")
    with pytest.raises(ProbeError, match=r"inner/map\.json differs"):
        same_bytes(left, right)
    (right / "top.v").unlink()
    with pytest.raises(ProbeError, match=r"not in both: top\.v"):
        same_bytes(left, right)


def test_a_list_of_gemms_is_compared_between_simulators(tmp_path: Path) -> None:
    matrix = tmp_path / "matrix.toml"
    matrix.write_text(
        "configurations = [{ die.rows = 2, die.cols = 3 }]\n"
        'dtypes = ["int8"]\nshapes = ["5x7x3"]\nforms = ["nn", "tn"]\n'
    )
    assert regression_simulators(matrix, ("icarus", "cxxrtl")) == {
        "simulators": 2,
        "runs": 2,
        "different": [{"simulator": "icarus", "runs": 0}, {"simulator": "cxxrtl", "runs": 0}],
    }


def test_the_space_of_links_is_swept_with_other_counts() -> None:
    found = sweep_million(2)
    assert found["points"] == 10_368
    assert found.keys() == {"points", "seconds", "whole_process_seconds", "projection_seconds"}


def test_an_unknown_probe_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size"]) == 2
    assert "error: needs one of generation-cost, generation-growth, " in capsys.readouterr().err
