"""Sweeps of models with parts of their own have the numbers of single projections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chiplet.methods.registry import METHODS
from tests.chiplet.machines import small_package
from tests.chiplet.sweep.test_evaluate import agree, run

SIZES = {
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "intermediate_size": 200,
    "vocab_size": 101,
}


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "mixtral", "num_local_experts": 5, "sliding_window": 24},
        {
            "model_type": "qwen2_moe",
            "num_experts": 6,
            "moe_intermediate_size": 40,
            "shared_expert_intermediate_size": 50,
            "num_key_value_heads": 4,
        },
        {"model_type": "gemma3_text", "head_dim": 12, "sliding_window": 24, "sliding_window_pattern": 2},
        {"model_type": "falcon", "multi_query": True},
    ],
    ids=lambda changes: changes["model_type"],
)
def test_a_sweep_has_the_numbers_of_single_projections(changes: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    values = SIZES | changes
    if changes["model_type"] == "falcon":
        values["ffn_hidden_size"] = values.pop("intermediate_size")
    path.write_text(json.dumps(values))
    base = small_package()
    sweep, found = run(
        base,
        model=str(path),
        method=tuple(METHODS),
        mesh=("1x1", "2x3", "5x4"),
        global_batch=(3, 17),
        sequence_length=(20, 61),
        switches={"recompute": ("none", "selective", "full")},
        vary={
            "die.rows": (4, 8, 31),
            "die.weight_bytes": (3_000, 30_000, 3_000_000),
            "die.scratchpad_bytes": (40_000, 20_000_000),
        },
    )
    rng = np.random.default_rng(1)
    rows = rng.choice(len(found.index), 25, replace=False).tolist()
    assert agree(sweep, found, base, rows) > 5


def test_a_model_that_does_not_fit_is_refused_point_by_point(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(SIZES | {"model_type": "deepseek_v3", "num_key_value_heads": 8}))
    _, found = run(
        small_package(), model=("tinyllama-1.1b", str(path)), dies=(4,), vary={"link.lanes": (8, 64)}
    )
    reasons = [found.reasons[number] for number in found.reason]
    assert len(reasons) == 4
    assert sum(reason.startswith("model on 4 dies, hecaton: block attention") for reason in reasons) == 2
