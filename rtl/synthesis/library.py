"""A cell library for synthesis: several Liberty files of one corner as one, without what synthesis does not read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rtl.synthesis.liberty import Group, LibertyError, read_liberty

__all__ = ["Cell", "Library", "load_library"]

UNREAD = frozenset(
    {
        *("internal_power", "leakage_power", "power_lut_template", "dynamic_current", "leakage_current"),
        *(
            "normalized_driver_waveform",
            "output_current_rise",
            "output_current_fall",
            "output_current_template",
        ),
        *("receiver_capacitance", "receiver_capacitance1_rise", "receiver_capacitance1_fall"),
        *("receiver_capacitance2_rise", "receiver_capacitance2_fall", "dc_current", "output_voltage_rise"),
        *("output_voltage_fall", "propagated_noise_high", "propagated_noise_low", "ccsn_first_stage"),
        *(
            "ccsn_last_stage",
            "operating_conditions",
            "wire_load",
            "wire_load_table",
            "wire_load_selection",
            "pg_pin",
            "test_cell",
        ),
    }
)
"""Groups that neither mapping nor timing reads: power, noise, current sources, and wires."""

SAME = (
    *("time_unit", "capacitive_load_unit", "nom_voltage", "nom_temperature", "nom_process"),
    *("input_threshold_pct_rise", "input_threshold_pct_fall", "output_threshold_pct_rise"),
    *("output_threshold_pct_fall", "slew_lower_threshold_pct_rise", "slew_upper_threshold_pct_rise"),
)
"""Attributes in which all files must agree: units, corner, and how times are measured."""

TEMPLATES = ("lu_table_template",)
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12, "fs": 1e-15}
FARADS = {"f": 1.0, "mf": 1e-3, "uf": 1e-6, "nf": 1e-9, "pf": 1e-12, "ff": 1e-15}

DRIVEN_INPUTS = 4
"""Inputs of flip-flops that an output of a block is taken to drive while it is mapped."""

Kind = Literal["logic", "flip-flop", "latch", "other"]


@dataclass(frozen=True)
class Cell:
    """A cell of a library.

    Attributes
    ----------
    name
        Its name.
    area
        As the library states it: by convention in um2.
    kind
        ``logic`` without memory, ``flip-flop``, ``latch``, or ``other``, such as a clock gate.
    inputs
        Capacitance of each input in fF.
    outputs
        Function of each output, empty if none is stated.
    """

    name: str
    area: float
    kind: Kind
    inputs: dict[str, float]
    outputs: dict[str, str]

    def function(self) -> str:
        """The function of a cell of one output, without spaces and outer parentheses; empty for others."""
        if len(self.outputs) != 1:
            return ""
        (function,) = self.outputs.values()
        text = re.sub(r"\s", "", function)
        while text.startswith("(") and text.endswith(")") and ")" not in text[1:-1]:
            text = text[1:-1]
        return text


@dataclass(frozen=True)
class Library:
    """Cells of one corner.

    Attributes
    ----------
    names
        Names of the libraries that it is made of.
    cells
        Cells by name.
    voltage, temperature
        Of its corner, in V and degrees Celsius.
    text
        All cells as one Liberty library.
    flip_flop_text
        The flip-flops without their tables, as another one.
    """

    names: tuple[str, ...]
    cells: dict[str, Cell]
    voltage: float
    temperature: float
    text: str = field(repr=False)
    flip_flop_text: str = field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def flip_flop(self) -> Cell:
        """The smallest flip-flop, whose input stands for what a block drives."""
        return min(self._of("flip-flop"), key=lambda cell: (cell.area, cell.name))

    def inverter(self) -> Cell:
        """The inverter whose input is nearest to :attr:`load_ff`: it stands for what drives a block."""
        inverters = [cell for cell in self._of("logic") if _is_inverter(cell)]
        return min(inverters, key=lambda cell: (abs(sum(cell.inputs.values()) - self.load_ff), cell.name))

    @property
    def load_ff(self) -> float:
        """What an output of a block drives, in fF: :data:`DRIVEN_INPUTS` inputs of the smallest flip-flop."""
        return DRIVEN_INPUTS * max(self.flip_flop().inputs.values())

    def constant(self, value: Literal["0", "1"]) -> tuple[str, str] | None:
        """Cell and pin that give a constant; None if the library has none."""
        for cell in sorted(self._of("logic"), key=lambda cell: (cell.area, cell.name)):
            if not cell.inputs and cell.function() == value:
                return cell.name, next(iter(cell.outputs))
        return None

    def _of(self, kind: Kind) -> list[Cell]:
        return [cell for cell in self.cells.values() if cell.kind == kind]


def _is_inverter(cell: Cell) -> bool:
    if len(cell.inputs) != 1:
        return False
    (pin,) = cell.inputs
    return cell.function() in (f"!{pin}", f"{pin}'", f"(!{pin})")


def load_library(paths: Sequence[Path]) -> Library:
    """The cells of several Liberty files, which may be compressed with gzip, as one library.

    Cells that their file marks as not to be used are left out.

    Raises
    ------
    LibertyError
        If a file is no Liberty library, two files have different units or corners or a cell in common, or there is no
        flip-flop or no inverter.
    OSError
        If a file cannot be read.
    """
    if not paths:
        raise LibertyError("no Liberty file: must be at least one")
    groups = [read_liberty(path, without=UNREAD) for path in paths]
    for path, group in zip(paths, groups, strict=True):
        _check_same(paths[0], groups[0], path, group)
    head = groups[0]
    # Wires are none, and the conditions are those that the cells were measured at.
    unread = ("default_wire_load", "default_operating_conditions")
    statements = [text for text in head.statements if not text.startswith(unread)]
    merged = Group("library", head.name, statements)
    merged.groups += [group for group in head.groups if group.kind not in (*TEMPLATES, "cell")]
    templates = _merge_templates(groups)
    cells: dict[str, Cell] = {}
    kept: list[Group] = []
    homes: dict[str, Path] = {}
    farads = _load_unit(head, paths[0])
    _time_unit(head, paths[0])
    for path, group in zip(paths, groups, strict=True):
        for cell in group.inner("cell"):
            if cell.name in homes:
                raise LibertyError(
                    f"{path}: cell {cell.name}: is in {homes[cell.name]} too: must be in one file"
                )
            homes[cell.name] = path
            if cell.value("dont_use") == "true":
                continue
            cells[cell.name] = _cell(cell, farads, path)
            kept.append(cell)
    merged.groups += [*templates, *kept]
    library = Library(
        names=tuple(group.name for group in groups),
        cells=cells,
        voltage=float(head.value("nom_voltage") or "nan"),
        temperature=float(head.value("nom_temperature") or "nan"),
        text=merged.text() + "\n",
        flip_flop_text=_flip_flops(head, kept),
    )
    what = ", ".join(map(str, paths))
    if not any(cell.kind == "flip-flop" for cell in cells.values()):
        raise LibertyError(f"{what}: no flip-flop among {len(cells)} cells: must have one")
    if not any(_is_inverter(cell) for cell in cells.values()):
        raise LibertyError(f"{what}: no inverter among {len(cells)} cells: must have one")
    return library


def _check_same(first: Path, head: Group, path: Path, group: Group) -> None:
    for name in SAME:
        ours, theirs = _plain(head.value(name)), _plain(group.value(name))
        if ours != theirs:
            raise LibertyError(
                f"{path}: {name} = {theirs}, but {ours} in {first}: files must be of one corner"
            )


def _plain(value: str | None) -> str | None:
    """A value without spaces, numbers in one form."""
    if value is None:
        return None
    parts = [part.strip().lower() for part in value.split(",")]
    return ",".join(f"{float(part):g}" if re.fullmatch(r"-?[\d.]+", part) else part for part in parts)


def _merge_templates(groups: Sequence[Group]) -> list[Group]:
    """The templates of all files. One that an earlier file has otherwise gets another name, where it is used too."""
    merged: dict[str, Group] = {}
    for number, group in enumerate(groups):
        renamed: dict[str, str] = {}
        for template in group.inner(*TEMPLATES):
            there = merged.get(template.name)
            if there is not None and there != template:
                renamed[template.name] = f"{template.name}_file{number}"
                template.name = renamed[template.name]
            merged.setdefault(template.name, template)
        if renamed:
            _rename_tables(group, renamed)
    return list(merged.values())


def _rename_tables(group: Group, names: dict[str, str]) -> None:
    for inner in group.groups:
        if inner.kind not in TEMPLATES:
            inner.name = names.get(inner.name, inner.name) if not inner.groups else inner.name
            _rename_tables(inner, names)


def _cell(group: Group, farads: float, path: Path) -> Cell:
    try:
        area = float(group.value("area") or "0")
        pins = list(group.inner("pin", "bus"))
        inputs = {
            pin.name: float(pin.value("capacitance") or "0") * farads / FARADS["ff"]
            for pin in pins
            if pin.value("direction") == "input"
        }
    except ValueError as error:
        raise LibertyError(f"{path}: cell {group.name}: {error}") from None
    outputs = {pin.name: pin.value("function") or "" for pin in pins if pin.value("direction") == "output"}
    return Cell(group.name, area, _kind(group), inputs, outputs)


def _kind(group: Group) -> Kind:
    for kind, groups in (("flip-flop", ("ff", "ff_bank")), ("latch", ("latch", "latch_bank"))):
        if any(group.inner(*groups)):
            return kind  # type: ignore[return-value]
    if any(group.inner("statetable")) or group.value("clock_gating_integrated_cell"):
        return "other"
    return "logic"


def _flip_flops(head: Group, cells: Sequence[Group]) -> str:
    """The flip-flops with pins and functions only, which is what Yosys looks for."""
    slim = Group("library", head.name)
    for cell in cells:
        if _kind(cell) == "flip-flop":
            pins = [Group(pin.kind, pin.name, pin.statements) for pin in cell.inner("pin")]
            slim.groups.append(Group("cell", cell.name, cell.statements, [*cell.inner("ff"), *pins]))
    return slim.text() + "\n"


def _time_unit(head: Group, path: Path) -> float:
    """Seconds of the unit of time."""
    found = re.fullmatch(r"(\d+)([munpf]?s)", (head.value("time_unit") or "1ns").lower())
    if found is None:
        raise LibertyError(f"{path}: time_unit = {head.value('time_unit')}: must be such as 1ns or 10ps")
    return int(found[1]) * SECONDS[found[2]]


def _load_unit(head: Group, path: Path) -> float:
    """Farads of the unit of capacitance."""
    found = re.fullmatch(
        r"([\d.]+),([munpf]?f)", (head.value("capacitive_load_unit") or "1,pf").lower().replace(" ", "")
    )
    if found is None:
        raise LibertyError(
            f"{path}: capacitive_load_unit = {head.value('capacitive_load_unit')}: must be such as 1,pf or 1,ff"
        )
    return float(found[1]) * FARADS[found[2]]
