"""Regressions as TOML files: a matrix of GEMMs, lists of GEMMs, and the bounds that every run has to meet."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from chiplet.layout.block_sizes import Form
from chiplet.machine.base import StrictModel, refusal
from chiplet.machine.configuration_keys import show_value
from chiplet.machine.specs import Dtype
from cosim.program.shape import Operands
from cosim.records.base import Interval, Seed

__all__ = ["Bounds", "ListedRun", "Regression", "RunList", "load_baseline", "load_regression", "with_seed"]

Configuration = dict[str, Any] | tuple[str, ...]
"""Configuration keys of a die and its memory, as a table or a list of ``KEY=VALUE``."""


def _is_shape(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,7}x[1-9]\d{0,7}x[1-9]\d{0,7}", text, re.ASCII):
        raise ValueError("must be MxKxN, as in 37x53x29")
    return text


GemmShape = Annotated[str, AfterValidator(_is_shape)]
"""A GEMM as ``"MxKxN"``."""


class Bounds(StrictModel):
    """What every run has to meet, besides 0 mismatches.

    Attributes
    ----------
    array_cycles_over_floor
        Maximum of ``array_cycles - floor_cycles``. It holds where the program has one GEMM and the accumulator has
        room for all sums: elsewhere the array may wait for memory.
    prediction_error
        Maximum error of ``predicted_cycles``, relative to ``cycles``, of runs without random stalls, which the
        timeline does not model. Not checked if None.
    baseline
        File beside the list with the maximum of ``cycles`` of single runs, see :func:`load_baseline`. Without one,
        cycles are not bounded.
    prediction_cycles
        Error in cycles that is good whatever part of ``cycles`` it is.
    """

    array_cycles_over_floor: Annotated[int, Field(ge=0)] = 8
    prediction_error: Annotated[float, Field(gt=0)] | None = None
    baseline: str = ""
    prediction_cycles: Annotated[int, Field(ge=0)] = 0


class ListedRun(StrictModel):
    """One run of a list.

    Attributes
    ----------
    shape
        The GEMM, as ``"MxKxN"``.
    form, interval, seed
        See :class:`cosim.records.gemm.GemmRequest`.
    latency_cycles
        Latency of the memory, in place of that of the configuration.
    """

    shape: GemmShape
    form: Form = "nn"
    interval: Interval = 1
    latency_cycles: int | None = None
    seed: Seed = 0


class RunList(StrictModel):
    """Runs on one die.

    Attributes
    ----------
    configuration
        Configuration keys of the die and its memory, as a table or a list of ``KEY=VALUE``.
    runs
        The runs.
    """

    configuration: Configuration
    runs: Annotated[tuple[ListedRun, ...], Field(min_length=1)]


class Regression(StrictModel):
    """A matrix of runs: every configuration with every data type, shape, form, interval, stall and seed; and lists.

    Attributes
    ----------
    configurations
        Configuration keys of a die and its memory, each as a table or a list of ``KEY=VALUE``.
    dtypes
        Data types; without any, those of the configurations.
    shapes
        GEMMs, each as ``"MxKxN"``.
    forms, intervals, stalls, seeds, operands, sim
        See :class:`cosim.records.gemm.GemmRequest`. ``operands`` and ``sim`` hold for the lists, too.
    lists
        Further runs, each with values of its own.
    bounds
        What every run has to meet.
    """

    configurations: Annotated[tuple[Configuration, ...], Field(min_length=1)] = ({},)
    dtypes: tuple[Dtype, ...] = ()
    shapes: tuple[GemmShape, ...] = ()
    forms: Annotated[tuple[Form, ...], Field(min_length=1)] = ("nn",)
    intervals: Annotated[tuple[Interval, ...], Field(min_length=1)] = (1,)
    stalls: Annotated[tuple[float, ...], Field(min_length=1)] = (0.0,)
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    lists: tuple[RunList, ...] = ()
    operands: Operands = "normal"
    sim: str = "icarus"
    bounds: Bounds = Field(default_factory=Bounds)


def load_regression(path: Path) -> Regression:
    """Read a regression from a TOML file. Raises ValueError with one line if anything in it is wrong."""
    try:
        regression = Regression.model_validate(_tuples(_values(path)))
    except ValidationError as error:
        raise ValueError(f"{path}: {_refusal(error)}") from None
    if not regression.shapes and not regression.lists:
        raise ValueError(f"{path}: it has no runs: shapes and lists are empty")
    return regression


def with_seed(regression: Regression, seed: int) -> Regression:
    """The regression with one seed for all runs, those of its lists included."""
    lists = tuple(
        listed.model_copy(
            update={"runs": tuple(run.model_copy(update={"seed": seed}) for run in listed.runs)}
        )
        for listed in regression.lists
    )
    return regression.model_copy(update={"seeds": (seed,), "lists": lists})


def load_baseline(regression: Regression, path: Path) -> dict[str, int]:
    """The most cycles of runs by their names, from the baseline of the regression in ``path``; empty without one.

    The file is TOML with the table ``cycles``. Runs that it does not name have no bound.

    Raises
    ------
    ValueError
        With one line if anything in the file is wrong.
    OSError
        If it cannot be read.
    """
    if not regression.bounds.baseline:
        return {}
    file = path.parent / regression.bounds.baseline
    try:
        return _Baseline.model_validate(_values(file)).cycles
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{file}: {refusal(first, _Baseline, show=show_value)}") from None


class _Baseline(StrictModel):
    """The file of a baseline: cycles of runs by their names."""

    cycles: dict[str, Annotated[int, Field(gt=0)]]


def _values(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a TOML file: byte {error.start} is not UTF-8") from None
    except ValueError as error:
        raise ValueError(f"{path}: not valid TOML: {error}") from None


def _tuples(value: Any) -> Any:
    """The value with tuples for lists: strict models accept no list for a tuple."""
    if isinstance(value, Mapping):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _refusal(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    if first["loc"][0] == "configurations" and len(first["loc"]) > 1:
        # Pydantic names every form that the configuration does not have: one line names those that there are.
        first["loc"] = first["loc"][:2]
        first["type"] = "configuration"
        first["msg"] = "must be a table of configuration keys, or a list of KEY=VALUE"
    return refusal(first, Regression, show=show_value)
