"""Axes of a design space: what varies in step, and the points that the axes span."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import Any

from chiplet.machine.configuration_keys import known_keys, show_value
from chiplet.machine.specs import SystemSpec
from chiplet.methods.registry import method_type
from chiplet.projection.job import check_optimizer
from chiplet.sweep.constraints import Constraint
from chiplet.sweep.limits import check_number
from chiplet.workload.llm import load_model
from nop.topology import Mesh, most_square

JOB_KEYS = ("model", "method", "mesh", "global_batch", "sequence_length", "mini_batch", "optimizer")
"""What varies besides configuration keys and switches."""


def mesh_of(text: str | int) -> tuple[int, int]:
    """Rows and columns of a mesh given as ``RxC`` or as a number of dies. Raises ``ValueError`` for anything else."""
    if isinstance(text, int) and not isinstance(text, bool):
        mesh = most_square(text)
        return mesh.rows, mesh.cols
    match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", str(text), re.ASCII)
    if match is None:
        raise ValueError(f"mesh {text!r}: must be ROWSxCOLUMNS, as in 4x8, or a number of dies")
    mesh = Mesh(int(match[1]), int(match[2]))
    return mesh.rows, mesh.cols


COMMON = ("dies",)
"""What every point has besides what is varied."""


def check_job(name: str, value: Any) -> None:
    """Raise ``ValueError``, in one line, for an invalid model, method, mesh, number of dies, batch, length or
    optimizer.
    """
    check_number(name, value)
    if name == "model":
        load_model(str(value))
    elif name == "method":
        method_type(str(value))
    elif name in ("mesh", "dies"):
        mesh_of(value)
    elif name == "optimizer":
        check_optimizer(value)
    elif value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f"{name} = {show_value(value)}: must be an integer of at least 1")


def has_switch(method: str, name: str) -> bool:
    """Whether ``method`` has the switch of the axis ``name``."""
    prefix, _, inner = name.partition(".")
    owner, _, switch = inner.rpartition(".")
    return (
        prefix == "switches"
        and owner in ("", method)
        and switch in method_type(method).switches_type.model_fields
    )


CONTINUOUS = (
    "die.clock_hz",
    "link.lanes",
    "link.lane_rate",
    "link.latency_seconds",
    "link.router_cycles",
    "link.pj_per_bit",
    "memory.channel_bytes_per_second",
    "memory.efficiency",
    "memory.pj_per_bit",
    "link.goodput",
    *(
        key
        for key in known_keys()
        if key.partition(".")[0] in ("energy", "area", "silicon", "cost", "fabric")
    ),
)
"""Configuration keys that no schedule depends on: points that differ only in these share a schedule."""


@dataclass(frozen=True)
class SweepAxis:
    """Names that vary in step, and their values: one tuple for each step."""

    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]

    @property
    def continuous(self) -> bool:
        """Whether no schedule depends on this axis."""
        return all(name in CONTINUOUS for name in self.names)


@dataclass(frozen=True)
class Sweep:
    """A checked space: every combination of the ``outer`` axes has its own schedule, which all combinations of the
    ``inner`` axes share. The clock is that of ``base``, unless it varies or follows the stages of each die.
    """

    base: SystemSpec
    outer: tuple[SweepAxis, ...]
    inner: tuple[SweepAxis, ...]
    constraints: tuple[Constraint, ...]
    objectives: tuple[str, ...]
    clock_follows_stages: bool = False

    @property
    def groups(self) -> int:
        """Combinations of the outer axes."""
        return prod(len(axis.values) for axis in self.outer)

    @property
    def group_points(self) -> int:
        """Combinations of the inner axes."""
        return prod(len(axis.values) for axis in self.inner)

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that is varied or chosen, outer axes first."""
        return tuple(name for axis in (*self.outer, *self.inner) for name in axis.names)

    @property
    def several_packages(self) -> bool:
        """Whether any point may have several packages."""
        return self.base.parallel.packages > 1 or any(
            name in ("parallel.data", "parallel.pipeline", "parallel.context") for name in self.names
        )

    def group(self, index: int) -> dict[str, Any]:
        """Values of the outer axes of group ``index``, the last axis running fastest."""
        chosen: dict[str, Any] = {}
        for axis in reversed(self.outer):
            index, place = divmod(index, len(axis.values))
            chosen = dict(zip(axis.names, axis.values[place], strict=True)) | chosen
        return chosen
