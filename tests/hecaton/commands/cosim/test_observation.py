"""``hecaton cosim gemm --trace --waves`` as its users run it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.hecaton.command import hecaton, refused

GEMM = ("cosim", "gemm", "--m", "3", "--k", "4", "--n", "5", "-P", "die.rows=2", "-P", "die.cols=2")


def test_files_that_are_asked_for(tmp_path: Path) -> None:
    done = hecaton(
        *GEMM, "--trace", "new/gemm.json", "--waves", "new/gemm.fst", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["mismatches"] == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "gemm.fst", "gemm.gtkw", "gemm.json", "gemm.sucl",
    ]  # fmt: skip
    trace = json.loads((tmp_path / "new/gemm.json").read_text())
    assert trace["otherData"]["title"] == "3x4x5 nn, 2x2 bf16"


def test_what_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    assert refused(*GEMM, "--waves", "gemm.fst", "--sim", "cxxrtl", cwd=tmp_path) == (
        "--waves gemm.fst: --sim cxxrtl writes waveforms as .vcd, not as .fst"
    )
    assert refused(*GEMM, "--waves", "gemm.txt", cwd=tmp_path) == (
        "--waves gemm.txt: --sim icarus writes waveforms as .fst or .vcd, not as .txt"
    )
    assert (
        refused(*GEMM, "--trace", ".", cwd=tmp_path)
        == "--trace .: is a folder: must be a plain file, or absent"
    )
    assert list(tmp_path.iterdir()) == []
