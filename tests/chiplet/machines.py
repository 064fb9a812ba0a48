"""Small models and machines that several tests share."""

from __future__ import annotations

from typing import Any

from chiplet.machine.config import load_system
from chiplet.machine.specs import SystemSpec
from chiplet.workload.llm import Llm

PACKAGE: SystemSpec = load_system(None, [], preset="package")
"""The package preset."""


def small_model(**changes: Any) -> Llm:
    """A model of two layers with grouped-query attention, gated FFN and odd sizes."""
    values: dict[str, Any] = {
        "name": "small",
        "layers": 2,
        "hidden": 96,
        "heads": 8,
        "kv_heads": 2,
        "head_dim": 12,
        "ffn": 200,
        "gated": True,
        "vocab": 101,
        "norm": "rmsnorm",
        "max_positions": 64,
    }
    return Llm(**(values | changes))


def package(*overrides: str) -> SystemSpec:
    """The package preset with ``KEY=VALUE`` overrides."""
    return load_system(None, overrides, preset="package")


def small_package(*overrides: str) -> SystemSpec:
    """The package preset with dies of 8 x 8 PEs and memories of 8 MiB, and ``KEY=VALUE`` overrides."""
    sizes = (f"die.{name}_bytes={8 * 2**20}" for name in ("weight", "accumulator", "scratchpad"))
    return package("die.rows=8", "die.cols=8", *sizes, *overrides)
