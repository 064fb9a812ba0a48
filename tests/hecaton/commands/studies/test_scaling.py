"""``hecaton scaling`` as its users run it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.hecaton.command import called, documented_keys, refused


def test_scaling_prints_its_keys_and_writes_plots(tmp_path: Path) -> None:
    done = called(
        "scaling", "--strong", "tinyllama-1.1b", "--dies-list", "16,64", "-o", "out", "--json", cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("scaling")
    assert len(data["rows"]) == 16
    for row in data["rows"]:
        assert row.keys() >= {
            "model",
            "dies",
            "method",
            "compute_to_nop",
            "step_seconds",
            "mfu",
            "energy_joules",
            "mesh",
        }
    assert {(each["speedup"], each["energy_ratio"], each["status"]) for each in data["published"]} == {
        (5.29, 3.46, "published"),
        (4.98, 2.35, "published"),
    }
    assert {row["dies"] for row in data["strong"]} == {16, 64}
    assert {row["parameter"] for row in data["sensitivity"]} >= {
        "link bandwidth",
        "DRAM bandwidth",
        "SRAM size",
    }
    for name in ("scaling", "sensitivity", "strong"):
        assert (tmp_path / "out" / f"{name}.png").stat().st_size > 1000


def test_scaling_shows_tables() -> None:
    done = called("scaling")
    assert done.returncode == 0
    assert "Weak scaling" in done.stdout
    assert "Published, beside ours" in done.stdout


def test_scaling_refuses_bad_numbers_of_dies() -> None:
    message = refused("scaling", "--strong", "llama2-7b", "--dies-list", "4,x")
    assert message == "--dies-list 4,x: must be integers from 1 to 1048576 separated by commas"
