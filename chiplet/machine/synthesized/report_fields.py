"""What a silicon report holds, as far as projections read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from chiplet.machine.base import StrictModel

__all__ = [
    "MeasuredEnergy",
    "Positive",
    "ReportedBlock",
    "ReportedConditions",
    "ReportedNumbers",
    "SiliconEnergies",
    "as_read",
    "floats",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Area = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class MeasuredEnergy(StrictModel):
    """The energy of an event in pJ, and where it comes from."""

    value: Area
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

    per_die: Count
    per_row: Count
    per_column: Count
    per_pe: Count
    scales: bool
    in_vector_unit: Count


class ReportedBlock(StrictModel):
    """A block: how often the die of the report has it, and the area of one, um2."""

    block: str
    count: Count
    numbers: ReportedNumbers
    area_um2: Area


class ReportedConditions(StrictModel):
    """What the times hold for."""

    sram_output_ps: Positive
    sram_setup_ps: Positive
    wires: Literal["none"]
    clock: Literal["ideal"]
    voltage: Positive
    temperature: Annotated[float, Field(allow_inf_nan=False)]


_UNREAD = {
    *(
        "top",
        "clock_hz",
        "target_hz",
        "met",
        "from_inputs_ps",
        "to_outputs_ps",
        "cells",
        "flip_flops",
        "latches",
    ),
    *("loops", "sram_bits", "macros", "paths", "modelled", "reused"),
    *("verilog", "constraints", "netlist", "macro_liberty", "report", "picture", "preset"),
}
"""Other keys of ``hecaton synth``, which a projection has no use for."""

_UNREAD_OF_BLOCKS = {"cells", "flip_flops", "total_um2", "period_ps", "from_inputs_ps", "to_outputs_ps"}


def floats(value: Any) -> Any:
    """``value`` with all of its numbers as floats: 0 and 0.0 are one number."""
    if isinstance(value, Mapping):
        return {key: floats(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [floats(entry) for entry in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def as_read(value: Mapping[str, Any]) -> dict[str, Any]:
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
