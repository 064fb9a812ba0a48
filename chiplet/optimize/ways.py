"""Ways to run a step: what a search chooses between, besides the mesh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from chiplet.methods.registry import method_type
from chiplet.projection.meshes import coarse_sides

HELD = ("overlap", "sums", "masked_keys", "gather_again")
"""Switches that are not searched. Without overlap is for comparisons; sums of another type change the numbers of the
training; masked keys that are skipped always gain time; and a memory that multicasts is another machine.
"""

PACKAGES_OF_ALL_USES = 8
"""Up to so many packages all numbers of replicas and stages are costed."""

NEAR_STAGES = 2
"""Stages that are costed beside those of a good way, more and fewer."""


@dataclass(frozen=True)
class Use:
    """A use of the packages: ``data`` replicas of a pipeline of ``pipeline`` stages, of ``context`` packages each."""

    data: int = 1
    pipeline: int = 1
    context: int = 1

    @property
    def packages(self) -> int:
        """Packages in all."""
        return self.data * self.pipeline * self.context


@dataclass(frozen=True)
class Way:
    """A method with switches by name, and a use of the packages."""

    method: str
    switches: tuple[tuple[str, Any], ...]
    use: Use

    @property
    def held(self) -> dict[str, tuple[Any, ...]]:
        """Its switches as searches with one value each."""
        return {name: (value,) for name, value in self.switches}


def searched_switches(method: str, given: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """The values of each switch of ``method`` that is searched: all it has, the default first, or the ``given`` one."""
    values = {}
    for name, field in method_type(method).switches_type.model_fields.items():
        if name in given:
            values[name] = (given[name],)
        elif name not in HELD:
            values[name] = tuple(dict.fromkeys((field.default, *_values(field.annotation))))
    return values


def _values(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else (False, True)


def packages_shared(packages: int, global_batch: int, layers: int) -> list[Use]:
    """Uses of at most ``packages`` packages that are costed first, without shared sequences: all if there are few
    packages; else for stages of a coarse grid, and as many as there are packages, one replica and those of
    :func:`most_replicas`.
    """
    most = min(packages, layers)
    if packages <= PACKAGES_OF_ALL_USES:
        return [
            Use(replicas, stages)
            for stages in range(1, most + 1)
            for replicas in range(1, min(packages // stages, global_batch) + 1)
        ]
    return list(
        dict.fromkeys(
            Use(replicas, stages)
            for stages in sorted({*coarse_sides(most), most})
            for replicas in (1, *most_replicas(packages // stages, global_batch))
        )
    )


def packages_of_a_sequence(
    packages: int, global_batch: int, layers: int, length: int, parts: int
) -> list[Use]:
    """Uses in which 2, 4, 8, ... packages share each sequence of ``length`` tokens, in ``parts`` parts of each: with
    stages of a coarse grid, and as many replicas as there are packages for.
    """
    uses = []
    count = 2
    while count <= packages and length % (count * parts) == 0:
        groups = packages // count
        for stages in coarse_sides(min(groups, layers)):
            uses += [
                Use(replicas, stages, count) for replicas in most_replicas(groups // stages, global_batch)
            ]
        count *= 2
    return list(dict.fromkeys(uses))


def packages_near(way: Way, packages: int, global_batch: int, layers: int) -> list[Use]:
    """Uses of at most ``packages`` packages that are near that of ``way``."""
    near: dict[Use, None] = {}
    use = way.use
    groups = packages // use.context
    for stages in range(max(1, use.pipeline - NEAR_STAGES), use.pipeline + NEAR_STAGES + 1):
        if stages <= min(groups, layers):
            most = groups // stages
            for replicas in (min(use.data, most), *most_replicas(most, global_batch)):
                near[Use(replicas, stages, use.context)] = None
    return list(near)


def most_replicas(packages: int, global_batch: int) -> tuple[int, int]:
    """As many replicas as there are packages and sequences for, and as many that have equally many sequences: the
    others wait for the largest, and cost energy.
    """
    most = min(packages, global_batch)
    return most, next(count for count in range(most, 0, -1) if global_batch % count == 0)
