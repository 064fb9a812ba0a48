"""Golden training steps against the float64 reference, on meshes with and without remainders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chiplet.graph.operators import Reduce
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.vector_constants import ConstantSettings
from cosim.golden.gemm import bf16_sums
from cosim.golden.numerics import bf16_to_float32, float32_to_bf16, fp32_add, fp32_values
from cosim.golden.training.golden_step import GoldenTraining, Parameter
from cosim.golden.training.reference import adam, sgd
from cosim.golden.training.step_trace import StepTrace
from cosim.golden.vector import row_sum
from tests.cosim.golden.training.models import (
    golden_of,
    gradients_of,
    named,
    random_tokens,
    random_weights,
    reference_of,
)

REMAINDERS: dict[str, Any] = {
    "hidden": 13, "heads": 5, "kv_heads": 5, "head_dim": 4, "ffn": 11, "layers": 1, "vocab": 19
}  # fmt: skip
GROUPED = {**REMAINDERS, "heads": 4, "kv_heads": 2}
SHARED = {**REMAINDERS, "heads": 6, "kv_heads": 2}
CASES = [
    ((1, 1), REMAINDERS, {}),
    ((1, 2), {**GROUPED, "tied": True}, {"tiles": 2}),
    ((2, 1), REMAINDERS, {"tiles": 2}),
    ((2, 2), SHARED, {}),
    ((2, 4), {**GROUPED, "layers": 2}, {"algorithm": "ring"}),
    ((2, 4), {**SHARED, "tied": True}, {}),
    ((3, 2), {**REMAINDERS, "kv_heads": 1}, {"algorithm": "ring"}),
]


@pytest.mark.parametrize(("mesh", "model", "step"), CASES)
def test_loss_and_gradients_are_those_of_the_reference(
    mesh: tuple[int, int], model: dict[str, Any], step: dict[str, Any]
) -> None:
    sizes = StepSizes(model=ModelSizes(**model), rows=mesh[0], cols=mesh[1], sequences=4, length=5, **step)
    weights, (tokens, labels) = random_weights(sizes.model), random_tokens(sizes)
    golden = golden_of(sizes, weights)
    loss, gradients = reference_of(sizes.model).gradients(named(weights), tokens, labels)
    assert golden.step(tokens, labels) == pytest.approx(loss, abs=5e-3)
    for name, got in gradients_of(golden).items():
        wanted = gradients[name]
        assert np.abs(got - wanted).max() < 0.03 * np.abs(wanted).max(), name
    # A rate of 0 changes no bit of a weight.
    assert all(np.array_equal(value, weights[key]) for key, value in golden.weights().items())


def text(sizes: StepSizes) -> tuple[Any, Any]:
    letters = np.frombuffer(b"the quick brown fox jumps over a lazy dog", np.uint8)
    some = (letters[: sizes.sequences * sizes.length + 1] % sizes.model.vocab).astype(np.int64)
    shape = (sizes.sequences, sizes.length)
    return some[:-1].reshape(shape), some[1:].reshape(shape)


@pytest.mark.parametrize(("optimizer", "rate"), [("adam", 0.02), ("sgd", 0.2)])
def test_a_text_is_learned_as_the_reference_learns_it(optimizer: Any, rate: float) -> None:
    sizes = StepSizes(
        model=ModelSizes(hidden=16, heads=2, kv_heads=1, head_dim=4, ffn=24, layers=1, vocab=32),
        rows=1,
        cols=2,
        sequences=2,
        length=8,
        optimizer=optimizer,
    )
    tokens, labels = text(sizes)
    weights = random_weights(sizes.model)
    golden, reference = golden_of(sizes, weights, rate=rate), reference_of(sizes.model)
    exact = named(weights)
    zeros = {name: np.zeros_like(value) for name, value in exact.items()}
    moments, losses = (zeros, zeros), []
    for step in range(1, 31 if optimizer == "adam" else 6):
        loss, gradients = reference.gradients(exact, tokens, labels)
        losses.append(golden.step(tokens, labels))
        assert losses[-1] == pytest.approx(loss, abs=5e-3)
        if optimizer == "adam":
            exact, moments = adam(exact, gradients, moments, step=step, rate=rate)
        else:
            exact = sgd(exact, gradients, rate=rate)
    assert losses[-1] < (0.2 if optimizer == "adam" else 0.9) * losses[0]


def test_every_intermediate_has_a_name_a_tile_and_a_die() -> None:
    sizes = StepSizes(model=ModelSizes(**GROUPED), rows=1, cols=2, sequences=3, length=4, tiles=2)
    golden, trace = golden_of(sizes, random_weights(sizes.model)), StepTrace()
    golden.step(*random_tokens(sizes), trace=trace)
    named_operators = {o.name for section in golden.graph.sections for o in section.operators}
    moves = {
        name for name in named_operators if ".load" in name or name.startswith("load") or "store" in name
    }
    assert {key.operator for key in trace.results} == named_operators - moves
    for tile, tokens in enumerate((4, 8)):
        shards = trace.of("ffn.x", layer=0, tile=tile)
        assert [shard.shape for shard in shards] == [(tokens // 2, 13)] * 2
        # Both operands and sums can be found again: the squares of the norm's own rows.
        residual = trace.of("residual", layer=0, tile=tile, operator="attention.add")[0]
        squares = fp32_values(residual) * fp32_values(residual)
        wanted = row_sum(squares.view(np.uint32), lanes=4)
        assert np.array_equal(trace.of("ffn.squares", layer=0, tile=tile)[0][:, 0], wanted)
        assert np.array_equal(shards[0], float32_to_bf16(fp32_values(residual)))
    with pytest.raises(KeyError, match="nothing of layer None, tile None: no operator wrote it"):
        trace.of("nothing")


def test_sums_of_two_dies_are_added_as_the_engine_adds_them() -> None:
    sizes = StepSizes(model=ModelSizes(**GROUPED), rows=1, cols=2, sequences=2, length=4)
    golden, trace = golden_of(sizes, random_weights(sizes.model)), StepTrace()
    golden.step(*random_tokens(sizes), trace=trace)
    first, second = trace.of("attention.o.partial", layer=0, tile=0)
    sums = trace.of("attention.o.sums", layer=0, tile=0)
    assert np.array_equal(sums[0], fp32_add(second[:4], first[:4]))
    assert np.array_equal(sums[1], fp32_add(first[4:], second[4:]))


def test_a_die_without_tokens_adds_a_positive_zero_to_the_loss() -> None:
    sizes = StepSizes(model=ModelSizes(**GROUPED), rows=3, cols=1, sequences=4, length=5)
    golden, trace = golden_of(sizes, random_weights(sizes.model)), StepTrace()
    golden.step(*random_tokens(sizes), trace=trace)
    assert [len(labels) for labels in trace.of("head.loss", tile=0)] == [10, 10, 0]
    sums = [int(of_die[0, 0]) for of_die in trace.of("loss.sum", tile=0)]
    assert sums[0] > 0
    assert sums[2] == 0


def test_sums_over_heads_are_added_piece_by_piece() -> None:
    """Array of 3 rows and 4 lanes, halves of 5: neither tiles nor beats end with a piece."""
    model = ModelSizes(hidden=24, heads=4, kv_heads=2, head_dim=10, ffn=4, layers=1, vocab=6)
    sizes = StepSizes(model=model, rows=1, cols=2, sequences=2, length=8)
    golden, trace = golden_of(sizes, random_weights(model), rows=3), StepTrace()
    golden.step(*random_tokens(sizes), trace=trace)

    def of(name: str, die: int) -> Any:
        return trace.of(name, layer=0, tile=0)[die]

    def added(u: Any, y: Any, starts: tuple[int, ...], length: int) -> Any:
        total = np.zeros(len(u), np.uint32)
        for start in starts:
            some = slice(start, start + length)
            y_values = fp32_values(y) if y.dtype == np.uint32 else bf16_to_float32(y)
            u_values = fp32_values(u) if u.dtype == np.uint32 else bf16_to_float32(u)
            products = (u_values[:, some] * y_values[:, some]).view(np.uint32)
            total = fp32_add(total, row_sum(products, lanes=4))
        return total[:, None]

    for die in range(2):
        # The low halves of the two query heads, then the high ones; the one key/value head.
        for u, y, starts, length in (
            ("dq_scaled", "q_turned", (0, 10, 5, 15), 5),
            ("dk_scaled", "k_turned", (0, 5), 5),
            ("dv", "values", (0,), 10),
        ):
            wanted = added(of(f"attention.{u}", die), of(f"attention.{y}", die), starts, length)
            assert np.array_equal(of(f"attention.{u}.product", die), wanted)
        weight = random_weights(model)[Parameter("attention.q.weight", 0)].view(np.uint32)
        own = trace.of("attention.q.gradient", layer=0, tile=0)[die]
        wanted = added(weight[:, 20 * die : 20 * die + 20], own, (0, 10, 5, 15), 5)
        assert np.array_equal(trace.of("attention.q.gain_sums", layer=0)[die], wanted.T)
        # dX sums over q, k and v in this order, over their pieces, with tiles of at most 3.
        total = other = np.zeros((16, 24), np.float32)
        for u, pieces in (("q", [5] * 4), ("k", [5] * 2), ("v", [10])):
            gathered = of(f"attention.d{u}_all", die)
            operand = trace.of(f"attention.{u}.operand", layer=0)[die]
            total = bf16_sums(gathered, operand.T, 3, total, pieces)
            other = bf16_sums(gathered, operand.T, 3, other)
        assert np.array_equal(fp32_values(of("attention.dx_partial", die)), total)
        assert not np.array_equal(total, other)


def test_a_trace_keeps_what_is_updated_in_place() -> None:
    sizes = StepSizes(model=ModelSizes(**GROUPED), rows=1, cols=1, sequences=1, length=4)
    golden, trace = golden_of(sizes, random_weights(sizes.model)), StepTrace()
    golden.step(*random_tokens(sizes), trace=trace)
    (scratch,) = [kept for key, kept in trace.scratch.items() if key.operator == "ffn.gate.unfold"]
    ((before,),) = scratch
    (own,) = trace.of("ffn.gate.gradient", layer=0, tile=0)
    (after,) = trace.of("ffn.gate.gradient", layer=0)
    assert np.array_equal(before["x"], own)
    assert np.array_equal(before["y"], after)


def test_replicas_on_a_ring_of_three_are_added_in_its_order() -> None:
    model = ModelSizes(hidden=5, heads=3, kv_heads=1, head_dim=2, ffn=4, layers=1, vocab=6)
    sizes = StepSizes(model=model, rows=1, cols=3, sequences=1, length=4, algorithm="ring")
    golden, trace = golden_of(sizes, random_weights(model)), StepTrace()
    golden.step(*random_tokens(sizes), trace=trace)
    own = trace.of("attention.k.gradient", layer=0, tile=0)
    (first, *others) = trace.of("attention.k.gradient", layer=0, operator="attention.reduce_replicas")
    assert all(np.array_equal(first, other) for other in others)
    # The ring is 0, 2, 1; the chunks of dies 0, 2, 1 are rows 0-1, 2-3 and 4; a die's own part comes last.
    for rows, (a, b, c) in ((slice(2), (2, 1, 0)), (slice(2, 4), (1, 0, 2)), (slice(4, 5), (0, 2, 1))):
        assert np.array_equal(first[rows], fp32_add(fp32_add(own[a][rows], own[b][rows]), own[c][rows]))


def test_a_graph_without_the_sums_of_replicas_is_found_out() -> None:
    sizes = StepSizes(model=ModelSizes(**GROUPED), rows=1, cols=4, sequences=1, length=4)
    weights, (tokens, labels) = random_weights(sizes.model), random_tokens(sizes)
    golden = golden_of(sizes, weights)
    golden.graph = replace(
        golden.graph,
        sections=tuple(
            replace(s, operators=tuple(o for o in s.operators if not isinstance(o, Reduce)))
            for s in golden.graph.sections
        ),
    )
    golden.step(tokens, labels)
    _, wanted = reference_of(sizes.model).gradients(named(weights), tokens, labels)
    got = gradients_of(golden)
    wrong = {
        name for name in got if np.abs(got[name] - wanted[name]).max() > 0.03 * np.abs(wanted[name]).max()
    }
    assert wrong == {"0.k", "0.v"}


@pytest.mark.slow
@pytest.mark.parametrize(("mesh", "tiles"), [((2, 2), 2), ((2, 4), 1), ((3, 2), 1)])
def test_a_larger_model_learns_on_many_dies(mesh: tuple[int, int], tiles: int) -> None:
    model = ModelSizes(hidden=32, heads=4, kv_heads=2, head_dim=8, ffn=64, layers=1, vocab=32)
    sizes = StepSizes(
        model=model, rows=mesh[0], cols=mesh[1], sequences=4, length=10, tiles=tiles, optimizer="adam"
    )
    tokens, labels = text(sizes)
    golden, reference = golden_of(sizes, random_weights(model), rate=0.01), reference_of(model)
    exact = named(random_weights(model))
    zeros = {name: np.zeros_like(value) for name, value in exact.items()}
    moments, losses = (zeros, zeros), []
    for step in range(1, 31):
        loss, gradients = reference.gradients(exact, tokens, labels)
        exact, moments = adam(exact, gradients, moments, step=step, rate=0.01)
        losses.append(golden.step(tokens, labels))
        assert losses[-1] == pytest.approx(loss, abs=5e-3)
    assert losses[-1] < 0.2 * losses[0]


def test_tokens_become_their_rows_of_the_embedding() -> None:
    sizes = StepSizes(model=ModelSizes(**REMAINDERS), rows=2, cols=3, sequences=2, length=5, algorithm="ring")
    weights, (tokens, labels) = random_weights(sizes.model), random_tokens(sizes)
    golden, trace = golden_of(sizes, weights), StepTrace()
    golden.step(tokens, labels, trace=trace)
    table = bf16_to_float32(float32_to_bf16(weights[Parameter("embedding.weight")]))
    shards = trace.of("residual", tile=0, operator="embedding.scatter")
    # Ring of three: the slots of places 0, 1, 2 are 0, 2, 1, and chunks have 4 of the 10 tokens.
    for col, slot in enumerate((0, 2, 1)):
        rows = table[tokens.reshape(-1)[4 * slot : 4 * slot + 4]]
        assert np.array_equal(fp32_values(shards[col]), rows[:, :6])
        assert np.array_equal(fp32_values(shards[3 + col]), rows[:, 6:])


def test_replicas_stay_equal_bit_for_bit() -> None:
    sizes = StepSizes(model=ModelSizes(**SHARED), rows=2, cols=4, sequences=2, length=4, optimizer="adam")
    golden, trace = golden_of(sizes, random_weights(sizes.model), rate=0.01), StepTrace()
    golden.step(*random_tokens(sizes), trace=trace)
    keys = trace.of("attention.k.weight", layer=0)
    # Query heads 0, 1-2, 3, 4-5 on the columns: the first two have key head 0, the others key head 1.
    for row in (0, 4):
        assert [shard.shape[1] for shard in keys[row : row + 4]] == [4, 4, 4, 4]
        assert np.array_equal(keys[row], keys[row + 1])
        assert np.array_equal(keys[row + 2], keys[row + 3])
    gains = trace.of("attention.gain", layer=0)
    assert all(np.array_equal(gain, gains[0]) for gain in gains[:4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("tokens", "labels from 0 to 19: must be from 0 to 18"),
        ("shape", r"tokens are int64 of shape \(2, 3\): must be integers of \(2, 4\)"),
        ("missing", "weight attention.q.weight of layer 0 is missing"),
        ("unknown", "weight attention.q.bias of layer 0 is unknown"),
        ("weight", r"attention.q.weight has shape \(13, 1\): must be \(13, 16\)"),
    ],
)
def test_wrong_inputs_are_named(change: str, message: str) -> None:
    sizes = StepSizes(model=ModelSizes(**GROUPED), rows=1, cols=1, sequences=2, length=4)
    weights: dict[Parameter, Any] = {**random_weights(sizes.model)}
    tokens = np.zeros((2, 3 if change == "shape" else 4), np.int64)
    labels = np.zeros_like(tokens)
    queries = Parameter("attention.q.weight", 0)
    if change == "tokens":
        labels[1, 1] = 19
    elif change == "missing":
        del weights[queries]
    elif change == "unknown":
        weights[Parameter("attention.q.bias", 0)] = np.zeros((1, 16))
    elif change == "weight":
        weights[queries] = np.zeros((13, 1))
    with pytest.raises(ValueError, match=message):
        GoldenTraining(sizes, weights, array_rows=4, lanes=4, settings=ConstantSettings(rate=0)).step(
            tokens, labels
        )
