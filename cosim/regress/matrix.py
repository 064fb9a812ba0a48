"""Regressions: a matrix of GEMMs out of a TOML file, and the bounds that every run has to keep."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from chiplet.machine.config import load_system
from chiplet.machine.configuration_keys import show_value, to_toml_value
from chiplet.machine.specs import Dtype, SystemSpec
from cosim.backends.base import SimulationError
from cosim.program.gemm import GemmProgram
from cosim.program.shape import Form, Operands
from cosim.records.base import StrictModel
from cosim.records.gemm import GemmRecord, GemmRequest, gemm_request
from cosim.regress.reuse import run_unless_known
from cosim.run.gemm import prepare
from rtl.interface.isa import Opcode

__all__ = [
    "Bounds",
    "Finished",
    "GemmCase",
    "Regression",
    "RegressionTask",
    "cases",
    "load_regression",
    "run_task",
    "shortfalls",
]


def _is_shape(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,7}x[1-9]\d{0,7}x[1-9]\d{0,7}", text, re.ASCII):
        raise ValueError("must be MxKxN, as in 37x53x29")
    return text


class Bounds(StrictModel):
    """What every run has to keep, besides 0 mismatches.

    Attributes
    ----------
    array_cycles_over_floor
        Most cycles of the array beyond the design's floor, where all operands fit the buffers as one block each and
        all sums have their place: else the array waits for memory.
    prediction_error
        Largest error of ``predicted_cycles``, as a part of ``cycles``, of runs without random stalls, which the
        timeline leaves out. Not checked if None.
    """

    array_cycles_over_floor: Annotated[int, Field(ge=0)] = 8
    prediction_error: Annotated[float, Field(gt=0)] | None = None


class Regression(StrictModel):
    """A matrix of runs: every configuration with every data type, shape, form, stall and seed.

    Attributes
    ----------
    configurations
        Configuration keys of a die and its memory, each as a table or a list of ``KEY=VALUE``.
    dtypes
        Data types; those of the configurations if there are none.
    shapes
        GEMMs, each as ``"MxKxN"``.
    forms, stalls, seeds, operands, sim
        See :class:`cosim.records.gemm.GemmRequest`.
    bounds
        What every run has to keep.
    """

    configurations: Annotated[tuple[dict[str, Any] | tuple[str, ...], ...], Field(min_length=1)] = ({},)
    dtypes: tuple[Dtype, ...] = ()
    shapes: Annotated[tuple[Annotated[str, AfterValidator(_is_shape)], ...], Field(min_length=1)]
    forms: Annotated[tuple[Form, ...], Field(min_length=1)] = ("nn",)
    stalls: Annotated[tuple[float, ...], Field(min_length=1)] = (0.0,)
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    operands: Operands = "normal"
    sim: str = "icarus"
    bounds: Bounds = Field(default_factory=Bounds)


@dataclass(frozen=True)
class GemmCase:
    """One run of a regression.

    Attributes
    ----------
    name
        What tells it from the others.
    request
        What to run.
    fits
        Whether the bound on the cycles of the array holds for it.
    """

    name: str
    request: GemmRequest
    fits: bool


@dataclass(frozen=True)
class RegressionTask:
    """A request, and the records of it that there are."""

    request: GemmRequest
    known: tuple[GemmRecord, ...]


@dataclass(frozen=True)
class Finished:
    """A run that ended: its record and whether it was known before, or why there is none."""

    record: GemmRecord | None
    reused: bool
    error: str


def load_regression(path: Path) -> Regression:
    """Read a regression from a TOML file. Raises ValueError, in one line, for whatever is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a TOML file: byte {error.start} is not UTF-8") from None
    except ValueError as error:
        raise ValueError(f"{path}: not valid TOML: {error}") from None
    try:
        return Regression.model_validate(_tuples(values))
    except ValidationError as error:
        raise ValueError(f"{path}: {_refusal(error)}") from None


