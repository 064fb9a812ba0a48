"""A Llama of the package transformers, in float32 of torch, beside the same model on a package of dies.

Runs where both packages are installed; a package of dies needs neither.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chiplet.graph.training.sizes import StepSizes
from chiplet.graph.vector_constants import ConstantSettings
from chiplet.machine.config import load_configuration
from chiplet.workload.pretrained_model import read_pretrained
from cosim.compile.compiler import compile_step
from cosim.golden.training.golden_step import GoldenTraining
from cosim.golden.training.pretrained import load_weights
from cosim.run.training.train_step import golden_training, prepare
from cosim.run.training.training_dump import training_tensors

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SEQUENCES, LENGTH = 4, 16
RATE = 0.1
"""Stable: with 0.3 the loss of torch itself jumps behind twenty steps, and differences grow from step to step."""


@pytest.fixture
def llama(tmp_path: Path) -> tuple[Any, Path]:
    """A model with two layers and grouped queries, and its folder."""
    config = transformers.LlamaConfig(
        hidden_size=32,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=64,
        num_hidden_layers=2,
        vocab_size=32,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        initializer_range=0.1,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=1,
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config).float()
    # Norms of small embeddings have large gradients: SGD would be stable with tiny rates only.
    torch.nn.init.normal_(model.model.embed_tokens.weight, std=0.5)
    model.save_pretrained(tmp_path)
    return model, tmp_path


def text() -> NDArray[np.int64]:
    return np.random.default_rng(1).integers(0, 32, (SEQUENCES, LENGTH + 1))


def torch_loss(model: Any) -> Any:
    tokens = torch.from_numpy(text())
    logits = model(input_ids=tokens[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.reshape(-1, 32), tokens[:, 1:].reshape(-1))


def golden_of(folder: Path) -> tuple[GoldenTraining, Any]:
    """The golden run from the weights of a folder, and the compiled step on 2x2 dies that it belongs to."""
    pretrained = read_pretrained(folder)
    sizes = StepSizes(
        model=pretrained.sizes,
        rows=2,
        cols=2,
        sequences=SEQUENCES,
        length=LENGTH,
        optimizer="sgd",
        algorithm="chain",
    )
    keys = ["package.rows=2", "package.cols=2", "die.rows=4", "die.cols=4", "die.scratchpad_bytes=524288"]
    system = load_configuration(None, keys, preset="bench").system
    compiled = compile_step(sizes, system, gradients=True)
    settings = ConstantSettings(rate=RATE, norm_epsilon=pretrained.norm_epsilon)
    weights = load_weights(folder, sizes.model)
    return golden_training(compiled, weights, settings, rope_theta=pretrained.rope_theta), compiled


def test_a_step_has_the_loss_and_the_gradients_of_torch(llama: tuple[Any, Path]) -> None:
    model, folder = llama
    loss = torch_loss(model)
    loss.backward()
    golden, compiled = golden_of(folder)
    run = prepare(compiled, golden, text()[None]).interpret()
    assert run.mismatches == 0
    assert run.losses[0] == pytest.approx(loss.item(), rel=0.01)
    found = training_tensors(compiled.sizes.model, run)
    parameters = dict(model.named_parameters())
    assert len(parameters) == 2 * 9 + 3
    for name, parameter in parameters.items():
        wanted = parameter.grad.numpy()
        assert np.abs(found[f"gradient.{name}"] - wanted).max() < 0.03 * np.abs(wanted).max(), name


def test_thirty_steps_have_the_losses_of_torch(llama: tuple[Any, Path]) -> None:
    model, folder = llama
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    golden, _ = golden_of(folder)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = torch_loss(model)
        loss.backward()
        optimizer.step()
        losses.append(golden.step(text()[:, :-1], text()[:, 1:]))
        assert losses[-1] == pytest.approx(loss.item(), rel=0.02)
    assert losses[-1] < 0.9 * losses[0]
