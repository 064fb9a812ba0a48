"""A silicon report: what ``hecaton synth`` measured of a die, read as a calibration is.

It speaks of dies with its data type, stages, queues, memory words and vector lanes, and of any rows and columns: their
clock, the area of their logic, and the energies that somebody added to it. It has no SRAM, router or PHY area.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator

from chiplet.machine.base import StrictModel, read_input, refusal
from chiplet.machine.configuration_keys import check_digests, section_digest, section_digests, split_digests
from chiplet.machine.link_rate import link_rate
from chiplet.machine.pipelining import MULTIPLIER_STAGES, SRAM_LATENCY
from chiplet.machine.specs import DieSpec, MemorySpec, SystemSpec, function_lanes, vector_lanes
from chiplet.machine.vector_specs import VectorSpec

__all__ = [
    "ENERGY_KEYS",
    "GIVEN_KEYS",
    "MeasuredEnergy",
    "SiliconReport",
    "check_reports",
    "load_report",
    "report_for",
    "report_names",
]

ENERGY_KEYS = ("mac_pj", "vector_pj", "sram_pj_per_byte")
"""Energies of a report that replace keys of the section energy."""

_HOP_KEYS = ("flit_hop_pj", "link_frame_pj")
"""Energies of a report that come on top of that of the PHY, ``link.pj_per_bit``."""

AREA_KEYS = ("die_um2", "row_um2", "column_um2", "pe_um2", "vector_um2")
"""Keys of the section silicon that a report sets."""

GIVEN_KEYS = ("die.clock_hz", *(f"silicon.{key}" for key in AREA_KEYS))
"""Configuration keys that every report sets."""

MOST_UNSCALED = 0.01
"""Share of the area that may be of blocks whose number in another die is not known: those that only join others."""

_FOLDER = "silicon"

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Area = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0)]


class MeasuredEnergy(StrictModel):
    """The energy of an event in pJ, and where it comes from."""

    value: _Area
    source: Annotated[str, Field(min_length=1)]


class SiliconEnergies(StrictModel):
    """Energies: of a multiply-add, of an operation of a vector lane, of a byte read or written in a buffer, of a flit
    that crosses a router, and of a frame of a link besides its PHY. What is None is not known.
    """

    mac_pj: MeasuredEnergy | None = None
    vector_pj: MeasuredEnergy | None = None
    sram_pj_per_byte: MeasuredEnergy | None = None
    flit_hop_pj: MeasuredEnergy | None = None
    link_frame_pj: MeasuredEnergy | None = None


class ReportedNumbers(StrictModel):
    """A die of R rows and C columns has ``per_die + per_row R + per_column C + per_pe R C`` of a block, unless it does
    not ``scale``.
    """

    per_die: _Count
    per_row: _Count
    per_column: _Count
    per_pe: _Count
    scales: bool
    in_vector_unit: _Count


class ReportedBlock(StrictModel):
    """A block: how often the die of the report has it, and the area of one, um2."""

    block: str
    count: _Count
    numbers: ReportedNumbers
    area_um2: _Area


class ReportedConditions(StrictModel):
    """What the times hold for."""

    sram_output_ps: _Positive
    sram_setup_ps: _Positive
    wires: Literal["none"]
    clock: Literal["ideal"]
    voltage: _Positive
    temperature: Annotated[float, Field(allow_inf_nan=False)]


class ReportedPipelining(StrictModel):
    """Register stages besides those of the adders."""

    sram_latency: int
    multiplier_stages: int


_MEASURED = (
    *("design", "hecaton_version", "pipelining", "libraries", "period_ps", "area_um2", "blocks", "assumptions"),
    *("yosys", "opensta"),
)
"""What was measured, and how: the fields of one digest."""

_SCALED = (
    *("rows", "cols", "weight_bytes", "activation_bytes", "accumulator_bytes", "scratchpad_bytes"),
    *("clock_hz", "sram"),
)
"""Keys of the section die that a report speaks of whatever they are."""

_UNREAD = {
    *("top", "clock_hz", "target_hz", "met", "from_inputs_ps", "to_outputs_ps", "cells", "flip_flops", "latches"),
    *("loops", "sram_bits", "macros", "paths", "modelled", "reused"),
    *("verilog", "constraints", "netlist", "macro_liberty", "report", "picture", "preset"),
}
"""Other keys of ``hecaton synth``, which a projection has no use for."""

_UNREAD_OF_BLOCKS = {"cells", "flip_flops", "total_um2", "period_ps", "from_inputs_ps", "to_outputs_ps"}


class SiliconReport(StrictModel):
    """What ``hecaton synth`` writes of a die, as far as projections read it.

    ``digests`` has those of the sections die, memory and vector, and as ``measured`` that of all other fields but
    ``energies``, which others add: a file that was edited is refused by them. Files without them load.
    """

    design: Literal["die"]
    hecaton_version: str
    die: DieSpec
    memory: MemorySpec
    vector: VectorSpec
    pipelining: ReportedPipelining
    libraries: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    period_ps: _Positive
    area_um2: _Positive
    blocks: Annotated[tuple[ReportedBlock, ...], Field(min_length=1, strict=False)]
    assumptions: ReportedConditions
    yosys: str
    opensta: str
    energies: SiliconEnergies = Field(default_factory=SiliconEnergies)

    @model_validator(mode="wrap")
    @classmethod
    def _is_as_written(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """A report that is read must have the digests of its fields."""
        if isinstance(value, Mapping):
            if value.get("design") == "package":
                raise ValueError("it is of a package: make one of a die, without --package")
            value = _as_read(value)
        value, said = split_digests(value)
        read = handler(value)
        digests = read.digests
        check_digests({name: said[name] for name in said if name != "measured"}, digests, what="the file", whose="it")
        if said.get("measured", digests["measured"]) != digests["measured"]:
            raise ValueError(
                f"it was edited: what it measured has the digest {digests['measured']}, not {said['measured']}"
            )
        read.check_blocks()
        return read

    @property
    def digests(self) -> dict[str, str]:
        """Of the sections of the configuration, and as ``measured`` of what was measured and how."""
        sections = section_digests(self)
        return {**sections, "measured": type(self).measured_digest(self.model_dump(mode="json"))}

    @classmethod
    def measured_digest(cls, result: Mapping[str, Any]) -> str:
        """The digest ``measured`` of the keys of a synthesis, whatever projections may refuse of them."""
        kept = _as_read(result)
        return section_digest({key: _floats(kept[key]) for key in _MEASURED})

    @cached_property
    def digest(self) -> str:
        """Of all that is read: what results say."""
        return section_digest(self)

    def check_blocks(self) -> None:
        """Raise ``ValueError``, in one line, if the numbers of its blocks do not make the die, or cannot be scaled."""
        rows, cols = self.die.rows, self.die.cols
        for block in self.blocks:
            numbers = block.numbers
            there = numbers.per_die + numbers.per_row * rows + numbers.per_column * cols + numbers.per_pe * rows * cols
            if there != block.count or numbers.in_vector_unit > numbers.per_die:
                raise ValueError(f"the numbers of {block.block[:60]} make {there} in its die, not {block.count}")
        area = sum(block.count * block.area_um2 for block in self.blocks)
        if abs(area - self.area_um2) > 1e-3 * self.area_um2:
            raise ValueError(f"its blocks have {area:.6g} um2 together, not area_um2 = {self.area_um2:.6g}")
        unscaled = sum(block.count * block.area_um2 for block in self.blocks if not block.numbers.scales)
        if unscaled > MOST_UNSCALED * area:
            raise ValueError(
                f"{unscaled / area:.1%} of its area are blocks whose number in other dies is not known: rows and columns "
                "must be powers of two"
            )
        made = self.pipelining
        for name, value, counted in (
            ("sram_latency", made.sram_latency, SRAM_LATENCY),
            ("multiplier_stages", made.multiplier_stages, MULTIPLIER_STAGES),
        ):
            if value != counted:
                raise ValueError(f"its die has {name} = {value}: projections count on {counted}")

    @property
    def doubt(self) -> str | None:
        """Why nothing of it counts as measured: another version of Hecaton made the die. None if this one did."""
        if self.hecaton_version == version("hecaton"):
            return None
        return f"of Hecaton {self.hecaton_version[:20]}, not {version('hecaton')}, whose die may be another"

    @property
    def source(self) -> str:
        """Library, corner, assumptions and programs, in words."""
        others = len(self.libraries) - 1
        corner = f"{self.assumptions.voltage:g} V, {self.assumptions.temperature:g} C"
        made = (
            f"hecaton synth of a {self.die.rows}x{self.die.cols} die: {self.libraries[0]}"
            f"{f' and {others} more' if others else ''}, {corner}, Yosys {self.yosys}, OpenSTA {self.opensta}, "
            f"report {self.digest}"
        )
        return made if self.doubt is None else f"{made}, {self.doubt}"

    @property
    def times(self) -> str:
        """What its period assumes, in words."""
        return (
            f"no wires, ideal clock, SRAM assumed with {self.assumptions.sram_output_ps:g} ps to its word and "
            f"{self.assumptions.sram_setup_ps:g} ps set-up"
        )

    def areas(self) -> dict[str, float]:
        """Area of the cells, um2: :data:`AREA_KEYS`, so much a die, a row, a column and a PE without the vector unit,
        and the vector unit.
        """
        area = dict.fromkeys(AREA_KEYS, 0.0)
        for block in self.blocks:
            numbers = block.numbers
            for key, count in zip(
                AREA_KEYS,
                (
                    numbers.per_die - numbers.in_vector_unit,
                    numbers.per_row,
                    numbers.per_column,
                    numbers.per_pe,
                    numbers.in_vector_unit,
                ),
                strict=True,
            ):
                area[key] += count * block.area_um2
        return area

    def speaks_of(self) -> dict[str, Any]:
        """The keys that a die must share with that of the report, and their values."""
        return _keys_of_logic(self.die, self.memory, self.vector)

    def refusal(self, system: SystemSpec) -> tuple[str, Any, Any] | None:
        """The first key in which the die of ``system`` differs, its value in the report and there; None if none."""
        asked_for = _keys_of_logic(system.die, system.memory, system.vector)
        for key, made_for in self.speaks_of().items():
            if asked_for.get(key) != made_for:
                return key, made_for, asked_for.get(key)
        return None

    def applied(self, system: SystemSpec) -> SystemSpec:
        """``system`` with what was measured: clock, areas, and the energies that the report has.

        The factors of the section silicon, 1 by default, take the library's technology to that of ``system``. Numbers
        of ``system`` may be arrays.
        """
        factors = system.silicon
        update: dict[str, Any] = {
            "die": system.die.model_copy(update={"clock_hz": 1e12 / self.period_ps / factors.period_factor}),
            "silicon": factors.model_copy(update=self.areas()),
        }
        energies = {
            key: entry.value * factors.energy_factor
            for key in ENERGY_KEYS
            if (entry := getattr(self.energies, key)) is not None
        }
        if energies:
            update["energy"] = system.energy.model_copy(update=energies)
        system = system.model_copy(update=update)
        flit, frame = (getattr(self.energies, key) for key in _HOP_KEYS)
        if flit is None and frame is None:
            return system
        rate, pico = link_rate(system), 0.0
        if flit is not None:
            pico = flit.value / (8 * rate.flit_bytes)
        if frame is not None:
            pico = pico + frame.value / (8 * rate.frame_bytes)
        # What one data bit takes; the key is of a bit on the wires.
        added = pico * factors.energy_factor / rate.wire_bits
        return system.model_copy(
            update={"link": system.link.model_copy(update={"pj_per_bit": system.link.pj_per_bit + added})}
        )

    def given_keys(self) -> tuple[str, ...]:
        """Configuration keys that it sets."""
        return GIVEN_KEYS + tuple(f"energy.{key}" for key in ENERGY_KEYS if getattr(self.energies, key) is not None)


def _floats(value: Any) -> Any:
    """``value`` with all of its numbers as floats: 0 and 0.0 are one number."""
    if isinstance(value, Mapping):
        return {key: _floats(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_floats(entry) for entry in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_read(value: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a report without those that nobody reads."""
    kept = {key: entry for key, entry in value.items() if key not in _UNREAD}
    if isinstance(kept.get("blocks"), Sequence):
        kept["blocks"] = [
            {key: entry for key, entry in block.items() if key not in _UNREAD_OF_BLOCKS}
            if isinstance(block, Mapping)
            else block
            for block in kept["blocks"]
        ]
    return kept


