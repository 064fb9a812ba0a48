"""Counters of a mesh: what is written into the folder of a run is read back."""

from __future__ import annotations

from pathlib import Path

from cosim.jobs.mesh import MeshCounters


def test_counters_are_read_back(tmp_path: Path) -> None:
    counters = MeshCounters(
        nodes=({"cycles": 1 << 40}, {"cycles": 3}),
        links=({"sent": 2},),
        state="stuck",
        sources=(({"measured": 1},), ()),
        finished=7,
    )
    counters.save(tmp_path)
    assert MeshCounters.load(tmp_path) == counters
