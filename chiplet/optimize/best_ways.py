"""The search: ways and meshes are costed as arrays, first all ways on a coarse set of meshes, then the best ways on the
meshes around their best ones. It sees the numbers of a step alone.

With one package, all methods with all values of their switches are costed at once. With several, all uses of the
packages are first costed with the default switches, and other switches for the best of these.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from chiplet.methods.registry import METHODS, make_switches
from chiplet.optimize.results import BestWay, Goal, Optimum
from chiplet.optimize.ways import Way, packages_shared, searched_switches
from chiplet.projection.job import DEFAULT_GLOBAL_BATCH, StepRequest
from chiplet.projection.meshes import all_meshes, coarse_meshes, meshes_around, meshes_of
from chiplet.projection.project import project
from chiplet.projection.results import Projection
from chiplet.schedule.buffers import DoesNotFitError
from chiplet.sweep.evaluate import SweepTask, evaluate
from chiplet.sweep.space import Space, make_sweep
from chiplet.workload.llm import load_model
from nop.topology import Mesh, most_square

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chiplet.workload.llm import Llm

BEST = 10
"""Ways in a result."""

WITH_SWITCHES = 6
"""With several packages, ways whose switches are searched."""

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

ALL_MESHES = 48
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
    """The best ways to run the step of ``request``, whose method, switches, dies and packages do not count, on at most
    ``dies`` dies in each of at most ``packages`` packages.

    ``switches`` holds switches of methods, by name of the method. ``progress`` is called with numbers of steps as they
    are costed.

    Raises
    ------
    DoesNotFitError
        If no way fits, with the reason of the Hecaton method on all dies if that does not fit either; and if there is
        no cost to compare, as no wafer holds such a die or its carrier.
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
    model = load_model(request.model)
    costed = _CostedWays(request, model, goal, dies, switches or {}, progress)
    costed.run(packages)
    best = [costed.result(way) for way in costed.best_ways(BEST)]
    if not best:
        square = most_square(dies)
        alone = replace(
            request, mesh=square, dies=None, method="hecaton", switches=(switches or {}).get("hecaton")
        )
        project(alone)
        if costed.fitting:
            raise DoesNotFitError(f"{model.name}: a die or its carrier fits no wafer: there is no cost")
        raise DoesNotFitError(
            f"{model.name}: no method fits meshes of at most {dies} dies that are no strips"
        )
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
    costs: dict[Way, dict[Mesh, float]] = field(default_factory=dict)

    def run(self, packages: int) -> None:
        """Cost all ways."""
        switches = {method: searched_switches(method, self.given.get(method, {})) for method in METHODS}
        for method, values in self.given.items():
            make_switches(method, values)
        batch = DEFAULT_GLOBAL_BATCH if self.request.global_batch is None else self.request.global_batch
        shared = packages_shared(packages, batch, self.model.layers)
        coarse = all_meshes(self.dies) if self.dies <= ALL_MESHES else coarse_meshes(self.dies)
        fine = list(dict.fromkeys((*meshes_of(self.dies), *coarse)))
        if len(shared) == 1:
            for method, values in switches.items():
                self.cost(method, values, fine, shared)
        else:
            coarse = list(dict.fromkeys((fine[0], *coarse)))
            for method, values in switches.items():
                defaults = {name: of_name[:1] for name, of_name in values.items()}
                self.cost(method, defaults, coarse, shared)
            for way in self.best_ways(WITH_SWITCHES):
                self.cost(way.method, switches[way.method], coarse, [(way.data, way.pipeline)])
        for way in self.best_ways(BEST):
            near = [
                mesh for mesh in meshes_around(self.best_mesh(way), self.dies) if mesh not in self.costs[way]
            ]
            if near:
                values = {name: (value,) for name, value in way.switches}
                self.cost(way.method, values, near, [(way.data, way.pipeline)])

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
            for name in ("global_batch", "sequence_length", "mini_batch")
            if getattr(request, name) is not None
        }
        replicas, stages = zip(*shared, strict=True)
        space = Space(
            model=str(request.model),
            method=method,
            mesh=tuple(map(str, meshes)),
            optimizer=request.optimizer,
            switches=dict(switches),
            together=({"parallel.data": replicas, "parallel.pipeline": stages},),
            **sizes,
        )
        sweep = make_sweep(space, request.system, source="optimize")
        points = evaluate(SweepTask(sweep, 0, sweep.groups, request.calibration))
        self.evaluated += len(points.index)
        self.progress(len(points.index))
        self.fitting += int(np.isfinite(points.results["step_seconds"]).sum())
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
        return sorted(self.costs, key=lambda way: min(self.costs[way].values(), default=inf))[:count]

    def result(self, way: Way) -> BestWay:
        """One way as a single projection of it."""
        mesh = self.best_mesh(way)
        system = self.request.system
        parallel = system.parallel.model_copy(update={"data": way.data, "pipeline": way.pipeline})
        system = system.model_copy(update={"parallel": parallel})
        projection = project(
            replace(
                self.request,
                system=system,
                dies=None,
                mesh=mesh,
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
        numbers = {
            "global-batch": request.global_batch,
            "sequence-length": request.sequence_length,
            "mini-batch": request.mini_batch,
            "data-parallel": None if way.data == 1 else way.data,
            "pipeline-parallel": None if way.pipeline == 1 else way.pipeline,
        }
        for name, number in numbers.items():
            if number is not None:
                yield from (f"--{name}", str(number))
        if request.optimizer != "adam":
            yield from ("--optimizer", request.optimizer)


def _decides(projection: Projection, goal: Goal) -> tuple[str, float]:
    """The largest part of what is searched for, and its share; of the cost, that of the price."""
    if goal == "energy":
        parts = projection.energy
    elif goal == "cost":
        parts = projection.cost.parts
    else:
        breakdown = projection.breakdown.model_dump()
        parts = {name: breakdown[name] for name in PARTS}
    name = max(parts, key=parts.__getitem__)
    return name, parts[name] / sum(parts.values())