def _keys_of_logic(die: DieSpec, memory: MemorySpec, vector: VectorSpec) -> dict[str, Any]:
    """What the cells of a die depend on besides its rows, columns and buffers."""
    keys: dict[str, Any] = {
        f"die.{name}": getattr(die, name) for name in DieSpec.model_fields if name not in _SCALED
    }
    keys |= {"memory.word_bytes": memory.word_bytes, "memory.outstanding": memory.outstanding}
    if die.dtype == "bf16":  # others have no vector unit
        keys["vector.lanes"] = vector_lanes(vector, memory)
        keys["vector.function_lanes"] = function_lanes(vector, memory)
    return keys


def report_names() -> list[str]:
    """Names of the reports that come with the package, sorted."""
    folder = resources.files("chiplet") / "presets" / _FOLDER
    return sorted(item.name.removesuffix(".json") for item in folder.iterdir() if item.name.endswith(".json"))


def load_report(name: str | Path) -> SiliconReport:
    """The report that comes with the package under ``name``, or the one in the file at that path.

    Raises ``ValueError``, in one line, if it is missing or broken.
    """
    names = report_names()
    if str(name) in names:
        file = resources.files("chiplet") / "presets" / _FOLDER / f"{name}.json"
        text = file.read_text(encoding="utf-8")
    elif Path(name).suffix != ".json":
        raise ValueError(f"{name}: no silicon report: must be one of {', '.join(names)}, or a JSON file")
    else:
        try:
            text = read_input(Path(name))
        except OSError as error:
            raise ValueError(f"{name}: cannot read the silicon report: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}: not a silicon report: byte {error.start} is not UTF-8") from None
    try:
        return SiliconReport.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{name}: not a silicon report: {refusal(error, SiliconReport)}") from None


