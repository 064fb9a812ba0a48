"""Ways to run a step: what a search chooses between, besides the mesh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from chiplet.methods.registry import method_type
from chiplet.projection.meshes import coarse_sides

HELD = ("overlap", "sums", "gather_again")
"""Switches that are not searched. Without overlap is for comparisons; sums of another type change the numbers of the
training; and a memory that multicasts is another machine.
"""

ALL_PACKAGES = 4
"""Up to so many packages all numbers of replicas and stages are costed."""


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
    """Replicas and stages of at most ``packages`` packages: all of few packages; of more, for each number of stages of
    a coarse grid as many replicas as there are packages for, and as many as divide the batch, and one package alone.
    """
    shared: dict[tuple[int, int], None] = {(1, 1): None}
    few = packages <= ALL_PACKAGES
    for stages in range(1, 1 + min(packages, layers)) if few else coarse_sides(min(packages, layers)):
        most = min(packages // stages, global_batch)
        even = next(count for count in range(most, 0, -1) if global_batch % count == 0)
        replicas: Iterable[int] = range(1, most + 1) if few else (most, even)
        shared.update(((count, stages), None) for count in replicas)
    return list(shared)
