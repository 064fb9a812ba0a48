"""Parameters of published models, exactly, for every family that is read."""

from __future__ import annotations

import pytest

from chiplet.workload.families.registry import MODEL_TYPES
from chiplet.workload.llm import Llm, from_config
from tests.chiplet.workload.published_models import PUBLISHED, PublishedModel


def read(model: PublishedModel) -> Llm:
    return from_config(model.config, name=model.hub_id, where=model.hub_id)


@pytest.mark.parametrize("model", PUBLISHED, ids=[model.hub_id for model in PUBLISHED])
def test_parameters_are_exactly_those_of_the_model(model: PublishedModel) -> None:
    found = read(model)
    assert (found.parameters, found.active_parameters) == (
        model.parameters,
        model.parameters if model.active is None else model.active,
    )
    assert found.unknown == ()


def test_every_family_has_a_published_model() -> None:
    shown = {
        config.get("text_config", config)["model_type"] for config in (model.config for model in PUBLISHED)
    }
    assert shown == set(MODEL_TYPES)


@pytest.mark.parametrize("model", PUBLISHED, ids=[model.hub_id for model in PUBLISHED])
def test_work_is_two_operations_for_every_weight_that_a_token_uses(model: PublishedModel) -> None:
    """Weights of linears are nearly all parameters that a token uses, without the table that it only looks up."""
    found = read(model)
    tables = found.embedding_parameters if not found.tied else 0
    weights = found.active_parameters - tables
    # One token in sequences of one: its score and value are few beside the linears.
    assert found.forward_flops(1, 1) == pytest.approx(2 * weights, rel=0.02)


@pytest.mark.parametrize("model", PUBLISHED, ids=[model.hub_id for model in PUBLISHED])
def test_layers_and_what_is_around_them_have_all_parameters(model: PublishedModel) -> None:
    """As the stages of a pipeline share them; a tied table is on both ends."""
    found = read(model)
    width = found.embedding_features or found.hidden
    ends = found.embedding_parameters + found.head_parameters - found.tied * found.vocab * width
    layers = sum(len(kind.numbers) * kind.layer.layer_parameters for kind in found.ffn_kinds)
    assert layers + ends == found.parameters
    cut = found.layers // 3
    parts = (range(cut), range(cut, found.layers))
    assert sum(found.parameters_of(part) for part in parts) == layers


def test_rotary_features_are_those_of_the_model() -> None:
    partial = {model.hub_id: (read(model).rotary_features, read(model).head_dim) for model in PUBLISHED}
    assert partial["microsoft/Phi-4-mini-instruct"] == (96, 128)
    assert partial["EleutherAI/gpt-neox-20b"] == (24, 96)
    assert partial["EleutherAI/gpt-j-6b"] == (64, 256)
    assert partial["Qwen/Qwen3-8B"] == (128, 128)
    for name in ("openai-community/gpt2", "bigscience/bloom", "tiiuae/falcon-rw-1b", "facebook/opt-125m"):
        assert partial[name][0] == 0


@pytest.mark.parametrize(
    ("hub_id", "window", "layers"),
    [
        ("mistralai/Mistral-7B-v0.1", 4096, 32),
        ("google/gemma-2-9b", 4096, 21),
        ("google/gemma-3-1b-pt", 512, 22),
        ("google/gemma-3-4b-pt", 1024, 29),
        ("openai/gpt-oss-20b", 128, 12),
        ("meta-llama/Llama-4-Scout-17B-16E", 8192, 36),
        ("Qwen/Qwen2.5-7B", None, 0),
        ("Qwen/Qwen3-8B", None, 0),
        ("mistralai/Mixtral-8x7B-v0.1", None, 0),
    ],
)
def test_windows_are_those_of_the_model(hub_id: str, window: int | None, layers: int) -> None:
    (found,) = (read(model) for model in PUBLISHED if model.hub_id == hub_id)
    assert (found.window, found.window_layers) == (window, layers)
