"""Small models and machines that several tests share."""

from __future__ import annotations

from typing import Any

from chiplet.machine.config import load_system
from chiplet.machine.specs import SystemSpec
from chiplet.workload.experts import Experts
from chiplet.workload.latent import LatentAttention
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


LATENT: dict[str, Any] = {
    "kv_heads": 8,
    "head_dim": 12,
    "rotary": 4,
    "latent": LatentAttention(query_rank=20, value_rank=14, fixed_dim=8, rotary_dim=4, value_dim=10),
}
"""Changes of a small model to latent attention."""

MIXED: list[dict[str, Any]] = [
    {"window": 16, "layers": 4, "full_layers": (1,)},
    {"experts": Experts(count=4, active=2, ffn=100), "layers": 3, "dense_layers": (0,)},
    LATENT,
    LATENT | {"latent": LATENT["latent"].model_copy(update={"query_rank": 0})},
    LATENT | {"layers": 5, "experts": Experts(count=4, active=2, ffn=100, shared=30), "dense_layers": (0, 1)},
    {
        "window": 24,
        "layers": 5,
        "full_layers": (0, 3),
        "experts": Experts(count=3, active=1, ffn=90),
        "dense_layers": (0, 2, 4),
    },
    {"embedding_features": 40},
]
"""Changes of a small model to models whose layers differ, or that have more than two linears in a block."""


def package(*overrides: str) -> SystemSpec:
    """The package preset with ``KEY=VALUE`` overrides."""
    return load_system(None, overrides, preset="package")


def small_package(*overrides: str) -> SystemSpec:
    """The package preset with dies of 8 x 8 PEs and memories of 8 MiB, and ``KEY=VALUE`` overrides."""
    sizes = (f"die.{name}_bytes={8 * 2**20}" for name in ("weight", "accumulator", "scratchpad"))
    return package("die.rows=8", "die.cols=8", *sizes, *overrides)
