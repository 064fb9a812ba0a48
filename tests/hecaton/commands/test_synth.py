"""The synth command: what it refuses before anything runs, and a whole die."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rtl.synthesis import synthesis_programs
from tests.hecaton.command import called, documented_keys, refused
from tests.rtl.synthesis.small_library import liberty, needs_programs

DIE = ("-P", "die.rows=1", "-P", "die.cols=1", "-P", "die.dtype=int8")


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    path = tmp_path / "cells.lib"
    path.write_text(liberty())
    return path


@needs_programs
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--clock", "0"), "--clock 0: must be a number above 0"),
        (("--clock", "nan"), "--clock nan: must be a number above 0"),
        (("--sram-output", "-1"), "--sram-output -1: must be a number above 0"),
        (("--sram-setup", "inf"), "--sram-setup inf: must be a number above 0"),
        (("-P", "die.rows=0"), "die.rows"),
        (("-P", "die.sram_latency=4"), "die.sram_latency"),
    ],
)
def test_wrong_options(options: tuple[str, ...], message: str, cells: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert message in refused("synth", "--liberty", str(cells), "-o", str(output), *DIE, *options)
    assert not output.exists()


@needs_programs
def test_wrong_files(cells: Path, tmp_path: Path) -> None:
    words = ("synth", "-o", str(tmp_path / "out"), *DIE)
    assert "--liberty" in refused(*words)
    assert refused(*words, "--liberty", str(tmp_path / "none.lib")).endswith("No such file or directory")
    twice = ("--liberty", str(cells), "--liberty", str(cells))
    assert "must be in one file" in refused(*words, *twice)
    cells.write_text("module top (); endmodule")
    assert "0 Liberty libraries: must be one" in refused(*words, "--liberty", str(cells))


@pytest.mark.parametrize("program", list(synthesis_programs.SYNTHESIS_PROGRAMS))
def test_a_program_that_is_missing_is_named(
    program: str, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, other in synthesis_programs.SYNTHESIS_PROGRAMS.items():
        if name != program:
            script = tmp_path / name
            script.write_text(f"#!/bin/sh\necho '{'Yosys 0.23' if name == 'yosys' else '2.0.17'}'\n")
            script.chmod(0o755)
        else:
            missing = other
    monkeypatch.setenv("PATH", str(tmp_path))
    message = refused("synth", "--liberty", str(cells), "-o", str(tmp_path / "out"), *DIE)
    assert message == f"{missing.name} is not installed: it needs {missing.needs}"


@needs_programs
@pytest.mark.slow  # maps every block of a die
def test_a_die(cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HECATON_CACHE", str(tmp_path / "cache"))
    words = ("synth", "--liberty", str(cells), "-o", str(tmp_path / "out"), *DIE, "--json")
    done = called(*words)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("synth")
    assert (data["top"], data["latches"], data["loops"]) == ("die_1x1_int8", 0, [])
    assert data["area_um2"] == pytest.approx(sum(block["total_um2"] for block in data["blocks"]))
    assert 1 <= len(data["paths"]) <= 10
    assert [path["period_ps"] for path in data["paths"]] == sorted(
        (path["period_ps"] for path in data["paths"]), reverse=True
    )
    assert data["paths"][0]["period_ps"] == data["period_ps"]
    for key in ("verilog", "constraints", "netlist", "macro_liberty", "report", "picture"):
        assert Path(data[key]).stat().st_size > 0
    again = json.loads(called(*words).stdout)
    assert again["reused"] == len(again["blocks"])
    assert {**again, "reused": 0} == {**data, "reused": 0}