def _tuples(value: Any) -> Any:
    """The value with tuples for lists: strict models take no list for a tuple."""
    if isinstance(value, Mapping):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _refusal(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    *inside, last = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        known = list((Bounds if inside else Regression).model_fields)
        nearest = difflib.get_close_matches(last, known, 1, 0.0)[0]
        return f"unknown key {'.'.join([*inside, last])[:60]}: the nearest known one is {'.'.join([*inside, nearest])}"
    if first["type"] == "missing":
        return f"{'.'.join([*inside, last])} is missing"
    reason = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
    if inside[:1] == ["configurations"]:
        *inside, last = inside[:2]  # the rest says which kind of configuration it is not
        reason = "must be a table of configuration keys, or a list of KEY=VALUE"
    given = show_value(first["input"])
    return f"{'.'.join([*inside, last])} = {given}: {reason[:1].lower()}{reason[1:]}"


def cases(
    regression: Regression, *, config: Path | None = None, overrides: Sequence[str] = (), source: str = ""
) -> list[GemmCase]:
    """Return the runs of a regression, those of one die together and none twice.

    The configuration of a die starts from the preset bench, ``config`` and ``overrides``; ``source`` says in
    messages where the regression stands.

    Raises
    ------
    ValueError
        If a configuration is wrong, the simulator is unknown, or a shape does not fit a die.
    """
    found: dict[GemmRequest, GemmCase] = {}
    for index, configuration in enumerate(regression.configurations):
        keys = list(_assignments(configuration))
        for dtype in regression.dtypes or (None,):
            wanted = [*keys, f"die.dtype={dtype}"] if dtype else keys
            try:
                system = load_system(config, [*overrides, *wanted], preset="bench")
                for case in _cases_of(regression, system, keys):
                    found.setdefault(case.request, case)
            except ValueError as error:
                raise ValueError(f"{source}: configurations.{index}: {error}") from None
    return list(found.values())


def _assignments(configuration: Mapping[str, Any] | Sequence[str], prefix: str = "") -> Iterator[str]:
    """The keys of a configuration as ``KEY=VALUE``."""
    if not isinstance(configuration, Mapping):
        yield from configuration
        return
    for name, value in configuration.items():
        if isinstance(value, Mapping):
            yield from _assignments(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={to_toml_value(value)}"


def _cases_of(regression: Regression, system: SystemSpec, keys: Sequence[str]) -> Iterator[GemmCase]:
    die = system.die
    plain = ("die.rows", "die.cols", "die.dtype")
    others = [key.replace(" ", "") for key in keys if key.partition("=")[0].strip() not in plain]
    for shape, form, stall, seed in product(
        regression.shapes, regression.forms, regression.stalls, regression.seeds
    ):
        m, k, n = map(int, shape.split("x"))
        request = gemm_request(
            m=m,
            k=k,
            n=n,
            form=form,
            die=die,
            memory=system.memory,
            seed=seed,
            stall=stall,
            operands=regression.operands,
            sim=regression.sim,
        )
        name = [f"{die.rows}x{die.cols}", die.dtype, *others, shape, form, f"stall={stall:g}", f"seed={seed}"]
        yield GemmCase(" ".join(name), request, everything_fits(prepare(request).program))


def everything_fits(program: GemmProgram) -> bool:
    """Whether the program has one block of each operand, and room for all sums: the array never waits."""
    gemms = [command.fields for command in program.commands if command.opcode == Opcode.GEMM]
    return len(gemms) == 1 and gemms[0]["panels"] <= program.tiling.slots


def run_task(task: RegressionTask) -> Finished:
    """Run a task, or take one of its records. A simulation that fails is an outcome, not an error."""
    try:
        record, reused = run_unless_known(task.request, task.known)
    except SimulationError as error:
        return Finished(None, False, str(error))
    return Finished(record, reused, "")


def shortfalls(case: GemmCase, finished: Finished, bounds: Bounds) -> list[str]:
    """What a run falls short of; empty if of nothing."""
    record = finished.record
    if record is None:
        return [finished.error]
    found = []
    if record.mismatches:
        found.append(f"{record.mismatches} of {record.m * record.n} results differ from the golden model")
    over = record.array_cycles - record.floor_cycles
    if case.fits and over > bounds.array_cycles_over_floor:
        found.append(
            f"array_cycles = {record.array_cycles} is {over} over the floor of {record.floor_cycles}: "
            f"must be at most {bounds.array_cycles_over_floor}"
        )
    if bounds.prediction_error is not None and not case.request.stall:
        error = abs(record.predicted_cycles - record.cycles) / record.cycles
        if error > bounds.prediction_error:
            found.append(
                f"predicted_cycles = {record.predicted_cycles} is off by {error:.2%} of cycles = {record.cycles}: "
                f"must be at most {bounds.prediction_error:.2%}"
            )
    return found
