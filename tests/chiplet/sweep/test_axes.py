"""Axes that no schedule depends on: points that differ in them share one schedule and have their own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.projection.project import project
from chiplet.schedule.buffers import DramNeed
from chiplet.step.jobs import Jobs, Ways, ways_to_run
from chiplet.sweep import evaluate as evaluation
from chiplet.sweep.columns import COLUMNS, of_projection
from chiplet.sweep.evaluate import SweepTask, evaluate, point_request
from chiplet.sweep.space import Space, make_sweep
from tests.chiplet.machines import PACKAGE

SHARED = {
    "cost.package": ("organic", "fanout", "interposer"),
    "cost.dies_per_substrate": (0, 1, 3, 16),
    "cost.io_die_mm2": (0.0, 30.0),
    "link.goodput": (0.0, 0.5),
    "fabric.ports": (1, 8),
    "fabric.port_bytes_per_second": (1e9, 50e9),
    "fabric.latency_seconds": (0.0, 1e-3),
    "fabric.pj_per_bit": (1.0, 45.0),
}


@given(
    keys=st.lists(st.sampled_from(sorted(SHARED)), min_size=1, max_size=4, unique=True),
    packages=st.sampled_from([1, 3]),
    seed=st.integers(0, 1 << 16),
)
@settings(max_examples=8)
def test_prices_and_the_network_of_packages_share_a_schedule(
    keys: list[str], packages: int, seed: int
) -> None:
    space = {
        "model": "tinyllama-1.1b",
        "mesh": ("2x3", "4x4"),
        "global_batch": 12,
        "vary": {**{key: SHARED[key] for key in keys}, "parallel.data": packages},
    }
    sweep = make_sweep(Space.model_validate(space), PACKAGE, source="space")
    assert sweep.groups == 2
    searched: list[int] = []

    def counted(jobs: Jobs, need: DramNeed | None = None) -> tuple[Ways, dict[int, str]]:
        searched.append(jobs.count)
        return ways_to_run(jobs, need)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "ways_to_run", counted)
        found = evaluate(SweepTask(sweep, 0, sweep.groups * sweep.group_points))
    assert sum(searched) == sweep.groups
    assert found.reasons == ("",)
    for row in np.random.default_rng(seed).integers(0, len(found.index), 3).tolist():
        expected = of_projection(project(point_request(sweep, int(found.index[row]))))
        for name in COLUMNS:
            assert found.results[name][row] == pytest.approx(expected[name], rel=1e-12, abs=0), name
