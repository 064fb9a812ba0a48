"""The packaged Yosys as a child."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtl.emit.yosys import YosysError, run_yosys


def test_it_reads_and_writes_in_its_folder_and_never_imports_from_it(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("raise ValueError")
    (tmp_path / "in.il").write_text("module \\top\nend\n")
    run_yosys("read_rtlil in.il\nwrite_verilog out.v\n", what="top", folder=tmp_path)
    assert "module top" in (tmp_path / "out.v").read_text()


def test_an_error_names_the_design() -> None:
    with pytest.raises(YosysError, match=r"^top: [^\n]*no_such_command"):
        run_yosys("no_such_command\n", what="top")


@pytest.mark.slow  # Yosys is compiled anew, which takes long
def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert "Yosys" in run_yosys("write_verilog\n", what="top")
