"""Attention in blocks of keys: what stays on the die, what passes, and when it is used."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.specs import SystemSpec
from chiplet.methods.base import Method
from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.projection.job import StepRequest
from chiplet.projection.project import account, project
from chiplet.schedule.buffers import BLOCK_SHARE, IN_BLOCKS, BlockMemory, DoesNotFitError
from chiplet.schedule.fit import BlockWork, candidates
from chiplet.schedule.mini_batches import batch_of
from chiplet.step.dram_traffic import activation_traffic
from chiplet.workload.llm import Llm
from chiplet.workload.operations import Batch, BlockPasses
from nop.topology import Mesh
from tests.chiplet.machines import PACKAGE, package, small_model, small_package

LONG = 2**17


def _method(model: Llm, recompute: str = "selective") -> Method:
    return method_type("hecaton")(model, Mesh(2, 2), make_switches("hecaton", {"recompute": recompute}), 2)


def _memory(system: SystemSpec, length: int, method: Method, parts: int = IN_BLOCKS) -> BlockMemory:
    return BlockMemory(method, method.blocks()[0], system.die, length, parts)


@given(length=st.integers(1, 2 * LONG), scratchpad=st.integers(2**12, 2**26), rows=st.integers(1, 64))
def test_a_block_takes_half_the_scratchpad_or_is_as_high_as_the_array(
    length: int, scratchpad: int, rows: int
) -> None:
    system = package(f"die.rows={rows}", f"die.scratchpad_bytes={scratchpad}")
    memory = _memory(system, length, _method(small_model(max_positions=2 * LONG)))
    block = memory.key_block
    assert 1 <= block <= length
    used = memory.activation_bytes(length, 1)
    if used > system.die.scratchpad_bytes / 2:
        assert block <= rows
    # Blocks are equally large: one less would leave less than a block for the last.
    blocks = ceil(length / block)
    assert (blocks - 1) * block < length <= blocks * block


def test_more_scratchpad_never_makes_smaller_blocks() -> None:
    method = _method(small_model(max_positions=LONG))
    blocks = [
        _memory(package(f"die.scratchpad_bytes={size}"), LONG, method).key_block
        for size in range(2**16, 2**24, 77_777)
    ]
    assert blocks == sorted(blocks)


def _middle(method: Method, key_block: int, length: int) -> Any:
    _, block, _ = method.passes(method.blocks()[0], Batch(2 * length, 2, length, key_block)).forward
    return block


def test_blocks_multiply_what_strips_do() -> None:
    method = _method(small_model(max_positions=4096))
    whole, blocks = _middle(method, 0, 4096), _middle(method, 512, 4096)
    assert [step.macs for step in blocks.gemms] == [step.macs for step in whole.gemms]
    assert [(step.count, step.k, step.n) for step in blocks.gemms] == [
        (8 * whole.gemms[0].count, 12, 512),
        (8 * whole.gemms[1].count, 512, 12),
    ]
    # The sums of the values are scaled for each block.
    softmax, scaled = blocks.vectors
    assert [softmax] == list(whole.vectors)
    assert scaled.elements == whole.gemms[0].count * 4096 * 12 * 8


@pytest.mark.parametrize("recompute", ["none", "selective", "full"])
def test_scores_are_computed_again_backward(recompute: str) -> None:
    method = _method(small_model(), recompute)
    attention = method.blocks()[0]
    operations = method.passes(attention, Batch(128, 2, 64, 32)).backward
    middle = [operation for operation in operations if operation.name == "attention"][-1]
    assert [gemm.name for gemm in middle.gemms] == ["scores", "dP", "dV", "dQ", "dK"]
    assert [vector.name for vector in middle.vectors] == ["softmax", "softmax backward"]


@pytest.mark.parametrize(("length", "key_block"), [(64, 64), (64, 16), (60, 7), (64, 1)])
def test_traffic_is_that_of_the_loops(length: int, key_block: int) -> None:
    """Tokens read and written, counted loop by loop for one sequence, against the attention in strips."""
    model = small_model(max_positions=64)
    method = _method(model)
    attention = method.blocks()[0]

    def traffic(parts: int, block: int) -> Any:
        return activation_traffic(
            attention, method, length, parts=parts, slices=1, length=length, key_block=block
        )

    (forward, backward), (first, second) = traffic(IN_BLOCKS, key_block), traffic(3, 0)
    blocks = [range(start, min(start + key_block, length)) for start in range(0, length, key_block)]
    keys = queries = sums = 0
    for _ in blocks:  # of queries
        keys += length
    for number, _ in enumerate(blocks):  # of keys
        if number:
            queries += length
            sums += 2 * length
    of_heads, of_keys = 2 * model.query_features, 2 * model.kv_heads * model.head_dim
    again = keys * of_heads - length * of_keys if len(blocks) > 1 else 0
    assert forward.dram - first.dram == pytest.approx(2 * again)
    assert backward.dram - second.dram == pytest.approx(
        2 * queries * of_heads + 4 * sums * model.query_features
    )
    written = (backward.written - second.written) * method.mesh.nodes
    assert written == pytest.approx(4 * sums / 2 * model.query_features)


def test_a_window_limits_what_passes() -> None:
    method = _method(small_model(max_positions=LONG, window=64))
    near, far = (
        activation_traffic(of.blocks()[0], of, 4096, parts=IN_BLOCKS, slices=1, length=4096, key_block=256)[
            0
        ].dram
        for of in (method, _method(small_model(max_positions=LONG)))
    )
    assert near < far / 3


def test_blocks_are_candidates_for_long_sequences() -> None:
    """Whose middle takes more than half of the scratchpad; unless nothing is to be computed again."""
    model = small_model(max_positions=LONG)
    used = []
    for length in (64, 4096, 40_000, 65_536, LONG):
        system = small_package()
        for recompute in ("none", "selective", "full"):
            method = _method(model, recompute)
            work = BlockWork(method, system.die, 1, length, None)
            parts = {fit.parts for fit in candidates(work, method.blocks()[0])}
            long = _memory(system, length, method, 3).middle_bytes > system.die.scratchpad_bytes / BLOCK_SHARE
            assert (IN_BLOCKS in parts) == (long and recompute != "none")
            if recompute == "full":
                used.append(parts)
        memory = _memory(system, length, method)
        assert memory.activation_bytes(length, 1) <= system.die.scratchpad_bytes / BLOCK_SHARE
        assert batch_of(memory, 1).key_block == memory.key_block
    assert IN_BLOCKS not in used[0]
    assert used[-1] == {IN_BLOCKS}


@pytest.mark.parametrize("recompute", ["selective", "full"])
def test_more_scratchpad_never_costs_more(recompute: str) -> None:
    """Around the length at which all keys of a head fit, and where blocks begin."""
    model = small_model(max_positions=LONG, hidden=384, heads=8, kv_heads=8, head_dim=48, ffn=800)
    sizes: dict[str, Any] = {"mesh": (2, 2), "global_batch": 8, "switches": {"recompute": recompute}}
    for length in (3000, 9000, 12_000):
        seconds = [
            project(
                StepRequest(
                    model, package(f"die.scratchpad_bytes={kib * 1024}"), sequence_length=length, **sizes
                )
            ).step_seconds
            for kib in range(4096, 32_768, 2048)
        ]
        for place, one in enumerate(seconds[1:], 1):
            assert one <= 1.02 * min(seconds[:place])


def test_longer_sequences_take_no_leap() -> None:
    """Nor are they quicker for as many tokens."""
    model = small_model(max_positions=LONG, hidden=384, heads=8, kv_heads=8, head_dim=48, ffn=800)
    sizes: dict[str, Any] = {"mesh": (2, 2), "global_batch": 8, "switches": {"recompute": "selective"}}
    system = package("die.scratchpad_bytes=8388608")
    before = 0.0
    for length in range(4000, 20_000, 500):
        seconds = project(StepRequest(model, system, sequence_length=length, **sizes)).step_seconds / length
        assert seconds >= 0.98 * before
        assert before == 0 or seconds <= 1.2 * before
        before = seconds


def test_sequences_of_128_k_are_projected() -> None:
    sizes: dict[str, Any] = {"global_batch": 16, "switches": {"recompute": "full"}, "mesh": (8, 8)}
    model = small_model(
        name="long", layers=22, hidden=2048, heads=32, kv_heads=4, head_dim=64, ffn=5632, max_positions=LONG
    )
    long = project(StepRequest(model, PACKAGE, sequence_length=LONG, **sizes))
    assert long.memory.parts["attention"] == IN_BLOCKS
    short = project(StepRequest(model, PACKAGE, sequence_length=4096, **sizes))
    assert short.memory.parts["attention"] < IN_BLOCKS
    # 32 times the tokens, and 32 times the keys of each.
    assert long.step_seconds > 100 * short.step_seconds
    more = package("die.scratchpad_bytes=33554432")
    assert (
        project(StepRequest(model, more, sequence_length=LONG, **sizes)).step_seconds
        <= 1.02 * long.step_seconds
    )


def test_saved_probabilities_are_refused_with_a_hint() -> None:
    asked = StepRequest(small_model(max_positions=LONG), small_package(), mesh=(2, 2), sequence_length=LONG)
    with pytest.raises(DoesNotFitError, match="DRAM needs .*; recompute=selective saves no probabilities"):
        project(replace(asked, system=small_package("memory.channel_bytes=1000000000")))


@pytest.mark.parametrize("length", [64, 4096, 32768])
def test_skipped_keys_take_no_work(length: int) -> None:
    """Half of it, and what a strip as high as the array has too much."""
    model = small_model(max_positions=LONG)
    sizes: dict[str, Any] = {"mesh": (2, 2), "global_batch": 8, "sequence_length": length}
    computed, skipped = (
        project(
            StepRequest(
                model, small_package(), switches={"masked_keys": keys, "recompute": "selective"}, **sizes
            )
        )
        for keys in ("computed", "skipped")
    )
    assert skipped.memory.parts == computed.memory.parts
    assert skipped.step_seconds < computed.step_seconds
    assert skipped.breakdown.vector_busy < computed.breakdown.vector_busy
    assert skipped.mfu < 1
    if length > 4096:
        assert skipped.step_seconds == pytest.approx(computed.step_seconds / 2, rel=0.05)


def test_a_sequence_that_one_strip_holds_skips_nothing() -> None:
    sizes: dict[str, Any] = {"mesh": (2, 2), "global_batch": 8, "sequence_length": 8}
    computed, skipped = (
        project(
            StepRequest(
                small_model(),
                small_package(),
                switches={"masked_keys": keys, "recompute": "selective"},
                **sizes,
            )
        )
        for keys in ("computed", "skipped")
    )
    assert skipped.step_seconds == computed.step_seconds


def test_probabilities_stay_between_both_passes_only_where_they_fit() -> None:
    """Where they do not, full recomputation computes the scores of each head three times."""
    model = small_model(max_positions=LONG)
    sizes: dict[str, Any] = {"mesh": (2, 2), "global_batch": 8, "sequence_length": 512}
    found = []
    for kib in (256, 65_536):
        system = small_package(f"die.scratchpad_bytes={kib * 1024}")
        done = account(StepRequest(model, system, switches={"recompute": "full"}, **sizes))
        block = next(
            one for one in done.step.passes if one.block == "attention" and one.direction == "backward"
        )
        gemms = [gemm for operation in block.runs[0].operations for gemm in operation.gemms]
        scores = sum(gemm.name == "scores" and gemm.count > 0 for gemm in gemms)
        assert scores == (1 if done.projection.memory.keeps_probabilities else 2)
        found.append(done.projection.memory.keeps_probabilities)
        assert done.projection.memory.buffers["scratchpad"].needed_bytes <= kib * 1024
    assert found == [False, True]


def test_kept_probabilities_take_their_bytes() -> None:
    method = _method(small_model(), "full")
    memory = _memory(PACKAGE, 96, method, 1)
    kept = replace(memory, keeps_probabilities=True)
    heads, sequences = ceil(method.model.heads / 2), ceil(5 / 2)
    more = kept.activation_bytes(5 * 96, 5) - memory.activation_bytes(5 * 96, 5)
    assert more == heads * sequences * 96 * 96 * 2


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_mini_batch_of_one_long_sequence_is_projected(method: str) -> None:
    """Linears take it in parts, and Optimus sends its weights for each of them."""
    model = small_model(max_positions=LONG, hidden=1024, heads=8, kv_heads=8, head_dim=128, ffn=4096)
    system = package("die.scratchpad_bytes=4194304")
    sizes: dict[str, Any] = {"mesh": (2, 2), "global_batch": 2, "sequence_length": 2**15, "mini_batch": 1}
    done = project(StepRequest(model, system, method=method, switches={"recompute": "selective"}, **sizes))
    tokens = done.memory.mini_batch_tokens
    assert tokens["attention"] == 2**15
    assert tokens["ffn"] < 2**15
    assert done.memory.buffers["scratchpad"].needed_bytes <= system.die.scratchpad_bytes


def test_pieces_of_a_mini_batch_send_the_weights_each() -> None:
    method = method_type("optimus")(small_model(), Mesh(2, 2), make_switches("optimus", None), 2)
    attention = method.blocks()[0]
    whole, cut = (method.passes(attention, Batch(128, 2, 64, pieces=pieces)) for pieces in (1, 4))

    def elements(passes: BlockPasses, *, weights: bool) -> Any:
        operations = (*passes.forward, *passes.backward)
        return sum(
            float(step.elements * operation.times)
            for operation in operations
            for step in operation.comms
            if step.weights == weights
        )

    assert elements(cut, weights=True) == 4 * elements(whole, weights=True)
    assert elements(cut, weights=False) == elements(whole, weights=False)
    macs = [
        sum(g.macs * one.times for one in (*passes.forward, *passes.backward) for g in one.gemms)
        for passes in (whole, cut)
    ]
    assert macs[0] == macs[1]
