"""Ways to run a step: what a search chooses between, besides the mesh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from chiplet.methods.registry import method_type
from chiplet.projection.meshes import coarse_sides

HELD = ("overlap", "sums", "masked_keys", "gather_again")
"""Switches that are not searched. Without overlap is for comparisons; sums of another type change the numbers of the
training; masked keys that are skipped always gain; and a memory that multicasts is another machine.
"""

PACKAGES_OF_ALL_USES = 8
"""Up to so many packages all numbers of replicas and stages are costed."""

NEAR_STAGES = 2
"""Stages that are costed beside those of a good way, more and fewer."""


@dataclass(frozen=True)
class Way:
    """A method with switches by name, and the replicas and stages of the packages."""

    method: str
    switches: tuple[tuple[str, Any], ...]
    data: int
    pipeline: int


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


def packages_shared(packages: int, global_batch: int, layers: int) -> list[tuple[int, int]]:
    """Replicas and stages of at most ``packages`` packages that are costed first: all if there are few packages; else
    for stages of a coarse grid, and as many as there are packages, one replica and those of :func:`most_replicas`.
    """
    most = min(packages, layers)
    if packages <= PACKAGES_OF_ALL_USES:
        return [
            (replicas, stages)
            for stages in range(1, most + 1)
            for replicas in range(1, min(packages // stages, global_batch) + 1)
        ]
    return list(
        dict.fromkeys(
            (replicas, stages)
            for stages in sorted({*coarse_sides(most), most})
            for replicas in (1, *most_replicas(packages // stages, global_batch))
        )
    )


def packages_near(way: Way, packages: int, global_batch: int, layers: int) -> list[tuple[int, int]]:
    """Replicas and stages of at most ``packages`` packages that are near those of ``way``."""
    near: dict[tuple[int, int], None] = {}
    for stages in range(max(1, way.pipeline - NEAR_STAGES), way.pipeline + NEAR_STAGES + 1):
        if stages <= min(packages, layers):
            most = packages // stages
            for replicas in (min(way.data, most), *most_replicas(most, global_batch)):
                near[replicas, stages] = None
    return list(near)


def most_replicas(packages: int, global_batch: int) -> tuple[int, int]:
    """As many replicas as there are packages and sequences for, and as many that have equally many sequences: the
    others wait for the largest, and cost energy.
    """
    most = min(packages, global_batch)
    return most, next(count for count in range(most, 0, -1) if global_batch % count == 0)
