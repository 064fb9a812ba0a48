"""Jobs: what is written into the folder of a run is read back, however deep it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cosim.jobs.base import Job
from cosim.jobs.collective import CollectiveJob
from cosim.jobs.die import DieJob
from cosim.jobs.mesh import Cut, LinkJob
from cosim.jobs.package import PackageJob, Phase, Program, Region
from cosim.jobs.traffic import TrafficJob

MEMORY: dict[str, Any] = {
    "word_bytes": 8,
    "memory_words": 64,
    "latency": 20,
    "interval": 4,
    "stall": 65535,
    "seed": 1 << 31,
}
TRAFFIC: dict[str, Any] = {"chance": 100, "length": 2, "cols": 2, "first": 5, "last": 50, "seed": 3}
LINKS = LinkJob(links=4, registers={"burst": 3}, cuts=(Cut(1, "1:0", 7, 0, 3),), dead_cycles=90)


@pytest.mark.parametrize(
    "job",
    [
        DieJob(
            program_address=7,
            commands=3,
            result_address=1,
            result_words=2,
            most_cycles=10**9,
            observed=["die.a"],
            **MEMORY,
        ),
        TrafficJob(nodes=4, packets=None, targets=[3, 2, 1, 0], **TRAFFIC),
        TrafficJob(nodes=4, packets=[[0, 5, 3, 2]], targets=None, link_job=LINKS, **TRAFFIC),
        CollectiveJob(
            banks=2,
            commands=[3, 0],
            words=3,
            posts=6,
            post_after=5,
            most_cycles=100,
            link_job=LINKS,
            link_counters=["sent"],
            **MEMORY,
        ),
        PackageJob(
            contents={"west_0": "io.contents"},
            counts={"west_0": {"reads": "west_0_reads"}},
            phases=[
                Phase(name="load", programs=[Program(address=0, commands=2)], most_cycles=9),
                Phase(name="store", programs=[], most_cycles=9, posts=3, post_after=2, links_die=True),
                Phase(
                    name="again",
                    programs=[],
                    most_cycles=9,
                    reads=[Region(io_die="west_0", address=5, words=1)],
                ),
            ],
            link_job=LINKS,
            link_start=22,
            **MEMORY,
        ),
    ],
)
def test_jobs_are_read_back(job: Job, tmp_path: Path) -> None:
    job.save(tmp_path)
    assert type(job).load(tmp_path) == job
