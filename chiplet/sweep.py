"""Design points by the thousand: one schedule for all points that share it, and then arrays.

The functions are those of a single projection. What a point's schedule does not depend on (clock, links,
energies, prices: :data:`chiplet.space.CONTINUOUS`) goes into them as arrays with one element a point.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from chiplet.config import read_memory_preset
from chiplet.cost import account_cost
from chiplet.figures import figures
from chiplet.llm import load_model
from chiplet.memory import STATE_BYTES
from chiplet.methods.registry import method_type
from chiplet.plan import StepPlan, plan_step
from chiplet.projection import Job, prepare, project
from chiplet.schedule import BlockSchedule, Schedule, make_schedule
from chiplet.specs import DieSpec, SystemSpec
from chiplet.step import account_plan
from chiplet.sweep_columns import COLUMNS, columns_of, of_projection
from chiplet.timeline import Machine
from chiplet.timing import Calibration
from nop.topology import most_square

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chiplet.space import Sweep

JOB_KEYS = ("model", "method", "mesh", "global_batch", "sequence_length", "mini_batch", "optimizer")
"""What varies beside configuration keys and switches."""

COMMON = ("dies",)
"""What every point has beside what is varied."""


@dataclass(frozen=True)
class Points:
    """Evaluated points: their numbers in the space, results by column, and why a point has none or falls short.

    ``reason`` is a place in ``reasons``, whose first is empty: nothing is wrong. ``excluded`` points of the range
    violate a constraint on what is varied.
    """

    index: NDArray[np.int64]
    results: dict[str, NDArray[np.float64]]
    reason: NDArray[np.int32]
    reasons: tuple[str, ...]
    excluded: int


@dataclass(frozen=True)
class Task:
    """The points ``start`` up to ``stop`` (not included) of a sweep."""

    sweep: Sweep
    start: int
    stop: int
    calibration: Calibration | None = None


def evaluate(task: Task) -> Points:
    """Evaluate a range of points. What does not fit is a point with a reason, not an error."""
    sweep, size = task.sweep, task.sweep.group_points
    parts: list[tuple[NDArray[np.int64], dict[str, Any], list[str] | str]] = []
    for group in range(task.start // size, -(-task.stop // size)):
        first = group * size
        inner = np.arange(max(task.start, first) - first, min(task.stop, first + size) - first)
        parts.append(_group(sweep, group, inner, task.calibration))
    index = np.concatenate([part[0] for part in parts])
    results = {name: np.empty(len(index)) for name in COLUMNS}
    reason = np.empty(len(index), dtype=np.int32)
    codes = {"": 0}
    start = 0
    for numbers, found, why in parts:
        place = slice(start, start + len(numbers))
        for name, column in results.items():
            column[place] = found.get(name, nan)
        each = [why] if isinstance(why, str) else why
        reason[place] = [codes.setdefault(text, len(codes)) for text in each]
        start += len(numbers)
    return Points(index, results, reason, tuple(codes), task.stop - task.start - len(index))


def _group(
    sweep: Sweep, group: int, inner: NDArray[np.int64], calibration: Calibration | None
) -> tuple[NDArray[np.int64], dict[str, Any], list[str] | str]:
    """The points ``inner`` of one group: their numbers, columns, and reasons."""
    chosen = sweep.group(group)
    shared = _shared(sweep, chosen)
    index = group * sweep.group_points + inner
    if not shared.wanted:
        return index[:0], {}, ""
    arrays = inner_values(sweep, inner)
    keep = np.full(len(inner), True)
    for constraint in sweep.constraints:
        if constraint.of_inputs:
            keep &= _holds(constraint, {**shared.values, **arrays})
    if not keep.all():
        index, arrays = index[keep], {name: values[keep] for name, values in arrays.items()}
    if not len(index) or shared.system is None:
        return index, {}, shared.reason
    try:
        found = _results(shared.system, chosen, arrays, calibration)
    except ValueError as refusal:
        return index, {}, str(refusal)
    return index, found, _reasons(sweep, {**shared.values, **arrays, **found}, len(index))


def inner_values(sweep: Sweep, inner: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Values of the inner axes, the last one running fastest."""
    found: dict[str, NDArray[Any]] = {}
    rest = inner
    for axis in reversed(sweep.inner):
        rest, place = np.divmod(rest, len(axis.values))
        columns = zip(*axis.values, strict=True)
        for name, values in zip(axis.names, columns, strict=True):
            found[name] = np.array(values)[place]
    return found


