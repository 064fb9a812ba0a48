"""The verilog command with --package: its keys, its files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hecaton.command import called, documented_keys, refused


@pytest.mark.parametrize(("rows", "cols"), [pytest.param(1, 1, marks=pytest.mark.slow), (4, 4)])
def test_a_package_is_written_with_its_file_list_and_map(rows: int, cols: int, tmp_path: Path) -> None:
    sizes = [
        "-P",
        f"package.rows={rows}",
        "-P",
        f"package.cols={cols}",
        "-P",
        "die.rows=4",
        "-P",
        "die.cols=4",
        "-P",
        "die.dtype=int8",  # without a vector unit, which takes longest to emit
    ]
    done = called("verilog", "--package", "-o", str(tmp_path), *sizes, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("verilog")
    assert data["top"] == f"package_{rows}x{cols}_of_4x4_int8"
    assert data["seconds"] > 0
    assert data["bytes"] == sum(Path(name).stat().st_size for name in data["files"]) < 1_100_000
    assert [Path(name).name for name in data["files"]] == Path(data["file_list"]).read_text().splitlines()
    entries = json.loads(Path(data["map"]).read_text())
    assert len(entries["dies"]) == rows * cols
    assert set(entries["configuration"]) == {"die", "vector", "memory", "nop", "link", "package"}
    assert entries["configuration"]["package"] == {"rows": rows, "cols": cols, "io": "both"}


def test_what_no_package_can_be_is_refused(tmp_path: Path) -> None:
    arguments = ("verilog", "--package", "-o", str(tmp_path / "package"))
    assert refused(*arguments, "-P", "nop.coordinate_bits=2") == (
        "nop.coordinate_bits = 2 does not number a package of 4 x 4 dies and its IO dies: must be at least 3"
    )
    assert "must be at most 128 with IO dies" in refused(*arguments, "-P", "memory.word_bytes=256")
    assert "package.io" in refused(*arguments, "-P", "package.io=north")
    assert not (tmp_path / "package").exists()


SMALL = ("-P", "die.rows=2", "-P", "die.cols=1", "-P", "die.dtype=int8", "-P", "die.sram=macro")


def test_flow_writes_further_files_and_the_same_verilog(tmp_path: Path) -> None:
    plain, flow = tmp_path / "plain", tmp_path / "flow"
    assert called("verilog", "-o", str(plain), *SMALL).returncode == 0
    done = called("verilog", "--flow", "-o", str(flow), *SMALL, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("verilog", "--flow")
    for path in plain.iterdir():
        assert (flow / path.name).read_bytes() == path.read_bytes()
    added = {str(path) for path in flow.rglob("*") if path.is_file() and not (plain / path.name).exists()}
    # Wrappers of SRAMs have the names of the black boxes.
    assert added <= set(data["flow_files"])
    assert all(Path(name).is_file() for name in data["flow_files"])
    names = {Path(name).name for name in data["flow_files"]}
    endings = (".core", ".rdl", ".sdc", "_tb.v", "_srams.json", "_srams.md")
    assert {f"die_2x1_int8{ending}" for ending in endings} <= names
    first = {name: Path(name).read_bytes() for name in data["flow_files"]}
    assert called("verilog", "--flow", "-o", str(flow), *SMALL).returncode == 0
    assert {name: Path(name).read_bytes() for name in first} == first


def test_flow_writes_nothing_where_a_file_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "sram").write_text("mine")
    assert "sram" in refused("verilog", "--flow", "-o", str(tmp_path), *SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["sram"]
