"""The best ways: as good as any, reproduced by a projection, refused in one line."""

from __future__ import annotations

import random
from itertools import product
from math import inf
from typing import Any, get_args

import pytest

from chiplet.methods.registry import METHODS
from chiplet.optimize.best_ways import BEST, optimize
from chiplet.optimize.results import Goal
from chiplet.optimize.ways import searched_switches
from chiplet.projection.job import StepRequest
from chiplet.projection.meshes import all_meshes
from chiplet.projection.project import project
from chiplet.projection.results import Projection
from chiplet.schedule.buffers import DoesNotFitError
from tests.chiplet.machine.synthesized.reports import report
from tests.chiplet.machines import PACKAGE, package, small_model, small_package

GOALS: tuple[Goal, ...] = get_args(Goal)


def value_of(projection: Projection, goal: Goal) -> float:
    if goal == "time":
        return projection.step_seconds
    if goal == "energy":
        return projection.energy_joules
    return projection.cost.dollars * projection.step_seconds


def least(
    goal: Goal, dies: int, packages: int, keys: tuple[str, ...], given: dict[str, Any], **sizes: Any
) -> float:
    """The least of all ways and meshes, one projection each."""
    value = inf
    for data in range(1, packages + 1):
        for pipeline, context in product(range(1, packages + 1), repeat=2):
            if data * pipeline * context > packages:
                continue
            uses = (f"parallel.{name}" for name in ("data", "pipeline", "context"))
            counts = zip(uses, (data, pipeline, context), strict=True)
            system = package(*(f"{name}={count}" for name, count in counts), *keys)
            for method in METHODS:
                switches = searched_switches(method, given)
                for chosen, mesh in product(product(*switches.values()), all_meshes(dies)):
                    request = StepRequest(
                        "tinyllama-1.1b",
                        system,
                        mesh=mesh,
                        method=method,
                        switches=dict(zip(switches, chosen, strict=True)),
                        **sizes,
                    )
                    try:
                        value = min(value, value_of(project(request), goal))
                    except ValueError:
                        continue
    return value


def check(seed: int, most_packages: int, most_dies: int) -> None:
    """A random small space against all of it."""
    rng = random.Random(seed)
    goal = rng.choice(GOALS)
    dies, packages = rng.randint(1, most_dies), rng.randint(1, most_packages)
    keys = (
        f"link.lanes={rng.choice([8, 32, 128])}",
        f"link.latency_seconds={10 ** rng.uniform(-8, -6)}",
        f"die.scratchpad_bytes={rng.choice([4, 8, 32]) * 2**20}",
    )
    sizes: dict[str, Any] = {
        "global_batch": rng.choice([4, 12, 64]),
        "sequence_length": rng.choice([128, 512]),
    }
    # One value of recomputation in most spaces: methods, their own switches and meshes are searched all the same.
    given = {"recompute": rng.choice(["none", "selective", "full"])} if seed % 4 else {}
    switches = dict.fromkeys(METHODS, given)
    best = least(goal, dies, packages, keys, given, **sizes)
    request = StepRequest("tinyllama-1.1b", package(*keys), **sizes)
    if best == inf:
        with pytest.raises(DoesNotFitError):
            optimize(request, goal, dies=dies, packages=packages, switches=switches)
        return
    found = optimize(request, goal, dies=dies, packages=packages, switches=switches).best[0].value
    # Of several packages, other switches are tried for the best uses of them only.
    assert found == pytest.approx(best, rel=1e-9 if packages == 1 else 0.02)


@pytest.mark.parametrize(
    "seed", [2, 4, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (0, 1, 3, 5))]
)
def test_the_best_of_a_small_space_is_the_best_of_all(seed: int) -> None:
    check(seed, 1, 6)


def test_several_packages_are_shared_as_well_as_can_be() -> None:
    check(7, 2, 3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 300))
def test_the_best_of_200_spaces_is_the_best_of_all(seed: int) -> None:
    several = seed % 10 == 1
    check(seed, 2 if several else 1, 3 if several else 7)


