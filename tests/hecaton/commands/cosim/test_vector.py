"""``hecaton cosim vector``: its JSON, its table, and one line for what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hecaton.command import called, documented_keys, refused

DIE = ("-P", "die.rows=1", "-P", "die.cols=1", "-P", "memory.word_bytes=16")
RUN = ("cosim", "vector", "--program", "residual", "--rows", "3", "--cols", "5", *DIE)


def test_json_and_record(tmp_path: Path) -> None:
    done = called(*RUN, "--json", "--records", str(tmp_path))
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("cosim vector")
    assert (data["program"], data["rows"], data["cols"], data["lanes"]) == ("residual", 3, 5, 4)
    assert (data["mismatches"], data["results"], data["passes"]) == (0, 15, 1)
    assert abs(data["cycles"] - data["predicted_cycles"]) <= 4
    assert json.loads(Path(data["record"]).read_text())["counters"] == data["counters"]

    table = called(*RUN, "--records", str(tmp_path))
    assert table.returncode == 0, table.stderr
    for shown in ("residual 3x5", "mismatches", f"{data['cycles']} (predicted {data['predicted_cycles']})"):
        assert shown in table.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--program", "relu"), "vector program 'relu': must be one of softmax, softmax-backward, "),
        (("--causal",), "vector program residual has no causal mask"),
        (("--rows", "0"), "--rows"),
        (("-P", "die.dtype=int8"), "a die with int8 operands has no vector unit: die.dtype must be bf16"),
        (
            ("--cols", "60000"),
            "of the scratchpad for 1 row at a time: must be at most the ",
        ),
    ],
)
def test_what_cannot_run_is_refused(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    assert message in refused(*RUN, *options, "--records", str(tmp_path))