@dataclass(frozen=True)
class _Shared:
    """What the points of a group share: machine, values of all keys, or the ``reason`` why there is no machine.

    Not ``wanted`` are repetitions: other values of a switch that the method does not have.
    """

    system: SystemSpec | None
    values: dict[str, Any]
    reason: str
    wanted: bool


def _shared(sweep: Sweep, chosen: Mapping[str, Any]) -> _Shared:
    overrides: dict[str, dict[str, Any]] = {}
    for name, value in chosen.items():
        section, dot, key = name.partition(".")
        if dot and section != "switches":
            overrides.setdefault(section, {})[key] = value
    preset = chosen.get("memory.preset")
    if preset:
        overrides["memory"] = {**read_memory_preset(preset).values["memory"], **overrides["memory"]}
    rows, cols = mesh_of(chosen["mesh"])
    values = {
        f"{section}.{key}": value
        for section, keys in sweep.base.model_dump().items()
        for key, value in {**keys, **overrides.get(section, {})}.items()
    }
    values |= {"dies": rows * cols, **chosen}
    wanted = all(
        _has_switch(chosen["method"], name) or value == axis.values[0][axis.names.index(name)]
        for axis in sweep.outer
        for name, value in ((name, chosen[name]) for name in axis.names)
        if name.startswith("switches.")
    )
    try:
        parts = {
            section: type(getattr(sweep.base, section)).model_validate(
                {**getattr(sweep.base, section).model_dump(), **keys}
            )
            for section, keys in overrides.items()
        }
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return _Shared(None, values, str(first.get("ctx", {}).get("error", first["msg"])), wanted)
    return _Shared(sweep.base.model_copy(update=parts), values, "", wanted)


def _results(
    system: SystemSpec,
    chosen: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    calibration: Calibration | None,
) -> dict[str, Any]:
    """Columns of one group. Raises ``ValueError`` when its points do not fit."""
    if calibration is not None:
        if "link.router_cycles" in {*chosen, *arrays}:  # what the sweep asks for, not what was measured
            calibration = calibration.model_copy(update={"nop": None})
        system = calibration.applied(system)
    arguments: dict[str, Any] = {
        "model": chosen["model"],
        "mesh": mesh_of(chosen["mesh"]),
        "method": chosen["method"],
        "switches": _switches(chosen),
        "calibration": calibration,
        "global_batch": chosen["global_batch"],
        "sequence_length": chosen["sequence_length"],
    }
    more: dict[str, Any] = {"mini_batch": chosen["mini_batch"], "optimizer": chosen["optimizer"]}
    if system.parallel.packages > 1:
        # Micro-batches and stages are compared with each other: one point after the other.
        points = [
            of_projection(project(system=machine, **arguments, **more))
            for machine in _machines(system, arrays)
        ]
        return {name: np.array([point[name] for point in points]) for name in COLUMNS}
    key = json.dumps([chosen["model"], arguments["switches"], *(chosen[name] for name in JOB_KEYS[1:])])
    memory = system.memory
    capacity = (memory.channels, memory.channels_per_edge_die, memory.channel_bytes)
    job, plan = _planned(_Planning(key, system.die, capacity, calibration, system, arguments, more))
    machine = Machine(varied(system, arrays), job.terms)
    account = account_plan(plan, job.method, machine)
    with np.errstate(invalid="ignore"):  # NaN for dies that fit no wafer
        cost = account_cost(machine.system, job.method.mesh)
    return columns_of(
        figures(account, job.method, machine, job.global_batch, job.length), cost, plan.layer_elements
    )


@dataclass(frozen=True)
class _Planning:
    """What a schedule follows from: groups that agree in the first four share it."""

    key: str
    die: DieSpec
    capacity: tuple[int, float, int]
    calibration: Calibration | None = field(hash=False)
    system: SystemSpec = field(compare=False)
    job: Mapping[str, Any] = field(compare=False)
    more: Mapping[str, Any] = field(compare=False)


