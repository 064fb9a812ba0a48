"""Machines of GPU nodes, from presets and files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from chiplet.studies.gpu_cluster import load_cluster

TEXT = (resources.files("chiplet") / "presets" / "machines" / "a100.toml").read_text(encoding="utf-8")


def curved(points: str) -> str:
    """The machine with ``gemm_curve`` in the place of its two efficiencies."""
    lines = [line for line in TEXT.splitlines() if not line.startswith(("gemm_efficiency", "gemm_half"))]
    return "\n".join([*lines, f"gemm_curve = {points}", ""])


def test_a_file_is_the_preset_it_was_copied_from(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    assert load_cluster(path) == load_cluster("a100")


def test_reached_rates() -> None:
    machine = load_cluster("a100")
    assert machine.nvlink_efficiency is not None
    assert machine.infiniband_efficiency is not None
    assert machine.node_seconds(6e9) == 6e9 / (300e9 * machine.nvlink_efficiency)
    assert machine.cluster_seconds(6e9) == 6e9 / (25e9 * machine.infiniband_efficiency)
    assert machine.node_seconds(0) == machine.cluster_seconds(0) == 0
    assert machine.gemm_efficiency_at(473) == 0.978 / 2
    assert machine.memory_rate == 2.039e12 * machine.memory_efficiency


def test_a_machine_has_curves_in_the_place_of_efficiencies(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = curved("[{ size = 128, efficiency = 0.25 }, { size = 512, efficiency = 0.75 }]")
    text = text.replace("nvlink_efficiency = 0.77", "nvlink_curve = [{ size = 1e6, efficiency = 0.5 }]")
    path.write_text(text)
    machine = load_cluster(path)
    assert machine.gemm_efficiency_at(256) == pytest.approx(0.5)
    assert machine.node_seconds(3e5) == 3e5 / (300e9 * 0.5)
    assert machine.efficiencies == {
        "gemm": "curve of 2 points over smallest sides from 128 to 512, linear in the logarithm of the size, constant "
        "beyond",
        "memory": "0.85",
        "nvlink": "0.5 at every size: a curve of one point",
        "infiniband": "0.9",
    }
    assert load_cluster("a100").efficiencies["gemm"] == "0.978 / (1 + 473 / smallest side)"


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
        (
            TEXT.replace("gemm_half = 473.0", ""),
            "gemm_half is missing: give gemm_efficiency and gemm_half, or gemm_curve",
        ),
        (
            TEXT + "gemm_curve = [{ size = 1, efficiency = 0.5 }]\n",
            "gemm_curve takes the place of gemm_efficiency and gemm_half: give one or the other, not both",
        ),
        (
            TEXT + "nvlink_curve = [{ size = 1, efficiency = 0.5 }]\n",
            "nvlink_curve takes the place of nvlink_efficiency",
        ),
        (curved("[]"), "gemm_curve = []: list should have at least 1 item"),
        (
            curved("[{ size = 64, efficiency = 1.5 }]"),
            "gemm_curve.0.efficiency = 1.5: input should be less than or equal to 1",
        ),
        (
            curved("[{ size = 64, efficiency = 0 }]"),
            "gemm_curve.0.efficiency = 0: input should be greater than 0",
        ),
        (curved("[{ size = 64, efficiency = nan }]"), "gemm_curve.0.efficiency = nan: input should be"),
        (
            curved("[{ size = inf, efficiency = 0.5 }]"),
            "gemm_curve.0.size = inf: input should be a finite number",
        ),
        (curved("[{ size = 64 }]"), "gemm_curve.0.efficiency is missing"),
        (
            curved("[{ size = 64, efficiency = 0.5 }, { size = 64, efficiency = 0.6 }]"),
            "sizes must ascend, and 64 comes after 64",
        ),
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
