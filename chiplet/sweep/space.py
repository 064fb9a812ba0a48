"""Design spaces: which machines, models and methods a sweep projects, out of a TOML file.

Axes are crossed: every value of one with every value of the others. Keys of a ``[together]`` table vary in step
instead. ``constraints`` on what is varied remove points; constraints on results keep a point and mark it as falling
short.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, ValidationError, model_validator

from chiplet.machine.base import StrictModel, nearest, read_input, refusal
from chiplet.machine.configuration_keys import known_keys, show_value, values_by_name
from chiplet.machine.pipelining import DEPTHS
from chiplet.machine.silicon.stage_clock import FOLLOWS_STAGES, clock_of_stages
from chiplet.machine.specs import SystemSpec
from chiplet.machine.terms import check_predicted
from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.sweep.axes import COMMON, JOB_KEYS, Sweep, SweepAxis, check_job, has_switch
from chiplet.sweep.columns import COLUMNS
from chiplet.sweep.constraints import Constraint
from chiplet.sweep.limits import MAX_POINTS, check_number, check_points

Value = str | int | float | bool

_CLOCK = "die.clock_hz"


class Range(StrictModel):
    """Values from ``start`` to ``stop``, both included: ``count`` values in equal steps or (``log``) equal ratios, or
    one every ``step``.
    """

    start: FiniteFloat
    stop: FiniteFloat
    count: Annotated[int | None, Field(ge=1, le=MAX_POINTS)] = None
    step: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _one_way(self) -> Range:
        if (self.count is None) == (self.step is None):
            raise ValueError("give one of count and step")
        if self.step is not None and self.scale == "log":
            raise ValueError("scale = log needs count")
        if self.scale == "log" and min(self.start, self.stop) <= 0:
            raise ValueError("scale = log needs start and stop above 0")
        if self.stop < self.start:
            raise ValueError("stop must be at least start")
        if not isfinite(self.stop - self.start):
            raise ValueError("start and stop are too far apart")
        if self.step is not None and self._steps > MAX_POINTS:
            values = f"about {self._steps:.3g}" if isfinite(self._steps) else "more than 10^308"
            raise ValueError(f"{values} values: a sweep has at most {MAX_POINTS:,} points")
        return self

    @property
    def _steps(self) -> float:
        """Steps from start to stop, a little more than there are; infinite if they are more than a float counts."""
        return (self.stop - self.start) / (self.step or 1.0) * (1 + 1e-12)

    @property
    def size(self) -> int:
        """Number of values."""
        return (self.count or 1) if self.step is None else int(self._steps) + 1

    def values(self) -> tuple[float, ...]:
        """The values, ascending."""
        if self.step is not None:
            return tuple(self.start + index * self.step for index in range(self.size))
        last = max(1, (self.count or 1) - 1)
        if self.scale == "log":
            ratio = self.stop / self.start
            return tuple(self.start * ratio ** (index / last) for index in range(self.count or 1))
        return tuple(self.start + (self.stop - self.start) * index / last for index in range(self.count or 1))


Values = Value | tuple[Value, ...] | Range


class Space(StrictModel):
    """A design space as in its file.

    ``vary`` has configuration keys, ``switches`` has switches of the methods (``name``, or ``method.name`` for one
    method), ``together`` has tables of keys and switches with lists of equal length. A single value or a list is
    allowed everywhere; what is unset is None. ``objectives`` are columns of the result: smaller is better, except for
    those in :data:`chiplet.sweep.pareto.LARGER_IS_BETTER`.
    """

    model: Values
    method: Values = "hecaton"
    mesh: Values | None = None
    dies: Values | None = None
    global_batch: Values | None = None
    sequence_length: Values | None = None
    mini_batch: Values | None = None
    optimizer: Values = "adam"
    vary: dict[str, Values] = Field(default_factory=dict)
    switches: dict[str, Values] = Field(default_factory=dict)
    together: tuple[dict[str, tuple[Value, ...]], ...] = ()
    constraints: tuple[str, ...] = ()
    objectives: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "step_seconds",
        "energy_joules",
        "cost_dollars",
    )


def load_space(path: Path) -> Space:
    """Read a space from a TOML file. Raises ``ValueError``, in one line, for whatever is wrong with it."""
    try:
        values = tomllib.loads(read_input(path))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a TOML file: byte {error.start} is not UTF-8") from None
    except ValueError as error:
        raise ValueError(f"{path}: not valid TOML: {error}") from None
    try:
        return Space.model_validate(_prepared(values))
    except ValidationError as error:
        raise ValueError(f"{path}: {_space_refusal(error)}") from None


def make_sweep(space: Space, base: SystemSpec, *, source: str, clock_follows_stages: bool = False) -> Sweep:
    """The sweep of ``space`` around the machine ``base``; ``source`` names the space in messages. The clock of ``base``
    may follow the stages of the die, as may one that ``space`` gives alone.

    Raises ``ValueError``, in one line, for an unknown key, method, switch, constraint or objective, a value that a key
    does not allow, or lists that are empty or of unequal length.
    """
    try:
        return _sweep(space, base, clock_follows_stages)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _sweep(space: Space, base: SystemSpec, clock_follows_stages: bool) -> Sweep:
    if _listed(space.vary.get(_CLOCK)) == (FOLLOWS_STAGES,):
        clock_follows_stages = True
        space = space.model_copy(
            update={"vary": {name: given for name, given in space.vary.items() if name != _CLOCK}}
        )
        clock = clock_of_stages(base.die.stages)
        base = base.model_copy(update={"die": base.die.model_copy(update={"clock_hz": clock})})
    sizes = _sizes(space)
    for name, size in sizes.items():
        if not size:
            raise ValueError(f"{name}: no values")
    if space.mesh is not None and space.dies is not None:
        raise ValueError("mesh and dies exclude each other")
    check_points(sizes)
    axes = []
    for name in JOB_KEYS:
        given = getattr(space, name)
        if name == "mesh" and given is None:
            given = f"{base.package.rows}x{base.package.cols}" if space.dies is None else space.dies
        axes.append(SweepAxis((name,), tuple((value,) for value in _listed(given))))
    for axis in axes:
        name = "dies" if space.dies is not None and axis.names == ("mesh",) else axis.names[0]
        for (value,) in axis.values:
            check_job(name, value)
    for name, given in space.vary.items():
        axes.append(SweepAxis((name,), tuple((_checked(name, value),) for value in _listed(given))))
    for name, given in space.switches.items():
        for value in _listed(given):
            check_number(f"switches.{name}", value)
        axes.append(SweepAxis((f"switches.{name}",), tuple((value,) for value in _listed(given))))
    axes += [_together(table) for table in space.together]
    names = [name for axis in axes for name in axis.names]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is varied twice")
        if name not in JOB_KEYS and not name.startswith("switches."):
            _known(name)
        elif name.startswith("switches."):
            _known_switch(name.removeprefix("switches."))
    check_predicted(base.die, "projections")
    for axis in axes:
        for values in axis.values:
            given = dict(zip(axis.names, values, strict=True))
            depths = {key: given[f"die.{key}"] for key in DEPTHS if f"die.{key}" in given}
            check_predicted(base.die.model_copy(update=depths), "projections")
    _check_switches(axes)
    inputs = dict.fromkeys((*names, *COMMON, *known_keys()))
    constraints = tuple(Constraint.parse(text, (*inputs, *COLUMNS), inputs) for text in space.constraints)
    samples = _samples(axes, base)
    for constraint in constraints:
        constraint.check_types(samples)
    for name in space.objectives:
        if name not in COLUMNS:
            raise ValueError(f"unknown objective {name!r}: the nearest known one is {nearest(name, COLUMNS)}")
        if space.objectives.count(name) > 1:
            raise ValueError(f"objective {name} is given twice")
    return Sweep(
        base,
        tuple(axis for axis in axes if not axis.continuous),
        tuple(axis for axis in axes if axis.continuous),
        constraints,
        space.objectives,
        clock_follows_stages and _CLOCK not in names,
    )


def _together(table: Mapping[str, Sequence[Value]]) -> SweepAxis:
    lengths = {len(values) for values in table.values()}
    if len(lengths) != 1:
        raise ValueError(f"together {', '.join(table)}: lists must be equally long")
    for name, values in table.items():
        for value in values:
            check_number(name, value)
    columns = [
        [value if name.startswith("switches.") else _checked(name, value) for value in values]
        for name, values in table.items()
    ]
    return SweepAxis(tuple(table), tuple(zip(*columns, strict=True)))


def _sizes(space: Space) -> dict[str, int]:
    """Values of each axis that is given."""
    given = {name: getattr(space, name) for name in (*JOB_KEYS, "dies")} | space.vary
    sizes = {name: _size(values) for name, values in given.items() if values is not None}
    sizes |= {f"switches.{name}": _size(values) for name, values in space.switches.items()}
    for table in space.together:
        sizes[", ".join(table)] = max(map(len, table.values()), default=1)
    return sizes


def _size(values: Values) -> int:
    if isinstance(values, Range):
        return values.size
    return len(values) if isinstance(values, tuple) else 1


def _listed(values: Values | None) -> tuple[Any, ...]:
    """The values, of which one that is unset has only None."""
    if isinstance(values, Range):
        return values.values()
    return values if isinstance(values, tuple) else (values,)


def _known(name: str) -> None:
    if name not in known_keys():
        raise ValueError(f"unknown key {name[:60]}: the nearest known one is {nearest(name, known_keys())}")
    if name in ("package.rows", "package.cols"):
        raise ValueError(f"{name}: give mesh or dies instead")


def _known_switch(name: str) -> None:
    method, dot, inner = name.rpartition(".")
    if dot:
        method_type(method)
    methods = [METHODS[method]] if dot else list(METHODS.values())
    known = dict.fromkeys(key for one in methods for key in one.switches_type.model_fields)
    if inner not in known:
        raise ValueError(f"unknown switch {name[:60]}: the nearest known one is {nearest(inner, known)}")


def _samples(axes: Sequence[SweepAxis], base: SystemSpec) -> dict[str, list[Any]]:
    """A value of each type for what a constraint may name."""
    samples = {name: [value] for name, value in values_by_name(base).items()}
    for axis in axes:
        for name, values in zip(axis.names, zip(*axis.values, strict=True), strict=True):
            samples[name] = list({type(value): value for value in values}.values())
    return samples


def _check_switches(axes: Sequence[SweepAxis]) -> None:
    """Refuse values of switches that none of the methods takes."""
    methods = [str(method) for axis in axes if axis.names == ("method",) for (method,) in axis.values]
    for axis in axes:
        for place, name in enumerate(axis.names):
            owners = [method for method in methods if has_switch(method, name)]
            # True and 1 are equal, and not both allowed.
            distinct = {(type(values[place]), values[place]): values[place] for values in axis.values}
            for value in distinct.values():
                refusals = []
                for method in owners:
                    try:
                        make_switches(method, {name.rpartition(".")[2]: value})
                    except ValueError as error:
                        refusals.append(str(error))
                if owners and len(refusals) == len(owners):
                    raise ValueError(refusals[0])


def _checked(name: str, value: Any) -> Any:
    """``value`` in the type of the configuration key."""
    _known(name)
    check_number(name, value)
    if name == _CLOCK and value == FOLLOWS_STAGES:
        raise ValueError(
            f'{name}: "{FOLLOWS_STAGES}" must be its only value: to compare it with clocks, give these in another sweep'
        )
    section, key = name.split(".")
    key_type = type(known_keys()[name].default)
    if isinstance(value, float) and key_type is int and value.is_integer():
        value = int(value)  # a range of integers
    spec = SystemSpec.model_fields[section].annotation
    assert spec is not None
    try:
        spec.model_validate({key: value})
    except ValidationError as error:
        # A combination with other keys may be impossible: the points report that.
        if any(item["loc"] == (key,) for item in error.errors(include_url=False)):
            allowed = known_keys()[name].allowed
            raise ValueError(f"{name} must be {allowed}, not {show_value(value)}") from None
    return float(value) if key_type is float else value


def _prepared(value: Any, path: tuple[str, ...] = ()) -> Any:
    """Tuples for lists, and dotted keys for tables under ``vary`` and ``switches``, as strict models require."""
    if isinstance(value, Mapping):
        flat = path[:1] in (("vary",), ("switches",), ("together",))
        table = {name: _prepared(item, (*path, name)) for name, item in value.items()}
        return dict(_flattened(table)) if flat else table
    return tuple(_prepared(item, path) for item in value) if isinstance(value, list) else value


def _flattened(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, item in table.items():
        if isinstance(item, Mapping) and not item.keys() & {"start", "stop"}:
            yield from ((f"{name}.{inner}", value) for inner, value in _flattened(item))
        else:
            yield name, item


def _space_refusal(error: ValidationError) -> str:
    """The refusal of a space in one line. A value of an axis fails as a number, as a list and as a range: what is
    wrong with the range is said only if it was meant as one.
    """
    failures = error.errors(include_url=False)
    for failure in failures:
        path = [str(part) for part in failure["loc"]]
        depth = next((depth for depth, part in enumerate(path) if "Range" in part), None)
        meant = depth is not None and (depth + 1 < len(path) or failure["type"] == "value_error")
        if depth is not None and meant:
            inside: Any = {**failure, "loc": tuple(path[depth + 1 :])}
            return f"{'.'.join(path[:depth])}: {refusal(inside, Range, show=show_value)}"
    first = failures[0]
    if len(first["loc"]) == 1 and first["type"] in ("missing", "extra_forbidden"):
        return refusal(error, Space, show=show_value)
    place = ".".join(str(part) for part in first["loc"][:2] if part not in ("str", "int", "float", "bool"))
    return f"{place}: must be a value, a list of values, or a table with start, stop, and count or step"
