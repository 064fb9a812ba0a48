"""The best ways: all are costed as arrays, on a coarse set of meshes, and the best of them on the meshes around theirs.

With one package, all methods are costed with all values of their switches. With several, uses of the packages are
costed first, with the default switches; then those near the best, and other switches for these.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from chiplet.methods.registry import METHODS, make_switches
from chiplet.optimize.results import BestWay, Goal, Optimum
from chiplet.optimize.ways import Way, packages_near, packages_shared, searched_switches
from chiplet.projection.job import DEFAULT_GLOBAL_BATCH, StepRequest, check_optimizer
from chiplet.projection.meshes import all_meshes, coarse_meshes, meshes_around, meshes_of
from chiplet.projection.project import project
from chiplet.projection.results import Projection
from chiplet.schedule.buffers import DoesNotFitError
from chiplet.sweep.evaluate import SweepTask, evaluate
from chiplet.sweep.space import Space, make_sweep
from chiplet.workload.llm import load_model
from nop.topology import Mesh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chiplet.workload.llm import Llm

BEST = 10
"""Ways in a result."""

GOOD = 6
"""With several packages, the best ways so far of which others are costed."""

PARTS = (
    "compute",
    "nop_exposed",
    "vector_exposed",
    "dram_exposed",
    "optimizer",
    "pipeline_bubble",
    "fabric_exposed",
)
"""Parts that add up to the time of a step, by their names in the breakdown."""

DIES_OF_ALL_MESHES = 48
"""Up to so many dies all meshes are costed."""

Progress = Callable[[int], None]


def _quiet(steps: int) -> None:
    """Show no progress."""
    del steps


def optimize(
    request: StepRequest,
    goal: Goal,
    *,
    dies: int,
    packages: int = 1,
    switches: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Progress = _quiet,
) -> Optimum:
    """The best ways to run the step of ``request`` on at most ``dies`` dies in each of at most ``packages`` packages.

    Method, switches, mesh, dies, mini-batch, and replicas and stages of ``request`` are not read. ``switches`` holds
    switches of methods, by name of the method. ``progress`` is called with numbers of steps as they are costed.

    Raises
    ------
    DoesNotFitError
        If no way fits, with the reason of the first method on the most dies; and if there is no cost to compare, as no
        wafer holds such a die or its carrier.
    ValueError
        In one line, for whatever is unknown or out of range, and for a model that is neither a name nor a path.
    """
    start = time.perf_counter()
    if goal not in get_args(Goal):
        raise ValueError(f"goal {goal!r}: must be one of {', '.join(get_args(Goal))}")
    if not isinstance(request.model, str):
        raise ValueError(
            f"model {request.model.name}: must be the name of a preset, or the path of a config.json"
        )
    check_optimizer(request.optimizer)
    model = load_model(request.model)
    for method, values in (switches or {}).items():
        make_switches(method, values)
    costed = _CostedWays(request, model, goal, dies, switches or {}, progress)
    costed.run(packages)
    best = [costed.result(way) for way in costed.best_ways(BEST)]
    if not best:
        raise costed.refusal(packages)
    return Optimum(
        model=model.name,
        goal=goal,
        dies=dies,
        packages=packages,
        best=tuple(one.model_copy(update={"ratio": one.value / best[0].value}) for one in best),
        evaluated=costed.evaluated,
        seconds=time.perf_counter() - start,
    )


@dataclass
class _CostedWays:
    """Ways and meshes that were costed so far."""

    request: StepRequest
    model: Llm
    goal: Goal
    dies: int
    given: Mapping[str, Mapping[str, Any]]
    progress: Progress
    evaluated: int = 0
    fitting: int = 0
    refused: tuple[int, str] = (0, "")
    """The most dies of all packages that did not fit, and why."""
    costs: dict[Way, dict[Mesh, float]] = field(default_factory=dict)

    def run(self, packages: int) -> None:
        """Cost all ways."""
        switches = {method: searched_switches(method, self.given.get(method, {})) for method in METHODS}
        batch = DEFAULT_GLOBAL_BATCH if self.request.global_batch is None else self.request.global_batch
        sizes = (packages, batch, self.model.layers)
        coarse = all_meshes(self.dies) if self.dies <= DIES_OF_ALL_MESHES else coarse_meshes(self.dies)
        fine = list(dict.fromkeys((*meshes_of(self.dies), *coarse)))
        if packages == 1:
            for method, values in switches.items():
                self.cost(method, values, fine, [(1, 1)])
        else:
            # The mesh of the most dies comes first.
            some = list(dict.fromkeys((max(fine, key=lambda mesh: mesh.nodes), *coarse)))
            for method, values in switches.items():
                defaults = {name: of_name[:1] for name, of_name in values.items()}
                self.cost(method, defaults, some, packages_shared(*sizes))
            for way in self.best_ways(GOOD):
                near = [
                    shared
                    for shared in packages_near(way, *sizes)
                    if replace(way, data=shared[0], pipeline=shared[1]) not in self.costs
                ]
                if near:
                    self.cost(way.method, {name: (value,) for name, value in way.switches}, some, near)
            for way in self.best_ways(GOOD):
                self.cost(way.method, switches[way.method], some, [(way.data, way.pipeline)])
        for way in self.best_ways(BEST):
            around = meshes_around(self.best_mesh(way), self.dies)
            meshes = [mesh for mesh in around if mesh not in self.costs[way]]
            if meshes:
                values = {name: (value,) for name, value in way.switches}
                self.cost(way.method, values, meshes, [(way.data, way.pipeline)])

    def cost(
        self,
        method: str,
        switches: Mapping[str, tuple[Any, ...]],
        meshes: Sequence[Mesh],
        shared: Sequence[tuple[int, int]],
    ) -> None:
        """Cost all combinations of ``switches``, ``meshes``, and replicas and stages ``shared``."""
        request = self.request
        sizes = {
            name: getattr(request, name)
            for name in ("global_batch", "sequence_length")
            if getattr(request, name) is not None
        }
        replicas, stages = zip(*shared, strict=True)
        space = Space(
            model=str(request.model),
            method=method,
            mesh=tuple(map(str, meshes)),
            optimizer=request.optimizer,
            switches=dict(switches),
            together=(
                {
                    "parallel.data": replicas,
                    "parallel.pipeline": stages,
                    "parallel.interleave": tuple(map(self.interleave, stages)),
                },
            ),
            **sizes,
        )
        sweep = make_sweep(space, request.system, source="optimize")
        points = evaluate(SweepTask(sweep, 0, sweep.groups, request.calibration))
        self.evaluated += len(points.index)
        self.progress(len(points.index))
        self.fitting += int(np.isfinite(points.results["step_seconds"]).sum())
        for place in np.flatnonzero(points.reason).tolist():
            chosen = sweep.group(int(points.index[place]))
            rows, cols = map(int, chosen["mesh"].split("x"))
            most = rows * cols * chosen["parallel.data"] * chosen["parallel.pipeline"]
            if most > self.refused[0]:
                self.refused = most, points.reasons[points.reason[place]]
        values = self._values(points.results)
        for place in np.flatnonzero(np.isfinite(values)).tolist():
            chosen = sweep.group(int(points.index[place]))
            way = Way(
                method,
                tuple((name, chosen[f"switches.{name}"]) for name in switches),
                chosen["parallel.data"],
                chosen["parallel.pipeline"],
            )
            rows, cols = map(int, chosen["mesh"].split("x"))
            self.costs.setdefault(way, {})[Mesh(rows, cols)] = float(values[place])

    def interleave(self, stages: int) -> int:
        """Parts of the model that a package has in turn: those of the machine, if there are stages."""
        return self.request.system.parallel.interleave if stages > 1 else 1

    def refusal(self, packages: int) -> DoesNotFitError:
        """The error that no way has a value."""
        if self.fitting:
            return DoesNotFitError(f"{self.model.name}: a die or its carrier fits no wafer: there is no cost")
        where = f"meshes of at most {self.dies} dies"
        if packages > 1:
            where += f" in each of at most {packages} packages"
        return DoesNotFitError(f"no method fits {where} (strips are left out): {self.refused[1]}")

    def _values(self, results: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """What is searched for, of each point."""
        if self.goal == "energy":
            return results["energy_joules"]
        if self.goal == "cost":
            return results["cost_dollars"] * results["step_seconds"]
        return results["step_seconds"]

    def best_mesh(self, way: Way) -> Mesh:
        """The best mesh of ``way`` so far."""
        costs = self.costs[way]
        return min(costs, key=lambda mesh: (costs[mesh], mesh.nodes))

    def best_ways(self, count: int) -> list[Way]:
        """The best ways so far, at most ``count``, best first."""

        def order(way: Way) -> tuple[float, int]:
            mesh = self.best_mesh(way)
            return self.costs[way][mesh], mesh.nodes * way.data * way.pipeline

        return sorted(self.costs, key=order)[:count]

    def result(self, way: Way) -> BestWay:
        """One way as a single projection of it."""
        mesh = self.best_mesh(way)
        system = self.request.system
        uses = {
            "data": way.data,
            "pipeline": way.pipeline,
            "interleave": self.interleave(way.pipeline),
        }
        parallel = system.parallel.model_copy(update=uses)
        system = system.model_copy(update={"parallel": parallel})
        projection = project(
            replace(
                self.request,
                system=system,
                dies=None,
                mesh=mesh,
                mini_batch=None,
                method=way.method,
                switches=dict(way.switches),
            )
        )
        decides, share = _decides(projection, self.goal)
        return BestWay(
            method=way.method,
            switches=projection.switches,
            mesh=projection.mesh,
            dies=projection.dies,
            packages=projection.packages,
            data=way.data,
            pipeline=way.pipeline,
            value=self.costs[way][mesh],
            ratio=1.0,
            decides=decides,
            share=share,
            step_seconds=projection.step_seconds,
            tokens_per_second=projection.tokens_per_second,
            mfu=projection.mfu,
            energy_joules=projection.energy_joules,
            cost_dollars=projection.cost.dollars,
            project=shlex.join(self._options(way, mesh)),
        )

    def _options(self, way: Way, mesh: Mesh) -> Iterator[str]:
        """Options of ``hecaton project`` for a way, without those of the machine."""
        request = self.request
        yield from ("--model", str(request.model), "--mesh", str(mesh), "--method", way.method)
        for name, value in way.switches:
            text = str(value).lower() if isinstance(value, bool) else value
            yield from ("--switch", f"{name}={text}")
        parallel = request.system.parallel
        if self.interleave(way.pipeline) != parallel.interleave:
            yield from ("-P", "parallel.interleave=1")
        numbers = {
            "global-batch": request.global_batch,
            "sequence-length": request.sequence_length,
            "data-parallel": None if way.data == parallel.data else way.data,
            "pipeline-parallel": None if way.pipeline == parallel.pipeline else way.pipeline,
        }
        for name, number in numbers.items():
            if number is not None:
                yield from (f"--{name}", str(number))
        if request.optimizer != "adam":
            yield from ("--optimizer", request.optimizer)


def _decides(projection: Projection, goal: Goal) -> tuple[str, float]:
    """The largest part of time, energy or price, and its share."""
    if goal == "energy":
        parts = projection.energy
    elif goal == "cost":
        parts = projection.cost.parts
    else:
        breakdown = projection.breakdown.model_dump()
        parts = {name: breakdown[name] for name in PARTS}
    name = max(parts, key=parts.__getitem__)
    return name, parts[name] / sum(parts.values())
