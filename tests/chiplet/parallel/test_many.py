"""Many meshes of several packages at once have the seconds of each."""

from __future__ import annotations

import pytest

from chiplet.machine.terms import GemmTerms
from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.projection.job import StepRequest
from chiplet.projection.meshes import all_meshes, seconds_on
from chiplet.projection.project import project
from chiplet.step.jobs import Jobs
from nop.topology import Mesh
from tests.chiplet.machines import package, small_model, small_package


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "packages",
    [
        ("parallel.data=3", "parallel.context=2"),
        ("parallel.pipeline=2", "parallel.data=2"),
        ("parallel.pipeline=2", "parallel.interleave=2", "parallel.context=4", "parallel.micro_batch=2"),
    ],
)
def test_each_mesh_has_the_seconds_of_its_projection(method: str, packages: tuple[str, ...]) -> None:
    system, model = small_package(*packages), small_model(layers=4)
    on_one = method_type(method)(model, Mesh(1, 1), make_switches(method, None), 2)
    meshes = all_meshes(6)
    jobs = Jobs(1, on_one, system, GemmTerms(), 8, 64, None, "adam")
    for mesh, seconds in seconds_on(jobs, meshes).items():
        request = StepRequest(model, system, mesh=mesh, method=method, global_batch=8, sequence_length=64)
        assert project(request).step_seconds == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("packages", ["parallel.data=8", "parallel.pipeline=8", "parallel.context=2"])
def test_a_prime_number_of_dies_is_no_strip(packages: str) -> None:
    system = package(packages)
    found = project(StepRequest("llama2-7b", system, dies=53))
    assert found.unused_dies == 53 - found.dies
    assert found.dies <= 53
    assert found.step_seconds < project(StepRequest("llama2-7b", system, mesh=(1, 53))).step_seconds
