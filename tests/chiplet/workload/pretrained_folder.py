"""A folder with the config.json of a small Llama."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 6, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 2,
    "intermediate_size": 5, "num_hidden_layers": 2, "vocab_size": 7, "hidden_act": "silu", "rms_norm_eps": 1e-4,
    "rope_theta": 500.0, "tie_word_embeddings": False, "max_position_embeddings": 64,
}  # fmt: skip


def folder_of(path: Path, **changes: Any) -> Path:
    (path / "config.json").write_text(json.dumps({**CONFIG, **changes}))
    return path