@pytest.mark.parametrize("goal", GOALS)
def test_ways_are_single_projections_in_order(goal: Goal) -> None:
    optimum = optimize(StepRequest("llama2-7b", PACKAGE, global_batch=96), goal, dies=20, packages=2)
    assert 1 < len(optimum.best) <= BEST
    values = [way.value for way in optimum.best]
    assert values == sorted(values)
    uses = [(way.method, str(way.switches), way.data, way.pipeline, way.context) for way in optimum.best]
    assert len(set(uses)) == len(values)
    for way in optimum.best:
        system = package(
            f"parallel.data={way.data}",
            f"parallel.pipeline={way.pipeline}",
            f"parallel.context={way.context}",
        )
        rows, cols = map(int, way.mesh.split("x"))
        alone = project(
            StepRequest(
                "llama2-7b",
                system,
                mesh=(rows, cols),
                method=way.method,
                switches=way.switches,
                global_batch=96,
            )
        )
        assert way.value == pytest.approx(value_of(alone, goal), rel=1e-9)
        assert way.ratio == way.value / values[0]
        assert (way.dies, way.packages) == (alone.dies, alone.packages)
        assert way.dies <= 20
        assert way.packages <= 2
        assert 0 < way.share <= 1
    assert optimum.evaluated > 100
    assert optimum.seconds > 0


def test_the_quickest_way_is_no_slower_than_a_projection() -> None:
    """Its searches of the mesh are the same, or finer."""
    for dies in (64, 251):
        best = optimize(StepRequest("llama2-7b", PACKAGE), "time", dies=dies).best[0]
        for method in METHODS:
            alone = project(StepRequest("llama2-7b", PACKAGE, dies=dies, method=method))
            assert best.step_seconds <= alone.step_seconds * (1 + 1e-9)


def test_ways_that_take_as_much_have_one_line() -> None:
    best = optimize(StepRequest("llama2-7b", PACKAGE), "time", dies=16).best
    lines = [(way.method, way.mesh, f"{way.ratio:.4f}") for way in best]
    assert len(set(lines)) == len(lines)
    hecaton = next(way for way in best if way.method == "hecaton")
    collectives = {one["collective"] for one in (hecaton.switches, *hecaton.alike)}
    assert collectives == {"ring", "chain"}


def test_sequences_that_no_package_holds_are_shared() -> None:
    """With the least recomputation that fits."""
    system = package("memory.channel_bytes=2000000000")
    request = StepRequest("tinyllama-1.1b", system, global_batch=2, sequence_length=2**17)
    best = [optimize(request, "time", dies=4, packages=packages).best[0] for packages in (4, 8)]
    assert all(way.switches["recompute"] != "none" for way in best)
    assert best[1].context > 1
    assert f"--context-parallel {best[1].context}" in best[1].project
    assert best[1].value <= 1.02 * best[0].value


def test_switches_that_are_given_are_held() -> None:
    given: dict[str, dict[str, Any]] = {method: {"recompute": "full"} for method in METHODS}
    given["hecaton"] |= {"sums": "operand", "collective": "chain"}
    optimum = optimize(StepRequest("tinyllama-1.1b", PACKAGE), "time", dies=6, switches=given)
    assert {way.switches["recompute"] for way in optimum.best} == {"full"}
    hecatons = [way for way in optimum.best if way.method == "hecaton"]
    assert [(way.switches["sums"], way.switches["collective"]) for way in hecatons] == [("operand", "chain")]


def test_what_fits_nothing_is_refused_with_the_reason() -> None:
    with pytest.raises(DoesNotFitError, match=r"at most 9 dies .*405b on 9 dies.*DRAM needs"):
        optimize(StepRequest("llama3.1-405b", PACKAGE), "time", dies=9)
    # 1 x 23 dies hold it, and are a strip.
    with pytest.raises(DoesNotFitError, match="strips are left out"):
        optimize(StepRequest("llama3.1-405b", PACKAGE), "time", dies=23)


