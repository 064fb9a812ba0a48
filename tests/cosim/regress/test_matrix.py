"""Regressions as TOML files: whatever is wrong is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim.regress.cases import cases
from cosim.regress.matrix import load_baseline, load_regression


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shapes = [", "not valid TOML: "),
        ("", "it has no runs: shapes and lists are empty$"),
        ("shapes = []", "it has no runs: shapes and lists are empty$"),
        (
            'lists = [{ configuration = {}, runs = [{ shape = "1x1" }] }]',
            r'lists\.0\.runs\.0\.shape = "1x1": must be MxKxN, as in 37x53x29$',
        ),
        (
            'lists = [{ configuration = {}, runs = [{ shape = "1x1x1", latency = 3 }] }]',
            r"unknown key lists\.0\.runs\.0\.latency$",
        ),
        (
            'lists = [{ configuration = {}, runs = [{ shape = "1x1x1", latency_cycles = 1 }] }]',
            r"lists\.0: runs\.0: -P memory\.latency_cycles=1: ",
        ),
        ('shapes = ["1x1x1"]\nshape = 1', "unknown key shape: the nearest known one is shapes$"),
        (
            'shapes = ["1x1x1"]\n[bounds]\narray_cycle = 1',
            r"unknown key bounds\.array_cycle: the nearest known one is bounds\.array_cycles_over_floor$",
        ),
        ('shapes = ["1x1"]', r'shapes\.0 = "1x1": must be MxKxN, as in 37x53x29$'),
        ('shapes = ["0x1x1"]', r'shapes\.0 = "0x1x1": must be MxKxN'),
        ('shapes = ["1x1x1"]\nforms = ["xx"]', r"forms\.0 = \"xx\": input should be 'nn', 'nt' or 'tn'$"),
        ('shapes = ["1x1x1"]\nseeds = [0.5]', r"seeds\.0 = 0\.5: input should be a valid integer$"),
        ('shapes = ["1x1x1"]\n[bounds]\nprediction_error = 0', r"bounds\.prediction_error = 0: "),
        (
            'shapes = ["1x1x1"]\nconfigurations = [3]',
            r"configurations\.0 = 3: must be a table of configuration keys, or a list of KEY=VALUE$",
        ),
        (
            'shapes = ["1x1x1"]\nconfigurations = [{}, { die.row = 3 }]',
            r"configurations\.1: -P die\.row=3: unknown key die\.row: the nearest known one is die\.rows$",
        ),
        ('shapes = ["1x1x1"]\nstalls = [1.5]', r"configurations\.0: stall = 1\.5: "),
        ('shapes = ["1x1x1"]\nsim = "vcs"', r"configurations\.0: --sim vcs is unknown: must be one of "),
        (
            'shapes = ["9000x9000x9000"]',
            r"configurations\.0: 9000x9000x9000 \(nn\) needs \d+ bytes of memory: ",
        ),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "list.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^{path}: {message}") as refusal:
        cases(load_regression(path), source=str(path))
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "list.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=f"^{path}: not a TOML file: byte 0 is not UTF-8$"):
        load_regression(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cycles", "not valid TOML: "),
        ("[cycles]\nrun = 0", r"cycles\.run = 0: input should be greater than 0$"),
        ("[cycle]\nrun = 1", "cycles is missing$"),
    ],
)
def test_what_is_wrong_with_a_baseline_is_refused_in_one_line(
    tmp_path: Path, text: str, message: str
) -> None:
    path, baseline = tmp_path / "list.toml", tmp_path / "baseline.toml"
    path.write_text('shapes = ["1x1x1"]\n[bounds]\nbaseline = "baseline.toml"')
    baseline.write_text(text)
    with pytest.raises(ValueError, match=f"^{baseline}: {message}") as refusal:
        load_baseline(load_regression(path), path)
    assert "\n" not in str(refusal.value)


def test_a_baseline_is_beside_the_list(tmp_path: Path) -> None:
    path = tmp_path / "list.toml"
    path.write_text('shapes = ["1x1x1"]')
    assert load_baseline(load_regression(path), path) == {}
    path.write_text('shapes = ["1x1x1"]\n[bounds]\nbaseline = "baseline.toml"')
    (tmp_path / "baseline.toml").write_text('[cycles]\n"a run" = 7')
    assert load_baseline(load_regression(path), path) == {"a run": 7}
