"""The runs of a regression: its matrix and its lists as requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from chiplet.layout.block_sizes import Form
from chiplet.machine.config import load_system
from chiplet.machine.configuration_keys import to_toml_value
from chiplet.machine.specs import SystemSpec
from cosim.program.gemm import GemmProgram
from cosim.records.gemm import GemmRequest, gemm_request
from cosim.regress.matrix import Regression
from cosim.run.gemm import prepare
from rtl.interface.isa import Opcode

__all__ = ["GemmCase", "cases", "everything_fits"]


@dataclass(frozen=True)
class GemmCase:
    """One run of a regression.

    Attributes
    ----------
    name
        Text that identifies the run.
    request
        What to run.
    fits
        Whether the array starts when all operands are there, and never waits: see :func:`everything_fits`.
    """

    name: str
    request: GemmRequest
    fits: bool


def cases(
    regression: Regression,
    *,
    config: Path | None = None,
    overrides: Sequence[str] = (),
    preset: str = "bench",
    source: str = "",
) -> list[GemmCase]:
    """Return the runs of a regression, without duplicates, those of one die together.

    The configuration of a die starts from ``preset``, ``config`` and ``overrides``; messages name the
    regression ``source``.

    Raises
    ------
    ValueError
        If a configuration is wrong, the simulator is unknown, or a shape does not fit a die.
    """
    by_request: dict[GemmRequest, GemmCase] = {}
    for index, configuration in enumerate(regression.configurations):
        keys = list(_assignments(configuration))
        for dtype in regression.dtypes or (None,):
            assignments = [*keys, f"die.dtype={dtype}"] if dtype else keys
            try:
                system = load_system(config, [*overrides, *assignments], preset=preset)
                for case in _cases_of(regression, system, keys):
                    by_request.setdefault(case.request, case)
            except ValueError as error:
                raise ValueError(f"{source}: configurations.{index}: {error}") from None
    for index, listed in enumerate(regression.lists):
        keys = list(_assignments(listed.configuration))
        for number, run in enumerate(listed.runs):
            latency = [] if run.latency_cycles is None else [f"memory.latency_cycles={run.latency_cycles}"]
            try:
                system = load_system(config, [*overrides, *keys, *latency], preset=preset)
                case = _case(
                    regression,
                    system,
                    [*keys, *latency],
                    shape=run.shape,
                    form=run.form,
                    interval=run.interval,
                    stall=0.0,
                    seed=run.seed,
                )
            except ValueError as error:
                raise ValueError(f"{source}: lists.{index}: runs.{number}: {error}") from None
            by_request.setdefault(case.request, case)
    return list(by_request.values())


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
    for shape, form, interval, stall, seed in product(
        regression.shapes, regression.forms, regression.intervals, regression.stalls, regression.seeds
    ):
        yield _case(
            regression, system, keys, shape=shape, form=form, interval=interval, stall=stall, seed=seed
        )


def _case(
    regression: Regression,
    system: SystemSpec,
    keys: Sequence[str],
    *,
    shape: str,
    form: Form,
    interval: int,
    stall: float,
    seed: int,
) -> GemmCase:
    die = system.die
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
        interval=interval,
        operands=regression.operands,
        sim=regression.sim,
    )
    always_named = ("die.rows", "die.cols", "die.dtype")
    others = [key.replace(" ", "") for key in keys if key.partition("=")[0].strip() not in always_named]
    name = [f"{die.rows}x{die.cols}", die.dtype, *others, shape, form]
    if interval > 1:
        name.append(f"interval={interval}")
    name += [f"stall={stall:g}", f"seed={seed}"]
    return GemmCase(" ".join(name), request, everything_fits(prepare(request).program))


def everything_fits(program: GemmProgram) -> bool:
    """Whether each operand is one block and the accumulator has room for all sums: the array never waits."""
    gemms = [command.fields for command in program.commands if command.opcode == Opcode.GEMM]
    return len(gemms) == 1 and gemms[0]["panels"] <= program.tiling.slots
