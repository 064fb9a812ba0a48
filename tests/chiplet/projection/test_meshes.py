"""The mesh of at most so many dies: the quickest, and never slower for more of them."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest, resolve
from chiplet.projection.meshes import (
    MOST_ASPECT,
    TOLERANCE,
    coarse_meshes,
    meshes_around,
    meshes_of,
    seconds_on,
)
from chiplet.projection.project import project
from chiplet.schedule.buffers import DoesNotFitError
from chiplet.step.jobs import Jobs
from nop.topology import Mesh, most_square
from tests.chiplet.machines import PACKAGE, package, small_model, small_package

MODEL = small_model(hidden=192, head_dim=24, ffn=520)
METHOD = st.sampled_from(list(METHODS))


@given(dies=st.integers(1, 3000))
def test_meshes_hold_at_most_so_many_dies_and_are_no_strips(dies: int) -> None:
    meshes = meshes_of(dies)
    assert meshes
    assert len(set(meshes)) == len(meshes)
    for mesh in meshes:
        assert mesh.nodes <= dies
        assert max(mesh.rows, mesh.cols) <= MOST_ASPECT * min(mesh.rows, mesh.cols)
    square = most_square(dies)
    assert (meshes[0] == square) == (square.cols <= MOST_ASPECT * square.rows)


@given(dies=st.integers(1, 5000), few=st.integers(1, 100))
def test_the_coarse_grid_of_fewer_dies_is_part_of_that_of_more(dies: int, few: int) -> None:
    assert set(coarse_meshes(min(dies, few))) <= set(coarse_meshes(dies))
    for mesh in coarse_meshes(min(dies, few))[-1:]:
        near = meshes_around(mesh, dies)
        assert mesh in near
        assert all(one.nodes <= dies for one in near)


def test_many_dies_have_few_candidates() -> None:
    assert all(len(meshes_of(2**bits)) < 800 for bits in range(21))
    assert len(meshes_around(Mesh(512, 1024), 2**20)) < 800


def _seconds(system: Any, method: str, **fields: Any) -> float:
    try:
        return project(
            StepRequest(MODEL, system, method=method, global_batch=20, sequence_length=64, **fields)
        ).step_seconds
    except DoesNotFitError:
        return inf


@settings(max_examples=20)
@given(method=METHOD, dies=st.integers(1, 40), lanes=st.sampled_from([1, 16, 64]))
def test_no_mesh_of_as_many_dies_is_quicker(method: str, dies: int, lanes: int) -> None:
    """Every mesh that is no strip, one projection each."""
    system = small_package(f"link.lanes={lanes}")
    meshes = [Mesh(rows, cols) for rows in range(1, dies + 1) for cols in range(1, dies // rows + 1)]
    meshes = [mesh for mesh in meshes if max(mesh.rows, mesh.cols) <= MOST_ASPECT * min(mesh.rows, mesh.cols)]
    least = min(_seconds(system, method, mesh=mesh) for mesh in meshes)
    assert _seconds(system, method, dies=dies) <= least * (1 + TOLERANCE) * (1 + 1e-9)


@settings(max_examples=12)
@given(
    model=st.sampled_from(["tinyllama-1.1b", "llama2-7b"]),
    method=METHOD,
    latency=st.floats(-8, -5.5),
    batch=st.sampled_from([4, 17, 64]),
    dies=st.integers(1, 200),
)
def test_the_search_misses_little(model: str, method: str, latency: float, batch: int, dies: int) -> None:
    """Long links make few dies quick: then the quickest mesh is anywhere."""
    system = package(f"link.latency_seconds={10**latency}")
    sizes: dict[str, Any] = {"global_batch": batch, "sequence_length": 512}
    asked = StepRequest(model, system, dies=dies, method=method, **sizes)
    job = resolve(asked)
    every = [
        Mesh(rows, cols)
        for rows in range(1, dies + 1)
        for cols in range(1, dies // rows + 1)
        if max(rows, cols) <= MOST_ASPECT * min(rows, cols)
    ]
    seconds = seconds_on(
        Jobs(1, job.method, job.machine.system, job.machine.terms, batch, 512, None, "adam"), every
    )
    if min(seconds.values()) == inf:
        with pytest.raises(DoesNotFitError):
            project(asked)
        return
    assert project(asked).step_seconds <= 1.04 * min(seconds.values())


@settings(max_examples=8)
@given(
    model=st.sampled_from(["tinyllama-1.1b", "llama2-7b", "llama2-70b"]),
    method=METHOD,
    dies=st.lists(st.integers(4, 256), min_size=6, max_size=6),
)
def test_more_dies_never_cost_more_than_two_percent(model: str, method: str, dies: list[int]) -> None:
    least = inf
    for count in sorted(dies):
        try:
            seconds = project(StepRequest(model, PACKAGE, dies=count, method=method)).step_seconds
        except DoesNotFitError:
            continue
        assert seconds <= 1.02 * least
        least = min(least, seconds)


@pytest.mark.parametrize("dies", [1, 2, 3])
def test_few_dies(dies: int) -> None:
    assert project(StepRequest("tinyllama-1.1b", PACKAGE, dies=dies)).mesh == f"1x{dies}"


def test_a_prime_number_of_dies_leaves_some_out() -> None:
    found = project(StepRequest("llama2-7b", PACKAGE, dies=251))
    assert (found.dies, found.unused_dies) == (247, 4)
    assert found.mesh == "13x19"
    assert found == project(StepRequest("llama2-7b", PACKAGE, mesh=(13, 19))).model_copy(
        update={"unused_dies": 4}
    )


def test_the_most_square_mesh_is_taken_if_others_gain_little() -> None:
    for dies in (16, 64, 256):
        found = project(StepRequest("llama2-7b", PACKAGE, dies=dies))
        assert found.mesh == str(most_square(dies))
        assert found.unused_dies == 0


def test_a_mesh_that_is_given_is_kept() -> None:
    found = project(StepRequest("llama2-7b", PACKAGE, mesh=(1, 64)))
    assert (found.mesh, found.unused_dies) == ("1x64", 0)
    both = project(StepRequest("llama2-7b", PACKAGE, mesh=(1, 64), dies=64))
    assert both == found


def test_several_packages_have_the_most_square_mesh() -> None:
    found = project(StepRequest("llama2-7b", package("parallel.data=2"), dies=14))
    assert (found.mesh, found.unused_dies) == ("2x7", 0)


def test_what_fits_no_mesh_is_refused_for_the_most_dies() -> None:
    with pytest.raises(DoesNotFitError, match="llama3.1-405b on 9 dies"):
        project(StepRequest("llama3.1-405b", PACKAGE, dies=9))


def test_fewer_dies_are_taken_if_they_are_quicker() -> None:
    """A ring through 1024 dies takes TinyLlama longer than one through 60."""
    many = project(StepRequest("tinyllama-1.1b", PACKAGE, dies=1024, method="flat-ring"))
    few = min(
        project(StepRequest("tinyllama-1.1b", PACKAGE, dies=dies, method="flat-ring")).step_seconds
        for dies in (32, 60, 64, 128, 250)
    )
    assert many.step_seconds <= 1.02 * few
    assert many.unused_dies > 512


def test_long_links_are_no_reason_to_take_more_dies() -> None:
    system = package("link.latency_seconds=1e-6")
    seconds = [
        project(
            StepRequest("tinyllama-1.1b", system, dies=dies, global_batch=64, sequence_length=512)
        ).step_seconds
        for dies in (128, 256, 300, 512, 700, 1024)
    ]
    assert all(more <= 1.02 * min(seconds[: 1 + place]) for place, more in enumerate(seconds[1:]))


def test_strips_are_for_those_who_ask_for_them() -> None:
    """They have more DRAM: 1x23 dies hold what no other mesh of 23 dies does."""
    with pytest.raises(DoesNotFitError, match="llama3.1-405b on 21 dies"):
        project(StepRequest("llama3.1-405b", PACKAGE, dies=23, method="optimus"))
    assert project(StepRequest("llama3.1-405b", PACKAGE, mesh=(1, 23), method="optimus")).dies == 23


def test_needs_beyond_machine_integers_are_refusals() -> None:
    with pytest.raises(DoesNotFitError, match="DRAM needs"):
        project(StepRequest("llama2-7b", PACKAGE, dies=16, sequence_length=10**9))


def test_few_dies_are_costed_where_a_quarter_is_quickest() -> None:
    """Links of 10 us: 32x8 is quicker than any mesh of 308 to 1024 dies."""
    sizes: dict[str, Any] = {"sequence_length": 128, "global_batch": 8}
    system = package("link.latency_seconds=1e-5")
    seconds = [
        project(StepRequest("tinyllama-1.1b", system, dies=dies, **sizes)).step_seconds
        for dies in (256, 1024)
    ]
    assert seconds[1] <= 1.02 * seconds[0]