@pytest.mark.parametrize("packages", [5, *(pytest.param(count, marks=pytest.mark.slow) for count in (7, 9))])
def test_any_number_of_stages_may_be_the_best(packages: int) -> None:
    """405B needs several packages of 16 dies: whole replicas would leave some out."""
    best = optimize(StepRequest("llama3.1-405b", PACKAGE), "time", dies=16, packages=packages).best[0]
    for stages in (packages, packages - 1):
        system = package(f"parallel.pipeline={stages}")
        alone = project(StepRequest("llama3.1-405b", system, mesh=(2, 8)))
        assert best.step_seconds <= alone.step_seconds * (1 + 1e-9)


@pytest.mark.parametrize(
    ("goal", "counts"),
    [("time", (4, 6)), *(pytest.param(goal, (4, 6, 20), marks=pytest.mark.slow) for goal in GOALS)],
)
def test_more_packages_are_no_worse(goal: Goal, counts: tuple[int, ...]) -> None:
    request = StepRequest("llama3.1-405b", PACKAGE)
    values = [optimize(request, goal, dies=16, packages=packages).best[0].value for packages in counts]
    for number in range(1, len(counts)):
        assert values[number] <= 1.02 * min(values[:number])


def test_uses_of_packages_in_the_machine_are_not_read() -> None:
    """But a package has parts of the model in turn only in a pipeline."""
    alone = optimize(StepRequest("tinyllama-1.1b", PACKAGE), "time", dies=4, packages=2)
    keys = ("parallel.pipeline=2", "parallel.interleave=2")
    system = package(*keys)
    found = optimize(StepRequest("tinyllama-1.1b", system), "time", dies=4, packages=2)
    assert [way for way in found.best if way.pipeline == 1]
    for way in found.best:
        assert (way.pipeline == 1) == ("parallel.interleave=1" in way.project)
        assert ("--pipeline-parallel 1" in way.project) == (way.pipeline == 1)
        assert "--pipeline-parallel 2" not in way.project
    assert found.best[0].step_seconds <= alone.best[0].step_seconds
    with pytest.raises(DoesNotFitError, match=r"3 dies in each of at most 2 packages .*DRAM needs"):
        optimize(StepRequest("llama3.1-405b", package("parallel.pipeline=126")), "time", dies=3, packages=2)


def test_dies_that_nobody_can_make_have_no_cost() -> None:
    request = StepRequest("tinyllama-1.1b", package("area.transistors_per_mm2=1000"))
    assert optimize(request, "time", dies=2).best
    with pytest.raises(DoesNotFitError, match="fits no wafer"):
        optimize(request, "cost", dies=2)


def test_bad_requests_are_refused() -> None:
    for goal in ("speed", ""):
        with pytest.raises(ValueError, match="must be one of time, energy, cost"):
            optimize(StepRequest("llama2-7b", PACKAGE), goal, dies=4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be the name of a preset"):
        optimize(StepRequest(small_model(), small_package()), "time", dies=4)
    with pytest.raises(ValueError, match="unknown switch"):
        optimize(StepRequest("llama2-7b", PACKAGE), "time", dies=4, switches={"optimus": {"x": 1}})
    with pytest.raises(ValueError, match="recompute"):
        optimize(StepRequest("llama2-7b", PACKAGE), "time", dies=4, switches={"optimus": {"recompute": "x"}})
    with pytest.raises(ValueError, match="optimizer"):
        optimize(StepRequest("llama2-7b", PACKAGE, optimizer="x"), "time", dies=4)  # type: ignore[arg-type]


def test_the_best_way_with_a_silicon_report_is_that_of_a_projection() -> None:
    request = StepRequest("tinyllama-1.1b", PACKAGE, silicon=(report(),))
    (best, *_) = optimize(request, "time", dies=4).best
    alone = project(
        StepRequest(
            "tinyllama-1.1b",
            PACKAGE,
            mesh=tuple(map(int, best.mesh.split("x"))),  # type: ignore[arg-type]
            method=best.method,
            switches=best.switches,
            silicon=(report(),),
        )
    )
    assert alone.step_seconds == pytest.approx(best.step_seconds, rel=1e-12)
    with pytest.raises(
        ValueError, match="^the silicon report was made for a die with die.stages = 1, not 4: "
    ):
        optimize(StepRequest("tinyllama-1.1b", package("die.stages=4"), silicon=(report(),)), "time", dies=4)
