"""The middle of an attention: scores, softmax and values, local to a die under every method."""

from __future__ import annotations

from dataclasses import replace

from chiplet.graph.vector_work import program_work
from chiplet.vectorized.elementwise import Number, anywhere, ceil_div, choose, larger
from chiplet.workload.layer import Layer
from chiplet.workload.operations import Batch, GemmStep, Operation, VectorStep


def attention_core(
    layer: Layer,
    batch: Batch,
    *,
    head_groups: Number,
    sequence_groups: Number,
    strip: Number | None,
    scores_again: Number,
) -> tuple[Operation, Operation]:
    """Both passes over scores, softmax and values, for which every die has whole heads of whole sequences.

    Masked keys are skipped for ``strip`` queries at a time, or computed. In blocks of keys, the sums of the values so
    far are scaled for each block, and scores and softmax are computed again in the backward pass, as they are
    elsewhere if ``scores_again`` is 1.
    """
    length = batch.length
    reach = layer.attention_reach(length * batch.context, strip)
    in_blocks = batch.key_block > 0
    blocks = choose(in_blocks, ceil_div(reach, larger(1, batch.key_block)), 1)
    keys = ceil_div(reach, blocks)
    pairs = ceil_div(batch.sequences, sequence_groups) * ceil_div(layer.heads, head_groups)
    all_pairs = batch.sequences * layer.heads
    key_dim, value_dim = layer.head_dim, layer.value_dim

    def gemm(name: str, m: Number, k: Number, n: Number, features: int) -> GemmStep:
        return GemmStep(name, m, k, n, pairs * blocks, all_pairs * length * reach * features, None)

    def vector(name: str, program: str, elements: Number, times: Number = 1) -> VectorStep:
        return VectorStep(name, pairs * elements * times, program_work(program), all_pairs * elements * times)

    scores = gemm("scores", length, key_dim, keys, key_dim)
    softmax = vector("softmax", "softmax", length * reach)
    scaled = vector("sums of values", "residual", length * value_dim, choose(in_blocks, blocks, 0))
    forward = Operation(
        "attention",
        (),
        (scores, gemm("values", length, keys, value_dim, value_dim)),
        (softmax, scaled) if anywhere(in_blocks) else (softmax,),
        pairs * length,
    )
    gradients: tuple[GemmStep, ...] = (
        gemm("dV", length, keys, value_dim, value_dim),
        gemm("dP", length, value_dim, keys, value_dim),
        gemm("dQ", length, keys, key_dim, key_dim),
        gemm("dK", length, keys, key_dim, key_dim),
    )
    again: Number = choose(in_blocks, 1, scores_again)
    vectors: tuple[VectorStep, ...] = (vector("softmax backward", "softmax-backward", length * reach),)
    if anywhere(again > 0):
        scores = replace(scores, count=scores.count * again, macs=scores.macs * again)
        gradients = (scores, *gradients)
        vectors = (vector("softmax", "softmax", length * reach, again), *vectors)
    return forward, Operation("attention", (), gradients, vectors, pairs * length)
