"""The clock that the pipeline stages of a die allow."""

from __future__ import annotations

from decimal import Decimal

__all__ = ["FOLLOWS_STAGES", "STAGES_HZ", "clock_of_stages", "megahertz"]

FOLLOWS_STAGES = "stages"
"""Value of ``die.clock_hz`` for the clock that the stages of the die allow."""

STAGES_HZ: dict[int, float] = {1: 513e6, 2: 781e6, 3: 971e6, 4: 935e6}
"""The clock that a die with so many adder stages allows: its accumulator column with an SRAM of 350 ps, in ASAP7 cells
at the typical corner without wires, by Yosys and OpenSTA. The PEs alone allow 636, 1059, 1256 and 1300 MHz.
"""


def clock_of_stages(stages: object) -> float:
    """What ``die.clock_hz`` = "stages" stands for, Hz: that of bf16 operands, for int8 ones too, as their sums are
    shorter. The slowest one for stages that no die has: those are left for the specification to refuse.
    """
    return (
        STAGES_HZ.get(stages, min(STAGES_HZ.values())) if isinstance(stages, int) else min(STAGES_HZ.values())
    )


def megahertz(clock_hz: float) -> str:
    """``clock_hz`` in MHz with all of its digits, as in ``781.000001 MHz``."""
    return f"{(Decimal(str(clock_hz)) / 1_000_000).normalize():f} MHz"
