"""ASTRA-sim itself takes the exports, where it is installed, and needs the time that our terms give under its
restrictions.
"""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from benchmarks.astra_sim.__main__ import BOUND, main
from benchmarks.astra_sim.binary import VARIABLE, AstraSimError, Finished, find_binary, run
from benchmarks.astra_sim.cases import ODD, QUICK, Case
from benchmarks.astra_sim.rows import row_of, terms_seconds
from chiplet.export.layer_graph import layer_sequences, layer_trace

BINARY = find_binary()

needs_astra_sim = pytest.mark.skipif(
    BINARY is None, reason=f"needs ASTRA-sim: its program on the path, or named by {VARIABLE}"
)


def program(folder: Path, *lines: str) -> Path:
    """A program that says ``lines``."""
    path = folder / "astra"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@needs_astra_sim
@pytest.mark.parametrize("case", [*QUICK, Case(ODD, "flat-ring", (2, 3), True)], ids=lambda case: case.method)
def test_astra_sim_needs_the_explained_time(case: Case) -> None:
    assert BINARY is not None
    row = row_of(case, BINARY, None)
    assert abs(row["remainder"]) <= BOUND
    assert abs(row["picoseconds_remainder"]) <= BOUND
    # Whole microseconds, to half of one.
    assert row["astra_sim_compute_ms"] == pytest.approx(row["compute_ms"], abs=6e-4)


def test_the_last_npu_counts(tmp_path: Path) -> None:
    said = (
        f"echo 'sys[{npu}] finished, {90 + npu} cycles, exposed communication 4 cycles.'" for npu in (0, 1)
    )
    assert run(program(tmp_path, *said), [("network.yml", "a: b")], 2) == Finished(91, 4)


def test_a_run_that_aborts_is_an_error(tmp_path: Path) -> None:
    ended = "echo 'sys[0] finished, 9 cycles, exposed communication 4 cycles.'"
    with pytest.raises(AstraSimError, match="ended with 3 and 1 of 1 NPUs finished: assertion"):
        run(program(tmp_path, ended, "echo assertion >&2", "exit 3"), [], 1)
    with pytest.raises(AstraSimError, match="ended with 0 and 1 of 2 NPUs finished"):
        run(program(tmp_path, ended), [], 2)
    with pytest.raises(AstraSimError, match="No such file"):
        run(tmp_path / "missing", [], 2)


def test_a_missing_program_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert (
        "AstraSim_Analytical_Congestion_Unaware: not found: give its path as --binary"
        in capsys.readouterr().err
    )


def test_a_failed_run_fails_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    binary = program(tmp_path, "exit 1")
    assert main(["--quick", "--binary", str(binary), "-o", str(tmp_path / "out")]) == 1
    assert "error: tinyllama-1.1b, hecaton (2, 2): astra ended with 1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("case", QUICK, ids=lambda case: f"{case.method}, tiles: {case.token_tiles}")
def test_terms_grow_by_what_is_taken_in_turn(case: Case) -> None:
    found = case.account()
    count = layer_sequences(found)
    nodes = layer_trace(found, sequences=count, token_tiles=case.token_tiles)
    terms, as_cut = (
        terms_seconds(found, nodes, count, token_tiles=case.token_tiles, as_cut=as_cut)
        for as_cut in (False, True)
    )
    everything = sum(node.seconds for node in nodes)
    assert terms <= as_cut <= everything * 1.001
    if not case.token_tiles:
        assert terms == everything
