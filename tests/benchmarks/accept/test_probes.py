"""Probes: comparison of folders, and names."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.accept.probes import ProbeError, main, same_bytes


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


def test_an_unknown_probe_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size"]) == 2
    assert "error: needs one of generation-cost, generation-growth, " in capsys.readouterr().err
