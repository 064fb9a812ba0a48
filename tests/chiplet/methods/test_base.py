"""What every method does alike: the shapes and the vector work of a model's own parts."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.methods.base import Method
from chiplet.methods.registry import METHODS, make_switches
from chiplet.workload.experts import Experts
from chiplet.workload.latent import LatentAttention
from chiplet.workload.llm import Llm
from chiplet.workload.operations import Batch
from nop.topology import Mesh
from tests.chiplet.machines import small_model

BATCH = Batch(tokens=128, sequences=2, length=64)


def method_of(model: Llm, name: str = "hecaton") -> Method:
    return METHODS[name](model, Mesh(2, 2), make_switches(name, None), 2)


def vectors(model: Llm, name: str = "hecaton") -> dict[tuple[str, str, str], float]:
    """Elements of all vector steps by block, direction and name."""
    found: dict[tuple[str, str, str], float] = {}
    method = method_of(model, name)
    for block in method.blocks():
        passes = method.passes(block, BATCH)
        for direction, operations in (("forward", passes.forward), ("backward", passes.backward)):
            for step in (step for operation in operations for step in operation.vectors):
                place = (block.name, direction, step.name)
                found[place] = found.get(place, 0.0) + step.total
    return found


def macs(model: Llm, name: str) -> float:
    """Multiply-adds of forward and backward passes over all layers and the head, with none recomputed."""
    method = method_of(model, name)
    total = 0.0
    for block in method.blocks():
        passes = method.passes(block, BATCH)
        steps = [step for operation in (*passes.forward, *passes.backward) for step in operation.gemms]
        total += sum(step.macs for step in steps) * (1 if block.contract is None else model.layers)
    return total


VARIANTS: list[dict[str, Any]] = [
    {},
    {"gated": False, "norm": "layernorm", "qkv_bias": True, "ffn_bias": True},
    {"qk_norm": "heads"},
    {"kv_heads": 1},
    {"parallel": True, "norms": 1},
    {"norms": 4, "norms_after": True},
    {"head_dim": 40},
    {"rotary": 4},
]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_products_of_a_step_are_those_of_the_model(changes: dict[str, Any], name: str) -> None:
    model = small_model(**{"kv_heads": 4} | changes)
    flops = model.forward_flops(128, 64) + model.backward_flops(128, 64)
    assert 2 * macs(model, name) == pytest.approx(flops)


@pytest.mark.parametrize("name", METHODS)
def test_queries_and_keys_are_normed_and_rotated_by_their_own_features(name: str) -> None:
    plain = vectors(small_model(), name)
    features = 128 * (8 + 2) * 12
    assert plain["attention", "forward", "rotary"] == features
    partial = vectors(small_model(rotary=4), name)
    assert partial["attention", "forward", "rotary"] == features / 3
    assert partial["attention", "backward", "rotary backward"] == features / 3
    without = vectors(small_model(rotary=0), name)
    assert ("attention", "forward", "rotary") not in without
    normed = vectors(small_model(qk_norm="heads"), name)
    more = {place: elements - plain[place] for place, elements in normed.items() if elements != plain[place]}
    assert more == {
        ("attention", "forward", "norm"): features,
        ("attention", "backward", "norm"): 2 * features,  # once more, and its gradient
    }


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("changes", "norms"),
    [
        ({}, 1),
        ({"norms": 4, "norms_after": True}, 2),
        ({"norms_after": True}, 1),
        ({"norms": 1, "parallel": True}, 1),
    ],
)
def test_a_block_has_its_norms_before_and_after(changes: dict[str, Any], norms: int, name: str) -> None:
    found = vectors(small_model(**changes), name)
    assert {
        place: elements for place, elements in found.items() if place[2] == "norm" and place[0] != "head"
    } == {
        (block, direction, "norm"): norms * 128 * 96
        for block in ("attention", "ffn")
        for direction in ("forward", "backward")
    }


def test_a_head_without_a_norm_has_none() -> None:
    assert ("head", "forward", "norm") in vectors(small_model())
    assert ("head", "forward", "norm") not in vectors(small_model(final_norm=False))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("mixture of experts", {"experts": Experts(layers=2, count=4, active=2, ffn=100)}),
        (
            "multi-head latent attention",
            {"latent": LatentAttention(query_rank=8, value_rank=8, fixed_dim=8, rotary_dim=4, value_dim=8)},
        ),
        ("attention sinks", {"sinks": True}),
        ("an embedding of another width than the layers", {"embedding_features": 48}),
    ],
)
def test_parts_that_are_not_modelled_are_refused_by_name(part: str, changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match="not modelled") as refusal:
        method_of(small_model(**changes), name)
    assert str(refusal.value) == f"small: projection of {part} is not modelled"
