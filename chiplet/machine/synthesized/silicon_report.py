"""A silicon report: what ``hecaton synth`` measured of a die, read as a calibration is.

It speaks of dies with its data type, stages, queues, memory words and vector lanes, and of any rows and columns: their
clock, the area of their logic, and the energies that somebody added to it. It has no SRAM, router or PHY area.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import version
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from chiplet.machine.base import StrictModel
from chiplet.machine.configuration_keys import check_digests, section_digest, section_digests, split_digests
from chiplet.machine.link_rate import link_rate
from chiplet.machine.specs import DieSpec, MemorySpec, SystemSpec, function_lanes, vector_lanes
from chiplet.machine.synthesized.report_fields import (
    Positive,
    ReportedBlock,
    ReportedConditions,
    SiliconEnergies,
    as_read,
    floats,
)
from chiplet.machine.vector_specs import VectorSpec

__all__ = [
    "AREA_KEYS",
    "ENERGY_KEYS",
    "GIVEN_KEYS",
    "SiliconReport",
    "keys_of_logic",
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

_MEASURED = (
    *(
        "design",
        "hecaton_version",
        "libraries",
        "period_ps",
        "area_um2",
        "blocks",
        "assumptions",
    ),
    *("yosys", "opensta"),
)
"""What was measured, and how: the fields of one digest."""

_SCALED = (
    *("rows", "cols", "weight_bytes", "activation_bytes", "accumulator_bytes", "scratchpad_bytes"),
    *("clock_hz", "sram"),
)
"""Keys of the section die that a report speaks of whatever they are."""


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
    libraries: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    period_ps: Positive
    area_um2: Positive
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
            value = as_read(value)
        value, said = split_digests(value)
        read = handler(value)
        digests = read.digests
        check_digests(
            {name: said[name] for name in said if name != "measured"}, digests, what="the file", whose="it"
        )
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
        kept = as_read(result)
        return section_digest({key: floats(kept[key]) for key in _MEASURED})

    @cached_property
    def digest(self) -> str:
        """Of all that is read: what results say."""
        return section_digest(self)

    def check_blocks(self) -> None:
        """Raise ``ValueError``, in one line, if the numbers of its blocks do not make the die, or cannot be scaled."""
        rows, cols = self.die.rows, self.die.cols
        for block in self.blocks:
            numbers = block.numbers
            there = (
                numbers.per_die
                + numbers.per_row * rows
                + numbers.per_column * cols
                + numbers.per_pe * rows * cols
            )
            if there != block.count or numbers.in_vector_unit > numbers.per_die:
                raise ValueError(
                    f"the numbers of {block.block[:60]} make {there} in its die, not {block.count}"
                )
        area = sum(block.count * block.area_um2 for block in self.blocks)
        if abs(area - self.area_um2) > 1e-3 * self.area_um2:
            raise ValueError(f"its blocks have {area:.6g} um2 together, not area_um2 = {self.area_um2:.6g}")
        unscaled = sum(block.count * block.area_um2 for block in self.blocks if not block.numbers.scales)
        if unscaled > MOST_UNSCALED * area:
            raise ValueError(
                f"{unscaled / area:.1%} of its area are blocks whose number in other dies is not known: rows and "
                "columns must be powers of two from 2 on"
            )

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
        return keys_of_logic(self.die, self.memory, self.vector)

    def refusal(self, system: SystemSpec) -> tuple[str, Any, Any] | None:
        """The first key in which the die of ``system`` differs, its value in the report and there; None if none."""
        asked_for = keys_of_logic(system.die, system.memory, system.vector)
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
        return GIVEN_KEYS + tuple(
            f"energy.{key}" for key in ENERGY_KEYS if getattr(self.energies, key) is not None
        )


def keys_of_logic(die: DieSpec, memory: MemorySpec, vector: VectorSpec) -> dict[str, Any]:
    """What the cells of a die depend on besides its rows, columns and buffers."""
    keys: dict[str, Any] = {
        f"die.{name}": getattr(die, name) for name in DieSpec.model_fields if name not in _SCALED
    }
    keys |= {"memory.word_bytes": memory.word_bytes, "memory.outstanding": memory.outstanding}
    if die.dtype == "bf16":  # others have no vector unit
        keys["vector.lanes"] = vector_lanes(vector, memory)
        keys["vector.function_lanes"] = function_lanes(vector, memory)
        keys["vector.multiplier_stages"] = vector.multiplier_stages
        keys["vector.function_stages"] = vector.function_stages
    return keys
