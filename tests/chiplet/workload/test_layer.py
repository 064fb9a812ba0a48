"""A layer with latent attention against counts by hand."""

from __future__ import annotations

import pytest

from chiplet.workload.llm import Llm, from_config
from tests.chiplet.workload.published_models import PUBLISHED


def published(name: str) -> Llm:
    (found,) = (model for model in PUBLISHED if model.hub_id == f"deepseek-ai/{name}")
    return from_config(found.config, name=name, where=name)


# Weights of the attention's linears, of the FFN of a dense layer, and those that a token uses of a layer with experts,
# from the shapes in the papers (arXiv 2405.04434, 2412.19437); layers of both kinds, and the output layer.
V2_LITE = (
    2048 * 16 * (128 + 64) + 2048 * (512 + 64) + 512 * 16 * (128 + 128) + 16 * 128 * 2048,
    3 * 2048 * 10944,
    3 * 2048 * 1408 * (6 + 2) + 2048 * 64,
    (1, 26),
    2048 * 102400,
    16,
)
V3 = (
    7168 * 1536 + 1536 * 128 * (128 + 64) + 7168 * (512 + 64) + 512 * 128 * (128 + 128) + 128 * 128 * 7168,
    3 * 7168 * 18432,
    3 * 7168 * 2048 * (8 + 1) + 7168 * 256,
    (3, 58),
    7168 * 129280,
    128,
)


@pytest.mark.parametrize(("name", "counts"), [("DeepSeek-V2-Lite", V2_LITE), ("DeepSeek-V3", V3)])
@pytest.mark.parametrize("length", [1, 4096])
def test_work_of_latent_attention_is_that_of_its_published_shapes(
    name: str, counts: tuple[int, int, int, tuple[int, int], int, int], length: int
) -> None:
    """Scores of a head have 128 features without positions and 64 with, values 128."""
    attention, dense, experts, (first, others), head, heads = counts
    core = heads * length * (128 + 64 + 128)
    products = (first + others) * (attention + core) + first * dense + others * experts + head
    assert published(name).forward_flops(length, length) == 2 * length * products


def test_what_is_saved_of_latent_attention() -> None:
    """Latent features and the shared rotary keys, Q, the heads' keys and values, and the output."""
    saved = published("DeepSeek-V3").saved_features(4096)
    assert saved["attention"] == 1536 + 512 + 64 + 128 * 192 + 128 * (128 + 128) + 128 * 128
    assert saved["probabilities"] == 128 * 4096
    lite = published("DeepSeek-V2-Lite").saved_features(4096)
    assert lite["attention"] == 512 + 64 + 16 * 192 + 16 * (128 + 128) + 16 * 128
