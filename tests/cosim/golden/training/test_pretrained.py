"""Published weights: read by their names, written back, and refused where a training step has no such part."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.workload.pretrained_model import read_pretrained
from cosim.golden.training.golden_step import Parameter
from cosim.golden.training.pretrained import load_weights, save_weights
from tests.chiplet.workload.pretrained_folder import folder_of
from tests.cosim.golden.training.models import golden_of, random_tokens, random_weights


@pytest.mark.parametrize("tied", [False, True])
def test_weights_come_back_as_they_were(tmp_path: Path, tied: bool) -> None:
    model = read_pretrained(folder_of(tmp_path, tie_word_embeddings=tied))
    assert (model.norm_epsilon, model.rope_theta) == (1e-4, 500.0)
    assert model.sizes == ModelSizes(
        hidden=6, heads=4, kv_heads=2, head_dim=2, ffn=5, layers=2, vocab=7, tied=tied
    )
    weights = random_weights(model.sizes)
    save_weights(tmp_path, model.sizes, weights)
    published = load_file(tmp_path / "model.safetensors")
    assert published["model.layers.1.self_attn.k_proj.weight"].shape == (4, 6)
    assert published["model.layers.0.mlp.down_proj.weight"].shape == (6, 5)
    assert published["model.layers.0.input_layernorm.weight"].shape == (6,)
    assert published["model.embed_tokens.weight"].shape == (7, 6)
    assert ("lm_head.weight" in published) is not tied
    again = load_weights(tmp_path, model.sizes)
    assert again.keys() == weights.keys()
    assert all(np.array_equal(again[key], value) for key, value in weights.items())


def test_weights_in_several_files_and_bf16_train(tmp_path: Path) -> None:
    sizes = read_pretrained(folder_of(tmp_path)).sizes
    save_weights(tmp_path, sizes, random_weights(sizes))
    tensors = {k: v.astype(ml_dtypes.bfloat16) for k, v in load_file(tmp_path / "model.safetensors").items()}
    (tmp_path / "model.safetensors").unlink()
    files = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(tensors)}
    for file in set(files.values()):
        save_file({name: tensors[name] for name in tensors if files[name] == file}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    weights = load_weights(tmp_path, sizes)
    head = tensors["lm_head.weight"].astype(np.float32)
    assert np.array_equal(weights[Parameter("head.weight")], head.T)
    step = StepSizes(model=sizes, rows=1, cols=2, sequences=1, length=3)
    golden = golden_of(step, weights, rate=0.1)
    tokens, labels = random_tokens(step)
    assert golden.step(tokens, labels) > golden.step(tokens, labels)
    save_weights(tmp_path, sizes, golden.weights())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("none", "cannot read the weights"),
        ("garbage", "cannot read the weights"),
        ("index", "not an index of safetensors"),
        ("missing", "tensor model.norm.weight is missing"),
        ("type", "tensor model.norm.weight is int32: must be float32"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, damage: str, message: str) -> None:
    sizes = read_pretrained(folder_of(tmp_path)).sizes
    file = tmp_path / "model.safetensors"
    if damage == "garbage":
        file.write_bytes(b"no safetensors")
    elif damage == "index":
        (tmp_path / "model.safetensors.index.json").write_text("[]")
    elif damage in ("missing", "type"):
        save_weights(tmp_path, sizes, random_weights(sizes))
        tensors = load_file(file)
        norm = tensors.pop("model.norm.weight")
        save_file(
            {**tensors, **({"model.norm.weight": norm.astype(np.int32)} if damage == "type" else {})}, file
        )
    with pytest.raises(ValueError, match=message):
        load_weights(tmp_path, sizes)
