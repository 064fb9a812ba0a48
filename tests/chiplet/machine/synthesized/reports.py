"""Silicon reports of invented numbers, for machines of tests."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from chiplet.machine.specs import SystemSpec
from chiplet.machine.synthesized.silicon_report import SiliconReport
from tests.chiplet.machines import PACKAGE

ROWS, COLS = 4, 8
AREAS = {"die": 5000.0, "row": 30.0, "column": 120.0, "pe": 230.0, "vector": 900.0}


def block(name: str, count: int, area: float, **numbers: Any) -> dict[str, Any]:
    """A block of a report."""
    least = dict.fromkeys(("per_die", "per_row", "per_column", "per_pe", "in_vector_unit"), 0)
    return {"block": name, "count": count, "area_um2": area, "numbers": {**least, "scales": True, **numbers}}


def report_values(system: SystemSpec = PACKAGE, **changes: Any) -> dict[str, Any]:
    """What the file of a report of a die like that of ``system`` holds: of 4 rows, 8 columns and :data:`AREAS`."""
    sizes = {
        "rows": ROWS,
        "cols": COLS,
        "weight_bytes": system.die.weight_depth * COLS * system.die.element_bytes,
        "activation_bytes": system.die.activation_depth * ROWS * system.die.element_bytes,
        "accumulator_bytes": system.die.accumulator_depth * COLS * 4,
    }
    blocks = [
        block("pe", ROWS * COLS, AREAS["pe"], per_pe=1),
        block("row", ROWS, AREAS["row"], per_row=1),
        block("column", COLS, AREAS["column"] - 20, per_column=1),
        block("rounding", COLS + 2, 20.0, per_column=1, per_die=2),
        block("top", 1, AREAS["die"] - 40, per_die=1),
        block("vector", 1, AREAS["vector"], per_die=1, in_vector_unit=1),
    ]
    values: dict[str, Any] = {
        "design": "die",
        "hecaton_version": version("hecaton"),
        "die": {**system.die.model_dump(mode="json"), **sizes},
        "memory": system.memory.model_dump(mode="json"),
        "vector": system.vector.model_dump(mode="json"),
        "libraries": ["cells_tt", "registers_tt"],
        "period_ps": 1250.0,
        "area_um2": sum(entry["count"] * entry["area_um2"] for entry in blocks),
        "blocks": blocks,
        "assumptions": {
            "sram_output_ps": 350.0,
            "sram_setup_ps": 80.0,
            "wires": "none",
            "clock": "ideal",
            "voltage": 0.7,
            "temperature": 25.0,
        },
        "yosys": "0.23",
        "opensta": "2.0.17",
    }
    values.update(changes)
    return values


def report(system: SystemSpec = PACKAGE, **changes: Any) -> SiliconReport:
    """The report of :func:`report_values`."""
    return SiliconReport.model_validate(report_values(system, **changes))
