"""The fused blocks of a model, each once for all layers that are alike in it."""

from __future__ import annotations

from chiplet.vectorized.elementwise import Number
from chiplet.workload.latent import LatentAttention
from chiplet.workload.layer import Layer
from chiplet.workload.layer_kinds import LayerKind, neighbours
from chiplet.workload.llm import Llm
from chiplet.workload.operations import FusedBlock, Linear


def model_blocks(model: Llm, kv_heads: Number) -> tuple[FusedBlock, ...]:
    """The blocks of ``model`` with ``kv_heads`` key/value heads, in the order of their first layers.

    Attention and FFN of each kind, before them the input where the embedding has another width than the layers, and
    behind them the output head, which has the loss in its middle.
    """
    attention, ffn = model.attention_kinds, model.ffn_kinds
    beside = neighbours(model.layers, attention, ffn)
    blocks = [_attention(kind, kv_heads, beside[kind.label]) for kind in attention]
    blocks += [_ffn(kind, beside[kind.label]) for kind in ffn]
    (first,) = (kind.label for kind in attention if 0 in kind.numbers)
    (last,) = (kind.label for kind in ffn if model.layers - 1 in kind.numbers)
    narrow, hidden, vocab = model.table_features, model.hidden, model.vocab
    if not model.narrow:
        head = FusedBlock(
            "head", Linear("head", hidden, vocab, True), None, model, label="head", neighbours=(last,)
        )
        return (*blocks, head)
    # Rows of the embedding come from memory in any layout: that of the second linear of a block leads to the first.
    entry = Linear("in", narrow, hidden, False)
    out, head_linear = Linear("out", hidden, narrow, True), Linear("head", narrow, vocab, True)
    return (
        FusedBlock("input", entry, None, model, label="input", neighbours=(first,)),
        *blocks,
        FusedBlock("head", out, None, model, (head_linear,), label="head", neighbours=(last,)),
    )


def _attention(kind: LayerKind, kv_heads: Number, beside: tuple[str, ...]) -> FusedBlock:
    layer = kind.layer
    first: tuple[Linear, ...]
    if layer.latent is None:
        first = (Linear("QKV", layer.hidden, layer.qkv_features(kv_heads), True, by_heads=True),)
    else:
        first = _latent_linears(layer, layer.latent)
    output = Linear("O", layer.output_features, layer.hidden, False, by_heads=True)
    return FusedBlock("attention", first[0], output, layer, first[1:], kind.label, len(kind.numbers), beside)


def _latent_linears(layer: Layer, latent: LatentAttention) -> tuple[Linear, ...]:
    """The linears before the scores: those that make latent features, as one, then those that read them.

    Queries without latent features are made by the first one.
    """
    hidden, shared = layer.hidden, latent.shared_features
    keys_values = Linear(
        "up KV", latent.value_rank, latent.key_value_features(layer.heads), True, by_heads=True
    )
    if not latent.query_rank:
        return Linear("Q, latent KV", hidden, layer.query_features + shared, True, by_heads=True), keys_values
    queries = Linear("up Q", latent.query_rank, layer.query_features, True, by_heads=True)
    return Linear("latent QKV", hidden, latent.query_rank + shared, True), queries, keys_values


def _ffn(kind: LayerKind, beside: tuple[str, ...]) -> FusedBlock:
    layer = kind.layer
    first, second = (None, None) if layer.experts is None else (layer.experts.expand, layer.experts.contract)
    return FusedBlock(
        "ffn",
        Linear("gate, up" if layer.gated else "up", layer.hidden, layer.ffn_in_features, True, mixture=first),
        Linear("down", layer.inner_features, layer.hidden, False, mixture=second),
        layer,
        (),
        kind.label,
        len(kind.numbers),
        beside,
    )
