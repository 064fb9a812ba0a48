"""Vector passes of a block beside its products: folds of the graph's descriptions, with the sizes of a model.

Every method runs the same descriptions. The graph's own variant is that of a norm that is folded into the linear behind
it, which needs a method whose sums of a token are spread over dies, and RMSNorm. In others an operator stands for
other programs, or for none (``_WHOLE_ROWS``, ``_WITHOUT_GATE``). What the graph has no part for is counted as a program
on elements: :meth:`VectorPasses.program`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import NamedTuple

from chiplet.graph.descriptions import (
    attention_operators,
    ffn_operators,
    norm_operators,
    vocabulary_operators,
    weight_operators,
)
from chiplet.graph.descriptions.description import TOKENS, Description
from chiplet.graph.descriptions.shared_programs import CAST, Optimizer
from chiplet.graph.vector_work import VectorWork, program_work, work_of
from chiplet.methods.graph_fold import Sizes, runs
from chiplet.vectorized.elementwise import Number, is_array
from chiplet.workload.layer import Layer
from chiplet.workload.llm import Llm
from chiplet.workload.operations import FusedBlock, VectorStep

__all__ = ["VectorPasses"]

_SHOWN = {
    "norm": "norm",
    "norm_backward": "norm",
    "add": "residual",
    "rotary_q": "rotary",
    "rotary_k": "rotary",
    "rotary_dq": "rotary backward",
    "rotary_dk": "rotary backward",
    **dict.fromkeys(("scale_q", "scale_k", "scale_dq", "scale_dk"), "scaling"),
    **dict.fromkeys(("norm_product_q", "norm_product_k"), "scaling"),
    **dict.fromkeys(("scale_v", "scale_dv", "norm_product_v"), "scaling of values"),
    "cast_do": "cast",
    **dict.fromkeys(("silu", "silu_backward", "scale_dinner"), "activation"),
    **{f"norm_product_{part}": "activation" for part in ("gate", "up")},
    **dict.fromkeys(("scale_logits", "cross_entropy", "cross_entropy_backward", "norm_product"), "loss"),
}
"""Operators as results name them."""

_CAST = work_of(CAST)

_WHOLE_ROWS: Mapping[str, tuple[VectorWork, ...]] = {
    **dict.fromkeys(("scale_q", "scale_k", "scale_dq", "scale_dk", "scale_dinner", "scale_logits"), ()),
    **{f"norm_product{part}": () for part in ("", "_q", "_k", "_v", "_gate", "_up")},
    "scale_v": (_CAST,),
    "scale_dv": (_CAST,),
    "silu": (program_work("silu"),),
    "cross_entropy_backward": (program_work("cross-entropy-backward"),),
}
"""What operators are where a die has whole rows of a norm, or it is none that folds: outputs need no scale."""

_NORMS: Mapping[str, Mapping[str, tuple[VectorWork, ...]]] = {
    norm: {
        "norm": (program_work(norm),),
        "norm_backward": (program_work(f"{norm}-backward"),),
    }
    for norm in ("rmsnorm", "layernorm")
}

_WITHOUT_GATE: Mapping[str, tuple[VectorWork, ...]] = {
    "silu": (program_work("gelu"),),
    "silu_backward": (program_work("gelu-backward"),),
    "norm_product_up": (),
}


class _Variant(NamedTuple):
    """Whether a norm is folded into the linear behind it, which norm it is, and whether the FFN has a gate."""

    folded: bool
    norm: str
    gated: bool


class _Passes(NamedTuple):
    """Passes over features of all tokens: what results call them, the features by name, what each element demands."""

    name: str
    features: tuple[str, ...]
    work: VectorWork


@cache
def _passes(description: Description, variant: _Variant) -> tuple[_Passes, ...]:
    """The passes of ``description``; those of one name are one, as far as they are alike.

    Errors as for :func:`chiplet.methods.graph_fold.runs`.
    """
    others: dict[str, tuple[VectorWork, ...]] = {}
    if not variant.folded:
        others |= {**_WHOLE_ROWS, **_NORMS[variant.norm]}
    if not variant.gated:
        others |= _WITHOUT_GATE
    total: dict[tuple[str, str], VectorWork] = {}
    for of in runs(description):
        tokens, features = of.elements.names
        assert tokens == TOKENS, of.name
        for work in others.get(of.name, (of.work,)):
            key = _SHOWN[of.name], features
            total[key] = total.get(key, VectorWork()) + work
    alike: dict[tuple[str, VectorWork], tuple[str, ...]] = {}
    for (name, features), work in total.items():
        alike[name, work] = (*alike.get((name, work), ()), features)
    return tuple(_Passes(name, features, work) for (name, work), features in alike.items())


class VectorPasses:
    """Vector passes of ``model`` on ``nodes`` dies, each of which has an equal part of all of them.

    ``folds``: the method spreads the sums of a token over dies, so that an RMSNorm is folded into the linear behind it.
    """

    def __init__(self, model: Llm, nodes: Number, *, folds: bool) -> None:
        self.model = model
        self.nodes = nodes
        self.folds = folds

    def folds_into(self, block: FusedBlock) -> bool:
        """Whether the first linear of ``block`` has the gain of the norm in front of it."""
        model = self.model
        if (
            not self.folds
            or model.norm != "rmsnorm"
            or block.name == "input"
            or block.layer.latent is not None
        ):
            return False
        if block.name == "head":
            return model.final_norm and not block.inner
        return model.norms == 4 or not model.norms_after

    # ---- passes of the graph's descriptions ----

    def norm(
        self, features: Number, tokens: Number, *, folded: bool, backward: bool, first: bool = False
    ) -> tuple[VectorStep, ...]:
        """A norm of ``features``; backward, one that is folded has the sum of the residual gradients in it, unless it
        is the ``first`` of the backward pass.
        """
        description = norm_operators.FORWARD
        if backward:
            description = norm_operators.BACKWARD_FIRST if first else norm_operators.BACKWARD
        return self._steps(description, {TOKENS: tokens, "inputs": features}, folded=folded)

    def residual(self, tokens: Number) -> tuple[VectorStep, ...]:
        """The sum of a block's input and output."""
        return self._steps(norm_operators.RESIDUAL, {TOKENS: tokens, "inputs": self.model.hidden})

    def attention_inputs(
        self, layer: Layer, tokens: Number, kv_heads: Number, *, folded: bool, backward: bool
    ) -> tuple[VectorStep, ...]:
        """Scales and rotary positions of queries, keys and values. Rotary keys of latent attention are one head's;
        features without positions become operands.
        """
        of_pass = attention_operators.INPUTS_BACKWARD if backward else attention_operators.INPUTS_FORWARD
        keys, turned = (kv_heads if layer.latent is None else layer.heads), layer.rotary_features
        sizes = {
            TOKENS: tokens,
            "query features": layer.heads * layer.head_dim,
            "turned query features": layer.heads * turned,
            "features of keys": keys * layer.head_dim,
            "turned features of keys": (keys if layer.latent is None else 1) * turned,
            "features of values": keys * layer.value_dim,
        }
        steps = self._steps(of_pass, sizes, folded=folded)
        if turned < layer.head_dim:
            others = tokens * (layer.heads + keys) * (layer.head_dim - turned)
            steps += self._of("scaling without positions", _CAST, others)
        return steps

    def attention_output(self, layer: Layer, tokens: Number) -> tuple[VectorStep, ...]:
        """The gradient of the attention's output, as an operand."""
        sizes = {TOKENS: tokens, "mixed features": layer.output_features}
        return self._steps(attention_operators.OUTPUT_BACKWARD, sizes)

    def activation(
        self, layer: Layer, tokens: Number, *, folded: bool, backward: bool
    ) -> tuple[VectorStep, ...]:
        """The activation of an FFN."""
        of_pass = ffn_operators.BACKWARD if backward else ffn_operators.FORWARD
        return self._steps(of_pass, {TOKENS: tokens, "inner features": layer.inner_features}, folded=folded)

    def loss(self, tokens: Number, *, folded: bool) -> tuple[VectorStep, ...]:
        """Softmax and loss of the head, forward and backward at once."""
        sizes = {TOKENS: tokens, "vocabulary": self.model.vocab}
        return self._steps(vocabulary_operators.LOSS, sizes, folded=folded)

    # ---- what the graph has no part for ----

    def program(self, name: str, elements: Number, shown: str = "") -> tuple[VectorStep, ...]:
        """The vector program called ``name`` on ``elements`` of all dies."""
        return self._of(shown or name, program_work(name), elements)

    # ---- once a step ----

    def update(self, optimizer: Optimizer, parameters: Number, weights: Mapping[str, Number]) -> VectorWork:
        """Updates of ``parameters``, and what follows from gains of norms that are folded into ``weights`` behind
        them, by the label of their block: their gradients, and those of the gains; on all dies together.

        Each weight has an operand. Of a tied table the head has one of its own, and their gradients are summed.
        """
        operand = _work(weight_operators.CAST_WEIGHT)
        work: VectorWork = (_work(weight_operators.update_operators(optimizer)) + operand) * parameters
        for label, count in weights.items():
            if label == "head" and self.model.tied:
                work += self._behind_norm(weight_operators.GAIN_TIED, weight_operators.TIED_SUM) * count
            else:  # its only operand is the one with the gain
                work += (self._behind_norm(weight_operators.GAIN) + operand * -1) * count
        return work

    @staticmethod
    def _behind_norm(*descriptions: Description) -> VectorWork:
        """What a weight behind a norm demands besides its update: operand, gradient, and ``descriptions``."""
        total = VectorWork()
        for description in (weight_operators.FOLD, weight_operators.UNFOLD, *descriptions):
            total += _work(description)
        return total

    # ---- steps ----

    @cached_property
    def _variants(self) -> dict[bool, _Variant]:
        model = self.model
        return {folded: _Variant(folded, model.norm, model.gated) for folded in (False, True)}

    def _steps(
        self, description: Description, sizes: Sizes, *, folded: bool = False
    ) -> tuple[VectorStep, ...]:
        return tuple(self._sized(_passes(description, self._variants[folded]), sizes))

    def _sized(self, passes: tuple[_Passes, ...], sizes: Sizes) -> Iterator[VectorStep]:
        for name, features, work in passes:
            elements = sizes[TOKENS] * sum(sizes[feature] for feature in features)
            if is_array(elements) or elements:
                yield VectorStep(name, elements / self.nodes, work, elements)

    def _of(self, name: str, work: VectorWork, elements: Number) -> tuple[VectorStep, ...]:
        return (VectorStep(name, elements / self.nodes, work, elements),)


def _work(description: Description) -> VectorWork:
    """What all passes of ``description`` demand for each element, which are the same for all."""
    total = VectorWork()
    for of in runs(description):
        total += of.work
    return total