@lru_cache(maxsize=256)
def _planned(planning: _Planning) -> tuple[Job, StepPlan]:
    system = planning.system
    job = prepare(**planning.job, system=system)
    schedule = make_schedule(
        job.method, system, global_batch=job.global_batch, length=job.length, **planning.more
    )
    die = system.die
    shape = (die.rows, die.cols, die.dtype, die.stages, schedule.rounds, schedule.sequences)
    blocks = tuple(replace(block, buffers=()) for block in schedule.blocks)
    return job, _plan(
        _Shape(planning.key, shape, blocks, planning.calibration, job, die, schedule, planning.more)
    )


@dataclass(frozen=True)
class _Shape:
    """What a plan follows from once there is a schedule: buffers count no more."""

    key: str
    shape: tuple[Any, ...]
    blocks: tuple[BlockSchedule, ...]
    calibration: Calibration | None = field(hash=False)
    job: Job = field(compare=False)
    die: DieSpec = field(compare=False)
    schedule: Schedule = field(compare=False)
    more: Mapping[str, Any] = field(compare=False)


@lru_cache(maxsize=256)
def _plan(shape: _Shape) -> StepPlan:
    job = shape.job
    optimizer = shape.more["optimizer"]
    return plan_step(job.method, shape.die, job.terms, shape.schedule, job.global_batch, optimizer)


def varied(system: SystemSpec, arrays: Mapping[str, Any]) -> SystemSpec:
    """``system`` with arrays in place of the keys that they are named for: as many machines as they have elements.

    Values are not checked again.
    """
    update: dict[str, Any] = {}
    for name, values in arrays.items():
        section, _, key = name.partition(".")
        update.setdefault(section, {})[key] = values
    return system.model_copy(
        update={section: getattr(system, section).model_copy(update=keys) for section, keys in update.items()}
    )


def _machines(system: SystemSpec, arrays: Mapping[str, NDArray[Any]]) -> Iterator[SystemSpec]:
    """One machine after the other."""
    if not arrays:
        yield system
        return
    for values in zip(*(column.tolist() for column in arrays.values()), strict=True):
        yield varied(system, dict(zip(arrays, values, strict=True)))


def _reasons(sweep: Sweep, values: Mapping[str, Any], count: int) -> list[str] | str:
    """The first constraint on results that each point falls short of."""
    reasons = [""] * count
    checked = False
    for constraint in sweep.constraints:
        if not constraint.of_inputs:
            checked = True
            good = np.broadcast_to(_holds(constraint, values), count)
            for place in np.flatnonzero(~good):
                reasons[place] = reasons[place] or f"falls short of {constraint.text}"
    return reasons if checked else ""


def _holds(constraint: Any, values: Mapping[str, Any]) -> Any:
    try:
        with np.errstate(all="ignore"):
            return constraint.holds(values)
    except (TypeError, ArithmeticError) as error:
        raise ValueError(f"constraint {constraint.text!r}: {error}") from None


def mesh_of(text: str | int) -> tuple[int, int]:
    """Rows and columns of a mesh given as ``RxC`` or as a number of dies."""
    if isinstance(text, int):
        mesh = most_square(text)
        return mesh.rows, mesh.cols
    match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", str(text), re.ASCII)
    if match is None:
        raise ValueError(f"mesh {text!r}: must be ROWSxCOLUMNS, as in 4x8, or a number of dies")
    return int(match[1]), int(match[2])


def _switches(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The switches among ``chosen`` that the method has."""
    return {
        name.rpartition(".")[2]: value
        for name, value in chosen.items()
        if name.startswith("switches.") and _has_switch(chosen["method"], name)
    }


def _has_switch(method: str, name: str) -> bool:
    owner, _, switch = name.removeprefix("switches.").rpartition(".")
    return owner in ("", method) and switch in method_type(method).switches_type.model_fields


def check_job(name: str, value: Any) -> None:
    """Raise ``ValueError`` of one line for a model, method, mesh, batch, length or optimizer that cannot be."""
    if name == "model":
        load_model(str(value))
    elif name == "method":
        method_type(str(value))
    elif name == "mesh":
        mesh_of(value)
    elif name == "optimizer":
        if value not in STATE_BYTES:
            raise ValueError(f"optimizer {value!r}: must be one of {', '.join(STATE_BYTES)}")
    elif value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f"{name} = {value}: must be an integer of at least 1")