def check_reports(reports: Sequence[SiliconReport]) -> None:
    """Raise ``ValueError``, in one line, if two of them are of the same die."""
    for place, report in enumerate(reports):
        for other in reports[:place]:
            if other.speaks_of() == report.speaks_of():
                raise ValueError(
                    f"two silicon reports of dies with die.dtype = {report.die.dtype}, die.stages = "
                    f"{report.die.stages}: give one of them"
                )


def report_for(reports: Sequence[SiliconReport], system: SystemSpec) -> SiliconReport | None:
    """The one of ``reports`` that speaks of the die of ``system``; None if there are none at all.

    Raises ``ValueError``, in one line, if none speaks of it, naming the first key that differs and both values.
    """
    refusals = []
    for report in reports:
        found = report.refusal(system)
        if found is None:
            return report
        refusals.append(found)
    if not refusals:
        return None
    # Of several the nearest: that which differs in a later key.
    order = list(_keys_of_logic(system.die, system.memory, system.vector))
    key = max((found[0] for found in refusals), key=lambda name: order.index(name) if name in order else -1)
    made_for = " or ".join(dict.fromkeys(str(found[1]) for found in refusals if found[0] == key))
    asked_for = next(found[2] for found in refusals if found[0] == key)
    raise ValueError(
        f"the silicon report was made for a die with {key} = {made_for}, not {asked_for}: give a report of this die or "
        "project that one"
    )
