"""``hecaton doctor`` and ``hecaton cache``: tables, JSON, exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cosim.backends.registry import BACKENDS
from tests.hecaton.command import hecaton, refused


def environment(folder: Path) -> dict[str, str]:
    return {"HECATON_CACHE": str(folder / "cache"), "HECATON_CACHE_BYTES": "5000000"}


def test_doctor(tmp_path: Path) -> None:
    done = hecaton("doctor", "--json", environment=environment(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    parts = {"backends", "compilers", "viewers", "synthesis"}
    assert set(data) == parts | {"cache", "python", "hecaton_version"}
    assert [part["name"] for part in data["backends"]] == list(BACKENDS)
    assert set(data["backends"][0]) == {"name", "works", "version", "path", "needs"}
    assert data["cache"] == {
        "folder": str(tmp_path / "cache"),
        "bytes": 0,
        "limit_bytes": 5_000_000,
        "entries": 0,
    }
    assert data["python"] == sys.version.split()[0]
    table = hecaton("doctor", environment=environment(tmp_path))
    assert table.returncode == 0
    for word in ("icarus", "cxxrtl", "verilator", "iverilog", "gtkwave", "surfer", str(tmp_path / "cache")):
        assert word in table.stdout


def test_doctor_without_a_backend(tmp_path: Path) -> None:
    done = hecaton("doctor", "--json", environment={**environment(tmp_path), "PATH": str(tmp_path)})
    assert done.returncode == 1
    assert not any(part["works"] for part in json.loads(done.stdout)["backends"])
    assert done.stderr.startswith("hecaton: error: no backend works: icarus: iverilog is not installed")
    assert done.stderr.count("\n") == 1


def test_cache(tmp_path: Path) -> None:
    die = ("-P", "die.rows=1", "-P", "die.cols=1", "-P", "die.dtype=int8")
    gemm = ("cosim", "gemm", "--m", "1", "--k", "1", "--n", "1", *die)
    records = str(tmp_path / "records")
    assert hecaton(*gemm, "--records", records, environment=environment(tmp_path)).returncode == 0
    data = json.loads(hecaton("cache", "show", "--json", environment=environment(tmp_path)).stdout)
    shown = hecaton("cache", "show", environment=environment(tmp_path)).stdout
    assert len(data["entries"]) == 2  # the design and its model
    for entry in data["entries"]:
        assert set(entry) == {"key", "bytes", "last_use", "in_use"}
        assert not entry["in_use"]
        assert entry["key"] in shown
    assert data["bytes"] == sum(entry["bytes"] for entry in data["entries"]) > 0
    assert data["limit_bytes"] == 5_000_000
    cleared = json.loads(hecaton("cache", "clear", "--json", environment=environment(tmp_path)).stdout)
    assert cleared == {
        "folder": str(tmp_path / "cache"),
        "removed": 2,
        "bytes": data["bytes"],
        "kept": 0,
    }
    assert "0 entries removed" in hecaton("cache", "clear", environment=environment(tmp_path)).stdout
    assert (
        json.loads(hecaton("doctor", "--json", environment=environment(tmp_path)).stdout)["cache"]["entries"]
        == 0
    )


def test_a_wrong_bound(tmp_path: Path) -> None:
    done = hecaton("cache", "show", environment={"HECATON_CACHE_BYTES": "2G"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "hecaton: error: HECATON_CACHE_BYTES = 2G: must be a number of bytes, at least 0\n"
    assert "fry" in refused("cache", "fry")
