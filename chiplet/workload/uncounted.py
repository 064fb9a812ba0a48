"""What a projection does not count of a model that it projects, as assumed inputs."""

from __future__ import annotations

from collections.abc import Iterator

from chiplet.machine.sources import Input
from chiplet.workload.llm import Llm

_USUAL_FUNCTIONS = {True: ("silu", "swish"), False: ("gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast")}
"""Functions of the FFN, with a gate and without, whose vector program is the one that is counted."""

_LEFT_OUT = {"num_nextn_predict_layers": "extra prediction layers, left out of parameters and work"}


def uncounted_inputs(model: Llm, length: int) -> list[Input]:
    """One input for each part of ``model`` that is simplified for sequences of ``length`` tokens; often none."""
    return [
        Input(name=f"model.{name}", value=float(value), unit=unit, status="assumed", source=source)
        for name, value, unit, source in _entries(model, length)
    ]


def _entries(model: Llm, length: int) -> Iterator[tuple[str, float, str, str]]:
    if model.part:
        yield "part", model.parameters, "parameters", f"{model.part}: the rest of the model is left out"
    if model.window is not None and length > model.window:
        layers = f"{model.window_layers} of {model.layers} layers"
        yield (
            "window",
            model.window,
            "tokens",
            f"{layers} attend to these only: counted for each query, of which a strip needs a few more",
        )
    if model.bias_parameters:
        yield (
            "biases",
            model.bias_parameters,
            "parameters",
            "stored and updated; their additions and gradients are not counted as work",
        )
    if model.parallel:
        yield (
            "parallel_blocks",
            model.layers,
            "layers",
            "attention and FFN run one after the other; reading their common input twice is not counted",
        )
    if model.norms_after or model.qk_norm == "features":
        yield (
            "norm_sums",
            model.norm_sums,
            "sums a token",
            "of norms behind a block, and of all queries and keys: their way over the NoP is not counted",
        )
    if model.sinks:
        yield "sinks", model.heads, "heads", "the score of each that takes no value is not counted as work"
    if model.experts is not None:
        yield (
            "expert_imbalance",
            1.0,
            "busiest over mean",
            "tokens are spread evenly over the experts, of which every die has a part",
        )
        yield (
            "expert_choice",
            model.experts.active,
            "experts a token",
            "scores are counted; choosing, sorting tokens by expert and weighting outputs are not",
        )
    if model.embedding_norm:
        yield "embedding_norm", model.hidden, "features a token", "its work is not counted"
    if model.linear_positions:
        yield "linear_positions", model.heads, "heads", "ALiBi: its additions to scores are not counted"
    if model.activation not in ("", *_USUAL_FUNCTIONS[model.gated]):
        usual = _USUAL_FUNCTIONS[model.gated][0]
        yield "activation", model.ffn, "features a token", f"{model.activation} is counted as {usual}"
    for key, value in model.uncounted:
        yield key, value, "", _LEFT_OUT.get(key, "its work, element by element, is not counted")
    if model.unknown:
        keys = ", ".join(model.unknown)
        yield "unknown_keys", len(model.unknown), "keys", f"taken to change neither shape nor work: {keys}"
