"""Machines of GPU nodes, from presets and files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from chiplet.studies.gpu_cluster import load_cluster

TEXT = (resources.files("chiplet") / "presets" / "machines" / "a100.toml").read_text(encoding="utf-8")


def test_a_file_is_the_preset_it_was_copied_from(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    assert load_cluster(path) == load_cluster("a100")


def test_reached_rates() -> None:
    machine = load_cluster("a100")
    assert machine.node_rate == 300e9 * machine.nvlink_efficiency
    assert machine.cluster_rate == 25e9 * machine.infiniband_efficiency
    assert machine.memory_rate == 2.039e12 * machine.memory_efficiency


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("peak = 1.0\n" + TEXT, "unknown key peak: the nearest known one is peak_flops"),
        (
            TEXT.replace("gemm_efficiency = 0.978", "gemm_efficiency = 2.0"),
            "gemm_efficiency = 2.0: input should",
        ),
        (
            TEXT.replace("peak_flops = 312.0e12", "peak_flops = inf"),
            "peak_flops = inf: input should be a finite",
        ),
        ("= 1", "not valid TOML: "),
        (TEXT.replace("gpus_per_node = 8", ""), "gpus_per_node is missing"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match="bad.toml: ") as refusal:
        load_cluster(path)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_unknown_machines_are_named() -> None:
    allowed = "must be one of a100, b200, h100, or a TOML file"
    with pytest.raises(ValueError, match=f"unknown machine 'v100': {allowed}"):
        load_cluster("v100")
    with pytest.raises(ValueError, match="none.toml: cannot read the machine: No such file"):
        load_cluster("none.toml")
