"""Training steps that the prediction is held against: measured and predicted cycles, of the step and of each unit."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.accept.training_runs import Training
from chiplet.graph.training.sizes import ModelSizes

__all__ = ["HELD_OUT", "difference", "held_out_steps", "train_prediction"]

HELD_OUT = Path(__file__).with_name("held_out_steps.toml")
"""The steps, with the links that they run on."""


def held_out_steps() -> Iterator[tuple[str, Training, bool]]:
    """Name and sizes of each step, and whether its links have no adapters."""
    listed = tomllib.loads(HELD_OUT.read_text(encoding="utf-8"))
    for name, step in listed["steps"].items():
        training = Training(
            model=ModelSizes(**step["model"]),
            batch=step["sequences"],
            **{key: step[key] for key in ("rows", "cols", "length", "tiles", "optimizer")},
        )
        yield name, training, True
        if name in listed["with_adapters"]:
            yield name, training, False


def difference(measured: int, predicted: int) -> float:
    """Error of a prediction, relative to what was measured; of what was not there it is all."""
    return abs(predicted - measured) / measured if measured else float(predicted > 0)


def train_prediction() -> dict[str, Any]:
    """Each step once, with the fast backend."""
    rows = []
    for name, training, direct in held_out_steps():
        found = training.run(*(("--direct",) if direct else ()))
        row = _row(found)
        rows.append({"step": name, "mesh": training.mesh, "links": "wires" if direct else "adapters", **row})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return {"steps": len(rows), "rows": rows}


def _row(found: Mapping[str, Any]) -> dict[str, Any]:
    units = {name: difference(unit["measured"], unit["predicted"]) for name, unit in found["units"].items()}
    worst = max(units, key=units.__getitem__)
    return {
        "mismatches": found["mismatches"],
        "cycles": found["cycles"],
        "predicted_cycles": found["predicted_cycles"],
        "error": difference(found["cycles"], found["predicted_cycles"]),
        "worst_unit": worst,
        "unit_error": units[worst],
        "units": found["units"],
    }
