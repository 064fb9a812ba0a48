"""``hecaton export`` as its users run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chiplet.export.chakra import COMP_NODE
from tests.chiplet.export.traces import read_trace
from tests.hecaton.command import called, refused

MODEL = ["--model", "tinyllama-1.1b", "--mesh", "2x4", "--sequence-length", "128", "--global-batch", "4"]


def result(kind: str, directory: Path, *arguments: str) -> dict[str, Any]:
    done = called("export", kind, *MODEL, "-o", str(directory), *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def test_astra_sim_gets_all_its_inputs(tmp_path: Path) -> None:
    data = result("astra-sim", tmp_path / "astra", "--token-tiles")
    files = {path.name for path in (tmp_path / "astra").iterdir()}
    assert files == {
        *("network.yml", "system.json", "memory.json", "comm_group.json"),
        *(f"layer.{npu}.et" for npu in range(8)),
    }
    _, nodes = read_trace((tmp_path / "astra" / "layer.7.et").read_bytes())
    assert (len(nodes), data["npus"], data["tokens"]) == (data["nodes"], 8, 2 * 128)
    assert json.loads((tmp_path / "astra" / "system.json").read_text())["peak-perf"] == pytest.approx(8.192)
    # Rows and columns are dimensions of the network.
    assert json.loads((tmp_path / "astra" / "comm_group.json").read_text()) == {}
    assert min(data[key] for key in ("received_bytes_per_die", "collective_seconds", "compute_seconds")) > 0


def test_astra_sim_can_count_picoseconds(tmp_path: Path) -> None:
    """Whole nanoseconds of computation, in the field that ASTRA-sim takes for microseconds."""
    total = {}
    for cycle, ticks_per_second in (("ns", 1e6), ("ps", 1e9)):
        data = result("astra-sim", tmp_path / cycle, "--token-tiles", "--cycle", cycle)
        _, nodes = read_trace((tmp_path / cycle / "layer.0.et").read_bytes())
        compute = [node.duration_micros for node in nodes if node.type == COMP_NODE]
        total[cycle] = sum(compute) / ticks_per_second
        assert total[cycle] == pytest.approx(data["compute_seconds"], abs=0.5001 / ticks_per_second)
    assert total["ns"] != total["ps"]


def test_chakra_is_the_traces_and_groups(tmp_path: Path) -> None:
    data = result("chakra", tmp_path, "--method", "flat-ring", "--sequences", "3")
    assert data["tokens"] == 3 * 128
    # Four key/value heads on eight dies: each is on two.
    assert len(json.loads((tmp_path / "comm_group.json").read_text())) == 4
    assert len(list(tmp_path.glob("layer.*.et"))) == 8


def test_scale_sim_gets_gemms_and_array(tmp_path: Path) -> None:
    data = result("scale-sim", tmp_path)
    lines = (tmp_path / "gemm.csv").read_text().splitlines()
    assert len(lines) == 1 + len(data["gemms"])
    assert data["macs"] == sum(row["times"] * row["m"] * row["k"] * row["n"] for row in data["gemms"])
    assert "ArrayHeight = 64" in (tmp_path / "die.cfg").read_text()
    table = called("export", "scale-sim", *MODEL, "-o", str(tmp_path))
    assert "GEMMs of a die" in table.stdout


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("chakra", ["--sequences", "99"], "sequences = 99: must be from 1 to the "),
        ("astra-sim", ["--mesh", "1x1"], "ASTRA-sim has no network of a single die"),
        ("astra-sim", ["--cycle", "us"], "cycle 'us': must be one of ns, ps"),
        ("scale-sim", ["--method", "ring"], "unknown method 'ring'"),
        ("scale-sim", ["-o", "/dev/null/out"], "/dev/null"),
    ],
)
def test_bad_input(tmp_path: Path, kind: str, arguments: list[str], message: str) -> None:
    assert message in refused("export", kind, *MODEL, "-o", str(tmp_path / "out"), *arguments)
