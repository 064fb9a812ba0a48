"""The middle of an attention: scores, softmax and values, local to a die under every method."""

from __future__ import annotations

from dataclasses import replace

from chiplet.graph.descriptions import attention_operators
from chiplet.graph.descriptions.description import TOKENS, Description
from chiplet.graph.vector_work import VectorWork, program_work
from chiplet.methods.graph_fold import products, runs
from chiplet.vectorized.elementwise import Number, anywhere, ceil_div, choose, larger
from chiplet.workload.layer import Layer
from chiplet.workload.operations import Batch, GemmStep, Operation, VectorStep

_NAMES = {
    "product_qk": "scores",
    "softmax": "softmax",
    "product_pv": "values",
    "product_dp": "dP",
    "product_dv": "dV",
    "softmax_backward": "softmax backward",
    "product_dq": "dQ",
    "product_dk": "dK",
}
"""Steps as results name them, by their operators."""

_WHOLE = {"row": 1, "column": 1}
"""Parts into which the sequence and the head of a product are split."""


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
    of_all = {
        TOKENS: length,
        "tokens of keys": reach,
        "keys": reach,
        "key features": layer.head_dim,
        "value features": layer.value_dim,
    }
    of_block = {**of_all, "tokens of keys": keys, "keys": keys}

    def gemms(description: Description) -> tuple[GemmStep, ...]:
        """Every die has whole heads, so that nothing of a product of one head is split."""
        return tuple(
            GemmStep(
                _NAMES[of.name],
                *of.sizes(of_block, _WHOLE),
                pairs * blocks,
                all_pairs * of.work(of_all),
                None,
            )
            for of in products(description)
        )

    def vectors(description: Description) -> tuple[VectorStep, ...]:
        return tuple(
            vector(_NAMES[of.name], of.work, of.elements.of(of_all, _WHOLE)) for of in runs(description)
        )

    def vector(name: str, work: VectorWork, elements: Number, times: Number = 1) -> VectorStep:
        return VectorStep(name, pairs * elements * times, work, all_pairs * elements * times)

    core, gradients = gemms(attention_operators.FORWARD), gemms(attention_operators.BACKWARD)
    softmax, backward = vectors(attention_operators.FORWARD), vectors(attention_operators.BACKWARD)
    scaled = vector(
        "sums of values", program_work("residual"), length * layer.value_dim, choose(in_blocks, blocks, 0)
    )
    forward = Operation(
        "attention",
        (),
        core,
        (*softmax, scaled) if anywhere(in_blocks) else softmax,
        pairs * length,
    )
    again: Number = choose(in_blocks, 1, scores_again)
    if anywhere(again > 0):
        scores = core[0]
        gradients = (replace(scores, count=scores.count * again, macs=scores.macs * again), *gradients)
        backward = (
            *(replace(of, elements=of.elements * again, total=of.total * again) for of in softmax),
            *backward,
        )
    return forward, Operation("attention", (), gradients, backward, pairs * length)
