"""Dumps: what a run left, by the names of a Llama, and readable as its weights again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.vector_constants import ConstantSettings
from chiplet.machine.config import load_configuration
from cosim.compile.compiler import compile_step
from cosim.golden.training.golden_step import GoldenTraining
from cosim.golden.training.initial import random_weights, repeated_tokens
from cosim.golden.training.pretrained import load_weights
from cosim.run.training.train_step import TrainingRun, golden_training, prepare
from cosim.run.training.training_dump import check_dump, save_dump, training_tensors

MODEL = ModelSizes(hidden=4, heads=2, kv_heads=1, head_dim=4, ffn=5, layers=1, vocab=7)


def trained(optimizer: Any, *, gradients: bool) -> tuple[TrainingRun, GoldenTraining]:
    """A run of two steps on 1x1 dies, and its golden run."""
    sizes = StepSizes(
        model=MODEL, rows=1, cols=1, sequences=1, length=3, optimizer=optimizer, algorithm="chain"
    )
    system = load_configuration(None, ["package.rows=1", "package.cols=1"], preset="bench").system
    compiled = compile_step(sizes, system, gradients=gradients)
    golden = golden_training(compiled, random_weights(MODEL), ConstantSettings(rate=0.1))
    return prepare(compiled, golden, repeated_tokens(sizes, 2)).interpret(), golden


def test_a_dump_has_all_that_was_trained(tmp_path: Path) -> None:
    run, golden = trained("adam", gradients=True)
    assert run.mismatches == 0
    path = tmp_path / "model.safetensors"
    check_dump(path)
    save_dump(path, MODEL, run)
    tensors = load_file(path)
    again = load_weights(path, MODEL)
    assert all(np.array_equal(again[name], value) for name, value in golden.weights().items())
    query = "model.layers.0.self_attn.q_proj.weight"
    assert np.array_equal(tensors[f"optimizer.m.{query}"], golden.whole("attention.q.m", 0).T)
    assert np.array_equal(tensors["optimizer.v.model.norm.weight"], golden.whole("head.gain.v")[:, 0])
    # The gradients are those of the first step; the golden run has taken two.
    assert tensors[f"gradient.{query}"].shape == tensors[query].shape
    assert not np.array_equal(tensors[f"gradient.{query}"], golden.whole("attention.q.gradient", 0).T)
    assert tensors["losses"].tolist() == run.losses
    assert len(tensors) == 4 * len(again) + 1


def test_what_is_not_stored_is_not_in_a_dump() -> None:
    run, _ = trained("sgd", gradients=False)
    tensors = training_tensors(MODEL, run)
    assert {name.split(".")[0] for name in tensors} == {"model", "lm_head", "losses"}


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"out.npz: cannot write the dump: its suffix must be .safetensors"):
        check_dump(tmp_path / "out.npz")
