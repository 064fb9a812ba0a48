"""Machines for tests of training steps."""

from __future__ import annotations

from typing import Any

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec


def machine(mesh_rows: int, mesh_cols: int, *, word_bytes: int = 32, **die: Any) -> SystemSpec:
    """``mesh_rows`` x ``mesh_cols`` dies of 4x4 by default, with room for small models."""
    sizes = {
        "rows": 4,
        "cols": 4,
        "dtype": "bf16",
        "stages": 1,
        "weight_bytes": 4096,
        "activation_bytes": 4096,
        "accumulator_bytes": 8192,
        "scratchpad_bytes": 1 << 19,
        "queue_depth": 16,
    }
    return SystemSpec(
        die=DieSpec(**{**sizes, **die}),
        package=PackageSpec(rows=mesh_rows, cols=mesh_cols, io="all"),
        nop=NopSpec(flit_bits=64),
        memory=MemorySpec(word_bytes=word_bytes),
    )
