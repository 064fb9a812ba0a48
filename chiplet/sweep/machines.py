"""Machines and jobs of the outer axes of a sweep: one row for each combination.

Rows that differ in numbers only become one :class:`chiplet.step.jobs.Jobs` of arrays. Rows that differ in anything
else (model, method, switches, data type, package) go into separate ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from chiplet.machine.base import refusal
from chiplet.machine.calibration import Calibration
from chiplet.machine.config import read_memory_preset
from chiplet.machine.configuration_keys import values_by_name
from chiplet.machine.silicon.stage_clock import FOLLOWS_STAGES
from chiplet.machine.specs import DieSpec, SystemSpec
from chiplet.machine.synthesized.chosen_report import report_for
from chiplet.machine.synthesized.silicon_report import SiliconReport
from chiplet.methods.registry import make_switches, method_type
from chiplet.projection.job import DEFAULT_GLOBAL_BATCH, StepRequest, check_length, default_length, gemm_terms
from chiplet.step.jobs import Jobs
from chiplet.sweep.axes import JOB_KEYS, has_switch, mesh_of
from chiplet.vectorized.elementwise import combinations
from chiplet.vectorized.meshes import Meshes
from chiplet.workload.llm import load_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chiplet.sweep.axes import Sweep


NUMBERS = ("global_batch", "sequence_length", "mini_batch")
"""Optional numbers of the job. With several packages rows that differ in them are separate."""

SEPARATING = ("die.stages",)
"""Numbers whose values separate rows."""


@dataclass(frozen=True)
class Column:
    """Values of one name: row i has ``values[place[i]]``."""

    values: tuple[Any, ...]
    place: NDArray[np.intp]

    def array(self) -> NDArray[Any]:
        """The values as an array of one column: floats, or objects if not all are numbers."""
        numbers = all(isinstance(value, (int, float)) for value in self.values)
        distinct = np.empty(len(self.values), dtype=np.float64 if numbers else object)
        distinct[:] = self.values
        return distinct[self.place][:, None]

    def at(self, row: int) -> Any:
        """The value of one row."""
        return self.values[self.place[row]]


@dataclass(frozen=True)
class AlikeRows:
    """Rows that differ in numbers only, and their machines."""

    rows: NDArray[np.intp]
    jobs: Jobs


class SweepRows:
    """Combinations ``first`` up to ``stop`` (not included) of the outer axes of ``sweep``."""

    def __init__(
        self,
        sweep: Sweep,
        first: int,
        stop: int,
        calibration: Calibration | None = None,
        silicon: Sequence[SiliconReport] = (),
    ) -> None:
        self._sweep, self._calibration, self._silicon = sweep, calibration, silicon
        self.count = stop - first
        self.columns: dict[str, Column] = {}
        quotient = np.arange(first, stop)
        for axis in reversed(sweep.outer):
            quotient, place = np.divmod(quotient, len(axis.values))
            for name, values in zip(axis.names, zip(*axis.values, strict=True), strict=True):
                self.columns[name] = Column(tuple(values), place)
        self.refused: dict[int, str] = {}
        """Rows without a machine, and why."""
        self._specs: dict[str, Column] = {}
        self._keys: dict[str, Column] = {}
        for section in SystemSpec.model_fields:
            self._section(section)
        self._check_words()
        meshes = self.columns["mesh"]
        self._meshes = Column(tuple(map(mesh_of, meshes.values)), meshes.place)

    @property
    def values(self) -> dict[str, Any]:
        """Everything that constraints may refer to: arrays of one column, or values that all rows have in common."""
        dies = Column(tuple(rows * cols for rows, cols in self._meshes.values), self._meshes.place)
        columns = {**self._keys, "dies": dies, **self.columns}
        return values_by_name(self._sweep.base) | {
            name: column.values[0] if len(column.values) == 1 else column.array()
            for name, column in columns.items()
        }

    def wanted(self) -> NDArray[np.bool_]:
        """Rows that do not repeat another one, with another value of a switch that the method does not have."""
        wanted = np.full(self.count, True)
        methods = self.columns["method"]
        for axis in self._sweep.outer:
            for number, name in enumerate(axis.names):
                if name.startswith("switches."):
                    there = np.array([has_switch(method, name) for method in methods.values])
                    first = np.array([value[number] == axis.values[0][number] for value in axis.values])
                    wanted &= there[methods.place] | first[self.columns[name].place]
        return wanted

    def alike(self, wanted: NDArray[np.bool_], inner: Mapping[str, Any]) -> Iterator[AlikeRows]:
        """The ``wanted`` rows that have a machine; arrays in ``inner`` replace the keys of their names."""
        for row in self._lengths_refused():
            self.refused.setdefault(*row)
        keep = wanted.copy()
        keep[list(self.refused)] = False
        rows = np.flatnonzero(keep)
        for alike in self._split(rows):
            try:
                for report, fitting in self._synthesized(self._calibrated(alike)):
                    yield self._alike_rows(fitting, inner, report)
            except ValueError as refusal:
                self.refused.update(dict.fromkeys(alike.tolist(), str(refusal)))

    def system(self, row: int) -> SystemSpec:
        """The machine of one row."""
        return self._sweep.base.model_copy(
            update={name: column.at(row) for name, column in self._specs.items()}
        )

    def asks(self, key: str, inner: Mapping[str, Any]) -> bool:
        """Whether the configuration key varies."""
        return key in self._keys or key in inner

    def request(self, row: int, system: SystemSpec) -> StepRequest:
        """The request for the projection of one row on ``system``."""
        chosen = {name: self.columns[name].at(row) for name in JOB_KEYS}
        return StepRequest(
            system=system, **{**chosen, "mesh": self._meshes.at(row), "switches": self._switches(row)}
        )

    def _section(self, section: str) -> None:
        """Check every combination of the section's keys that occurs."""
        columns = {
            name: column
            for name, column in self.columns.items()
            if name.partition(".")[0] == section and name not in JOB_KEYS
        }
        if not columns:
            return
        first, place = combinations([column.place for column in columns.values()])
        base = getattr(self._sweep.base, section)
        given_by_base = vars(base)
        if section == "die" and self._sweep.clock_follows_stages:
            given_by_base = {**given_by_base, "clock_hz": FOLLOWS_STAGES}
        specs: list[Any] = []
        given: list[dict[str, Any]] = []
        for row in first.tolist():
            keys = {name.partition(".")[2]: column.at(row) for name, column in columns.items()}
            if keys.get("preset"):
                keys = {**read_memory_preset(keys["preset"]).values["memory"], **keys}
            given.append(keys)
            try:
                specs.append(type(base).model_validate({**given_by_base, **keys}))
            except ValidationError as error:
                specs.append(refusal(error, type(base)))
        for number, spec in enumerate(specs):
            if isinstance(spec, str):
                for row in np.flatnonzero(place == number).tolist():
                    self.refused.setdefault(row, spec)
        self._specs[section] = Column(tuple(specs), place)
        for name in dict.fromkeys(name for keys in given for name in keys):
            values = tuple(keys.get(name, getattr(base, name)) for keys in given)
            self._keys[f"{section}.{name}"] = Column(values, place)

    def _check_words(self) -> None:
        """Refuse machines whose sections do not agree, once for each combination that occurs."""
        varied = [
            column for name, column in self._specs.items() if name in ("die", "nop", "memory", "vector")
        ]
        first, place = combinations([column.place for column in varied])
        for number, row in enumerate(first.tolist()):
            if not any(isinstance(column.at(row), str) for column in varied):
                try:
                    self.system(row).check_words()
                except ValueError as error:
                    for same in np.flatnonzero(place == number).tolist():
                        self.refused.setdefault(same, str(error))

    def _lengths_refused(self) -> Iterator[tuple[int, str]]:
        models, lengths = self.columns["model"], self.columns["sequence_length"]
        for number, model in enumerate(models.values):
            for place, length in enumerate(lengths.values):
                try:
                    check_length(load_model(model), length)
                except ValueError as refusal:
                    same = (models.place == number) & (lengths.place == place)
                    yield from ((row, str(refusal)) for row in np.flatnonzero(same).tolist())

    def _split(self, rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
        """Split ``rows`` by everything that separates them."""
        separating = []
        for name, column in (self.columns | self._keys).items():
            if name == "mesh" or (len(column.values) == 1):
                continue
            if name in NUMBERS and not self._sweep.several_packages:
                labels: list[Any] = [value is None for value in column.values]
            elif name in NUMBERS or self._separates(name, column):
                labels = list(map(str, column.values))
            else:
                continue
            _, number_of_label = np.unique(labels, return_inverse=True)
            separating.append(number_of_label[column.place[rows]])
        first, place = combinations(separating or [np.zeros(len(rows))])
        for number in range(len(first)):
            yield rows[place == number]

    @staticmethod
    def _separates(name: str, column: Column) -> bool:
        """Whether different values of this name separate rows."""
        return name in SEPARATING or name.startswith("parallel.") or not _numbers(column.values)

    def _alike_rows(
        self, rows: NDArray[np.intp], inner: Mapping[str, Any], report: SiliconReport | None
    ) -> AlikeRows:
        row = int(rows[0])
        system, calibration = self._sweep.base, self._calibration
        if calibration is not None and self.asks("link.router_cycles", inner):
            # The swept values, not the measured one.
            calibration = calibration.model_copy(update={"nop": None})
        first = system.model_copy(update={name: column.at(row) for name, column in self._specs.items()})
        if calibration is not None:
            if report is not None and self.asks("silicon.period_factor", inner):
                # The goodput of links was measured at one clock.
                calibration = calibration.model_copy(update={"link": None})
            clocked = first if report is None else report.applied(first)
            link = calibration.applied(clocked).link
            measured = {name: getattr(link, name) for name in ("router_cycles", "goodput")}
            first = first.model_copy(update={"link": first.link.model_copy(update=measured)})
        arrays = {
            name: column.array()[rows]
            for name, column in self._keys.items()
            if not self._separates(name, column)
        }
        system = varied(first, {**arrays, **inner})
        if report is not None:
            system = report.applied(system)
        model = load_model(self.columns["model"].at(row))
        method = method_type(self.columns["method"].at(row))
        sides = np.array(self._meshes.values, dtype=np.float64)[self._meshes.place[rows]]
        meshes = Meshes(sides[:, :1], sides[:, 1:])
        instance = method(
            model, meshes, make_switches(method.name, self._switches(row)), first.die.element_bytes
        )
        return AlikeRows(
            rows,
            Jobs(
                len(rows),
                instance,
                system,
                gemm_terms(calibration),
                self._number("global_batch", rows, DEFAULT_GLOBAL_BATCH),
                self._number("sequence_length", rows, default_length(model)),
                self._number("mini_batch", rows, None),
                self.columns["optimizer"].at(row),
            ),
        )

    def _calibrated(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of ``rows`` with the die of the calibration; the others are refused."""
        if self._calibration is None:
            return rows
        dies = self._specs.get("die", Column((self._sweep.base.die,), np.zeros(self.count, dtype=np.intp)))
        keep = np.full(len(rows), True)
        for number, die in enumerate(dies.values):
            if isinstance(die, DieSpec):
                try:
                    self._calibration.check_die(die)
                except ValueError as refusal:
                    other = dies.place[rows] == number
                    keep &= ~other
                    self.refused.update(dict.fromkeys(rows[other].tolist(), str(refusal)))
        kept: NDArray[np.intp] = rows[keep]
        return kept

    def _synthesized(self, rows: NDArray[np.intp]) -> Iterator[tuple[SiliconReport | None, NDArray[np.intp]]]:
        """``rows`` by the silicon report of their dies; those that none speaks of are refused."""
        if not self._silicon or not len(rows):
            if len(rows):
                yield None, rows
            return
        columns = [column for name, column in self._specs.items() if name in ("die", "memory", "vector")]
        first, place = combinations([column.place[rows] for column in columns] or [np.zeros(len(rows))])
        number = np.full(len(first), -1)
        for one, row in enumerate(first.tolist()):
            try:
                report = report_for(self._silicon, self.system(int(rows[row])))
            except ValueError as refusal:
                self.refused.update(dict.fromkeys(rows[place == one].tolist(), str(refusal)))
            else:
                number[one] = next(at for at, other in enumerate(self._silicon) if other is report)
        for at, report in enumerate(self._silicon):
            fitting: NDArray[np.intp] = rows[number[place] == at]
            if len(fitting):
                yield report, fitting

    def _number(self, name: str, rows: NDArray[np.intp], default: int | None) -> Any:
        column = self.columns[name]
        first = column.at(int(rows[0]))
        if first is None or self._sweep.several_packages:
            return default if first is None else first
        return Column(tuple(value or 0 for value in column.values), column.place[rows]).array()

    def _switches(self, row: int) -> dict[str, Any]:
        """The switches of the row's method."""
        method = self.columns["method"].at(row)
        return {
            name.rpartition(".")[2]: column.at(row)
            for name, column in self.columns.items()
            if name.startswith("switches.") and has_switch(method, name)
        }


def _numbers(values: tuple[Any, ...]) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def varied(system: SystemSpec, arrays: Mapping[str, Any]) -> SystemSpec:
    """``system`` with ``arrays`` in place of the keys of their names: one machine for each element.

    Values are not checked again.
    """
    update: dict[str, Any] = {}
    for name, values in arrays.items():
        section, _, key = name.partition(".")
        update.setdefault(section, {})[key] = values
    return system.model_copy(
        update={section: getattr(system, section).model_copy(update=keys) for section, keys in update.items()}
    )
