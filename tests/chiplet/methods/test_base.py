"""What every method does alike: the shapes and the vector work of a model's own parts."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from chiplet.methods.base import Method
from chiplet.methods.registry import METHODS, make_switches
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.step.overlap import gemm_cycles
from chiplet.workload.experts import Experts
from chiplet.workload.llm import Llm
from chiplet.workload.operations import Batch
from nop.topology import Mesh
from tests.chiplet.machines import MIXED, small_model, small_package

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
        total += sum(step.macs for step in steps) * block.layers
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
    {"window": 16},
    {"window": 16, "full_layers": (1,)},
    {"window": 100},
    {"experts": Experts(count=4, active=2, ffn=100)},
    {"experts": Experts(count=6, active=1, ffn=50, shared=70, shared_gate=True)},
    *MIXED,
]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_products_of_a_step_are_those_of_the_model(changes: dict[str, Any], name: str) -> None:
    model = small_model(**changes)
    # Key and value heads are replicated where there are fewer of them than groups of dies.
    replicated = model.model_copy(update={"kv_heads": method_of(model, name).kv_heads})
    flops = replicated.forward_flops(128, 64) + replicated.backward_flops(128, 64)
    assert 2 * macs(model, name) == pytest.approx(flops)


@pytest.mark.parametrize("name", METHODS)
def test_queries_and_keys_are_normed_and_rotated_by_their_own_features(name: str) -> None:
    plain = vectors(small_model(), name)
    features = 128 * (8 + method_of(small_model(), name).kv_heads) * 12
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


def experts_of(count: int, active: int = 2, ffn: int = 60, **more: Any) -> Llm:
    return small_model(experts=Experts(count=count, active=active, ffn=ffn, **more))


@pytest.mark.parametrize("name", [name for name in METHODS if name != "optimus"])
@pytest.mark.parametrize("slices", [1, 3])
def test_what_crosses_the_nop_does_not_grow_with_the_experts(name: str, slices: int) -> None:
    """Beside the scores of all experts it is that of one FFN as wide as the experts that a token uses."""

    def elements(model: Llm) -> float:
        method = method_of(model, name)
        passes = method.passes(method.blocks()[1], BATCH, slices)
        steps = [
            (step, operation.times)
            for operation in (*passes.forward, *passes.backward)
            for step in operation.comms
        ]
        return float(sum(step.elements * times for step, times in steps))

    dense = elements(small_model(ffn=120))
    few, many = elements(experts_of(4)), elements(experts_of(8))
    assert few - dense == pytest.approx(many - few)  # four scores more each
    assert 0 <= few - dense < 0.05 * dense


@pytest.mark.parametrize("name", METHODS)
def test_every_die_holds_a_part_of_every_expert(name: str) -> None:
    model = experts_of(8, shared=20)
    method = method_of(model, name)
    assert model.ffn_weights == 96 * (3 * (8 * 60 + 20) + 8)
    assert method.weights_per_die(method.blocks()[1]) == pytest.approx(model.ffn_weights / 4)


def test_experts_see_whole_tokens_of_a_tile() -> None:
    """19 tokens, 1 of 16 experts each: one tile of two tokens for each expert, not one and a fraction."""
    model = small_model(experts=Experts(count=16, active=1, ffn=60))
    method = method_of(model)
    passes = method.passes(method.blocks()[1], Batch(19, 1, 19))
    own = next(step for step in passes.forward[0].gemms if step.name == "XW of experts")
    assert own.m == 2
    assert gemm_cycles(own, lambda m, k, n: 1e6 * m + k + n, 19) == 16 * (2e6 + 48 + 60)
    assert gemm_cycles(own, lambda m, k, n: m, 16) == 16 * 2


def test_gemms_of_experts_have_their_mean_rows_and_tiles() -> None:
    """128 tokens, 2 of 8 experts each: 32 rows for each expert, and a quarter of every token tile."""
    model = experts_of(8, shared=20)
    method = method_of(model)
    passes = method.passes(method.blocks()[1], BATCH)
    steps = {step.name: step for operation in passes.forward[:1] for step in operation.gemms}
    own, rest = steps["XW of experts"], steps["XW of all tokens"]
    assert (own.m, own.k, own.n, own.count, own.tile_share) == (32, 48, 60, 8, Fraction(1, 4))
    assert (rest.m, rest.k, rest.n, rest.count, rest.tile_share) == (128, 48, 24, 1, Fraction(1))

    def cycles(m: float, k: float, n: float) -> float:
        return 1e6 * m + k + n

    # Tiles of 48 tokens are 12 rows: two whole tiles and one of 8 rows.
    assert gemm_cycles(own, cycles, 48) == 8 * (1e6 * 32 + 3 * (48 + 60))
    assert gemm_cycles(rest, cycles, 48) == 1e6 * 128 + 3 * (48 + 24)
    (weights,) = (
        step
        for operation in passes.backward
        for step in operation.gemms
        if step.name == "X^T dY of experts" and step.m == 48
    )
    assert (weights.k, weights.split, weights.count) == (32, "k", 8)


def test_more_experts_never_make_a_step_quicker() -> None:
    """At equal work for a token more experts are more weights to load and update, and shorter GEMMs."""
    seconds = []
    for count in (2, 4, 16, 64):
        request = StepRequest(experts_of(count), small_package(), mesh=(2, 2), global_batch=16)
        found = project(request)
        seconds.append(found.step_seconds)
        assert 0 < found.mfu <= 1
        assert found.active_parameters < found.parameters or count == 2
    assert seconds == sorted(seconds)
    one = project(StepRequest(small_model(ffn=120), small_package(), mesh=(2, 2), global_batch=16))
    assert one.step_seconds <= seconds[0]
