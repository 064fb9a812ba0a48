"""Parameters, work and activations of the preset models against published numbers, to 1 %."""

from __future__ import annotations

import pytest

from chiplet.studies.megatron import activation_bytes
from chiplet.workload.llm import load_model


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("tinyllama-1.1b", 1.1e9),  # Zhang et al., arXiv 2401.02385: 1.1B
        (
            "llama2-7b",
            6.74e9,
        ),  # model card of Llama 2, Touvron et al., arXiv 2307.09288: 7B; safetensors 6.74B
        ("llama2-70b", 69.0e9),  # same: 70B; safetensors 69.0B
        ("llama3.1-405b", 405e9),  # Grattafiori et al., arXiv 2407.21783, table 3: 405B
        ("gpt3-175b", 174.6e9),  # Brown et al., arXiv 2005.14165, table D.1: 174,600 M
    ],
)
def test_parameters(name: str, parameters: float) -> None:
    assert load_model(name).parameters == pytest.approx(parameters, rel=0.01)


@pytest.mark.parametrize(
    ("name", "tokens", "flops"),
    [
        ("gpt3-175b", 300e9, 3.14e23),  # arXiv 2005.14165, table D.1: without attention scores
        ("llama3.1-405b", 15.6e12, 3.8e25),  # arXiv 2407.21783, section 3.2.1, the same
    ],
)
def test_work_of_a_whole_training(name: str, tokens: float, flops: float) -> None:
    """The products of all linears, forward and twice backward; the output layer's and the embedding's are one
    table's worth more than the embedding alone, which the published six operations a parameter count as well.
    """
    model = load_model(name)
    linears = model.layers * (model.attention_weights + model.ffn_weights) + model.hidden * model.vocab
    assert 3 * 2 * linears * tokens == pytest.approx(flops, rel=0.01)
    # All of ours but the scores and values of the attention.
    length = 64
    scores = 3 * 4 * 64 * length * model.query_features * model.layers
    whole = model.forward_flops(64, length) + model.backward_flops(64, length)
    assert whole - scores == 3 * 2 * linears * 64


@pytest.mark.parametrize("name", ["gpt3-175b"])
def test_work_of_a_step_is_the_published_formula(name: str) -> None:
    """Narayanan et al., arXiv 2104.04473: 96 B s l h^2 (1 + s / (6 h) + V / (16 l h)) with full recomputation, which
    is one forward pass more; a step without it has three quarters of the layers' part.
    """
    model = load_model(name)
    batch, length = 1536, 2048
    l, h, vocab = model.layers, model.hidden, model.vocab  # noqa: E741
    published = 96 * batch * length * l * h * h * (1 + length / (6 * h) + vocab / (16 * l * h))
    tokens = batch * length
    ours = 3 * model.forward_flops(tokens, length) + l * model.layer_forward_flops(tokens, length)
    assert ours == pytest.approx(published, rel=0.01)


def test_activations_of_gpt3_are_the_published_ones() -> None:
    """Korthikanti et al., arXiv 2205.05198: s b h (34 + 5 a s / h) bytes a layer, where 5 a s / h is 80 for GPT-3
    (section 5), and 10 + 24 / t + 5 a s / (h t) with tensor parallelism of t.
    """
    model = load_model("gpt3-175b")
    length, h, a = 2048, model.hidden, model.heads
    assert 5 * a * length / h == 80
    assert activation_bytes(model, length=length, micro_batch=1, tensor=1) == length * h * (34 + 80)
    assert activation_bytes(model, length=length, micro_batch=1, tensor=8) == length * h * (
        10 + 24 / 8 + 80 / 8
    )
