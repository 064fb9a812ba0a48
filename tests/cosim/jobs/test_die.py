"""Outcome of a die: what is written into the folder of a run is read back."""

from __future__ import annotations

from pathlib import Path

from cosim.jobs.die import DieOutcome


def test_the_outcome_is_read_back(tmp_path: Path) -> None:
    outcome = DieOutcome(counters={"cycles": 1 << 40, "macs": 3}, seconds=0.5, cpu_seconds=0.25, started=2.0)
    outcome.save(tmp_path)
    assert DieOutcome.load(tmp_path) == outcome
