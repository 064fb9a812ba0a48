"""The best ways: all are costed as arrays, on a coarse set of meshes, and the best of them on the meshes around theirs.

With one package, all methods are costed with all values of their switches. With several, uses of the packages are
costed first, with the default switches, or the least recomputation that fits; then those near the best, and other
switches for these.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chiplet.machine.synthesized.chosen_report import report_for
from chiplet.methods.registry import METHODS, make_switches
from chiplet.optimize.results import BestWay, Goal, Optimum, check_goal
from chiplet.optimize.ways import (
    Use,
    Way,
    packages_near,
    packages_of_a_sequence,
    packages_shared,
    searched_switches,
)
from chiplet.projection.job import DEFAULT_GLOBAL_BATCH, StepRequest, check_length, check_optimizer
from chiplet.projection.meshes import all_meshes, coarse_meshes, meshes_around, meshes_of
from chiplet.projection.project import project
from chiplet.projection.results import Projection
from chiplet.schedule.buffers import DoesNotFitError
from chiplet.sweep.axes import mesh_of
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

ALIKE = 5e-5
"""What values of ways may differ by, that differ in switches only and have one line: less than a line shows."""

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

    Method, switches, mesh, dies, mini-batch, and the use of packages of ``request`` are not read. ``switches`` holds
    switches of methods, by name of the method. ``progress`` is called with numbers of steps as they are costed.

    Raises
    ------
    DoesNotFitError
        If no way fits, with the reason of the first method on the most dies; and if there is no cost to compare, as no
        wafer holds such a die or its carrier.
    ValueError
        In one line, for whatever is unknown or out of range, for a model that is neither a name nor a path, and for
        silicon reports of other dies.
    """
    start = time.perf_counter()
    check_goal("goal", goal)
    if not isinstance(request.model, str):
        raise ValueError(
            f"model {request.model.name}: must be the name of a preset, or the path of a config.json"
        )
    check_optimizer(request.optimizer)
    report_for(request.silicon, request.system)  # which no way changes
    model = load_model(request.model)
    for method, values in (switches or {}).items():
        make_switches(method, values)
    costed = _CostedWays(request, model, goal, dies, switches or {}, progress)
    costed.run(packages)
    best = [costed.result(*ways) for ways in costed.lines()[:BEST]]
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
        coarse = all_meshes(self.dies) if self.dies <= DIES_OF_ALL_MESHES else coarse_meshes(self.dies)
        fine = list(dict.fromkeys((*meshes_of(self.dies), *coarse)))
        if packages == 1:
            for method, values in switches.items():
                self.cost(method, values, fine, [Use()])
        else:
            # The mesh of the most dies comes first.
            some = list(dict.fromkeys((max(fine, key=lambda mesh: mesh.nodes), *coarse)))
            self._run_several(switches, packages, some)
        for way, *_ in self.lines()[:BEST]:
            around = meshes_around(self.best_mesh(way), self.dies)
            meshes = [mesh for mesh in around if mesh not in self.costs[way]]
            if meshes:
                self.cost(way.method, way.held, meshes, [way.use])

    def _run_several(
        self, switches: Mapping[str, dict[str, tuple[Any, ...]]], packages: int, meshes: Sequence[Mesh]
    ) -> None:
        """Cost uses of several packages, those near the best, and other switches for these."""
        batch = DEFAULT_GLOBAL_BATCH if self.request.global_batch is None else self.request.global_batch
        sizes = (packages, batch, self.model.layers)
        length = check_length(self.model, self.request.sequence_length)
        parts = 1 + any(values.get("masked_keys") == "skipped" for values in self.given.values())
        shared = packages_of_a_sequence(*sizes, length, parts)
        # The first value of each switch; nothing computed again unless nothing fits without.
        for number in range(max(len(values["recompute"]) for values in switches.values())):
            first = {
                method: {name: of_name[:1] for name, of_name in values.items()}
                | {"recompute": values["recompute"][number : number + 1]}
                for method, values in switches.items()
                if number < len(values["recompute"])
            }
            for method, values in first.items():
                self.cost(method, values, meshes, packages_shared(*sizes))
            # Shared sequences for the best method so far, or for all if nothing fits yet.
            best = [way.method for way in self.best_ways(1)]
            for method in best or first:
                if shared:
                    self.cost(method, first[method], meshes, shared)
            if self.costs:
                break
        for way in self.best_ways(GOOD):
            near = [use for use in packages_near(way, *sizes) if replace(way, use=use) not in self.costs]
            if near:
                self.cost(way.method, way.held, meshes, near)
        for way in self.best_ways(GOOD):
            self.cost(way.method, switches[way.method], meshes, [way.use])

    def cost(
        self,
        method: str,
        switches: Mapping[str, tuple[Any, ...]],
        meshes: Sequence[Mesh],
        uses: Sequence[Use],
    ) -> None:
        """Cost all combinations of ``switches``, ``meshes``, and ``uses``."""
        request = self.request
        sizes = {
            name: getattr(request, name)
            for name in ("global_batch", "sequence_length")
            if getattr(request, name) is not None
        }
        space = Space(
            model=str(request.model),
            method=method,
            mesh=tuple(map(str, meshes)),
            optimizer=request.optimizer,
            switches=dict(switches),
            together=(
                {
                    "parallel.data": tuple(use.data for use in uses),
                    "parallel.pipeline": tuple(use.pipeline for use in uses),
                    "parallel.context": tuple(use.context for use in uses),
                    "parallel.interleave": tuple(self.interleave(use.pipeline) for use in uses),
                },
            ),
            **sizes,
        )
        sweep = make_sweep(space, request.system, source="optimize")
        points = evaluate(SweepTask(sweep, 0, sweep.groups, request.calibration, tuple(request.silicon)))
        self.evaluated += len(points.index)
        self.progress(len(points.index))
        self.fitting += int(np.isfinite(points.results["step_seconds"]).sum())
        for place in np.flatnonzero(points.reason).tolist():
            chosen = sweep.group(int(points.index[place]))
            most = Mesh(*mesh_of(chosen["mesh"])).nodes * _use(chosen).packages
            if most > self.refused[0]:
                self.refused = most, points.reasons[points.reason[place]]
        values = self._values(points.results)
        for place in np.flatnonzero(np.isfinite(values)).tolist():
            chosen = sweep.group(int(points.index[place]))
            way = Way(
                method,
                tuple((name, chosen[f"switches.{name}"]) for name in switches),
                _use(chosen),
            )
            self.costs.setdefault(way, {})[Mesh(*mesh_of(chosen["mesh"]))] = float(values[place])

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
            return self.costs[way][mesh], mesh.nodes * way.use.packages

        return sorted(self.costs, key=order)[:count]

    def lines(self) -> list[list[Way]]:
        """The ways, best first; those that differ in switches alone and take the same stand together."""
        lines: dict[tuple[str, Use, Mesh], list[list[Way]]] = {}
        every = []
        for way in self.best_ways(len(self.costs)):
            mesh = self.best_mesh(way)
            alike = lines.setdefault((way.method, way.use, mesh), [])
            if alike and self.costs[way][mesh] <= self.costs[alike[-1][0]][mesh] * (1 + ALIKE):
                alike[-1].append(way)
            else:
                alike.append([way])
                every.append(alike[-1])
        return every

    def result(self, way: Way, *alike: Way) -> BestWay:
        """One way as a single projection of it; ``alike`` are others that take the same."""
        mesh = self.best_mesh(way)
        system = self.request.system
        uses = {
            **vars(way.use),
            "interleave": self.interleave(way.use.pipeline),
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
            data=way.use.data,
            pipeline=way.use.pipeline,
            context=way.use.context,
            alike=tuple(make_switches(other.method, dict(other.switches)).model_dump() for other in alike),
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
        if self.interleave(way.use.pipeline) != parallel.interleave:
            yield from ("-P", "parallel.interleave=1")
        numbers = {
            "global-batch": request.global_batch,
            "sequence-length": request.sequence_length,
        }
        for name, number in vars(way.use).items():
            numbers[f"{name}-parallel"] = None if number == getattr(parallel, name) else number
        for name, number in numbers.items():
            if number is not None:
                yield from (f"--{name}", str(number))
        if request.optimizer != "adam":
            yield from ("--optimizer", request.optimizer)


def _use(chosen: Mapping[str, Any]) -> Use:
    return Use(*(chosen[f"parallel.{name}"] for name in ("data", "pipeline", "context")))


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
