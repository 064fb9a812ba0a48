"""The graph of a whole training step."""

from __future__ import annotations

from chiplet.graph.graph import Graph
from chiplet.graph.training.attention import Attention
from chiplet.graph.training.builder import StepBuilder
from chiplet.graph.training.ffn import Ffn
from chiplet.graph.training.head import Vocabulary
from chiplet.graph.training.sizes import StepSizes
from chiplet.graph.training.updates import Updates

__all__ = ["training_step"]


def training_step(sizes: StepSizes) -> Graph:
    """The graph of a training step with ``sizes``: forward and backward for each token tile, the ends of sums behind
    the tiles of the batch, and once a step the operands of weights first and their updates last.
    """
    builder = StepBuilder(sizes)
    builder.layered = False
    vocabulary, updates = Vocabulary(builder), Updates(builder)
    updates.gain("head")
    builder.layered = True
    attention, ffn = Attention(builder), Ffn(builder)
    for norm in ("attention", "ffn"):
        updates.gain(norm)
    tied = sizes.model.tied
    layer_weights = (*attention.inputs, attention.output, *ffn.inputs, ffn.output)

    builder.layered = False
    ends = (vocabulary.embedding, *(() if tied else (vocabulary.head,)))
    builder.load("load_ends", *(weight.master for weight in ends), "head.gain", *attention.tables)
    for weight in (vocabulary.embedding, vocabulary.head):
        builder.fold(weight)
    builder.section("operands", "step", "once")
    builder.layered = True
    builder.load("load_layer", *(weight.master for weight in layer_weights), "attention.gain", "ffn.gain")
    for weight in layer_weights:
        builder.fold(weight)
    builder.section("operands of layers", "step", "up")

    builder.layered = False
    builder.load("load_tokens", "tokens", "labels", "loss.sum")
    vocabulary.embed()
    builder.section("embedding", "tile", "once")
    builder.layered = True
    for norm, part in (("attention", attention), ("ffn", ffn)):
        part.forward()
        builder.add(norm, part.output)
    builder.section("layers forward", "tile", "up")
    builder.layered = False
    vocabulary.loss()
    builder.section("loss", "tile", "once")
    builder.layered = True
    ffn.backward()
    attention.backward()
    builder.section("layers backward", "tile", "down")
    builder.layered = False
    vocabulary.embed_backward()
    builder.section("embedding backward", "tile", "once")

    vocabulary.loss_of_batch()
    if tied:
        updates.tied_gain_gradient(vocabulary.head)
    else:
        updates.gain_gradient("head", (vocabulary.head,))
    updates.unfold(vocabulary.head)
    if tied:
        updates.tied_sum(vocabulary.embedding, vocabulary.head)
    builder.section("sums", "batch", "once")
    builder.layered = True
    updates.gain_gradient("attention", attention.inputs)
    updates.gain_gradient("ffn", ffn.inputs)
    updates.replicas(attention.inputs)
    for weight in (*attention.inputs, *ffn.inputs):
        updates.unfold(weight)
    builder.section("sums of layers", "batch", "up")

    builder.layered = False
    updates.update("head.gain", "head.gain")
    for weight in ends:
        updates.update(weight.name, weight.master)
    builder.section("updates", "step", "once")
    builder.layered = True
    for norm in ("attention", "ffn"):
        updates.update(f"{norm}.gain", f"{norm}.gain")
    for weight in layer_weights:
        updates.update(weight.name, weight.master)
    builder.section("updates of layers", "step", "up")
    return Graph(
        sizes.rows, sizes.cols, sizes.algorithm, sizes.model.layers, builder.tensors, tuple(builder.sections)
    )
