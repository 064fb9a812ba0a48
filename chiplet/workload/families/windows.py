"""Windows of attention: which layers see the last tokens only, in each family's own keys.

Rules are those of the ``__post_init__`` of the configuration classes of ``transformers``.
"""

from __future__ import annotations

from typing import Any, Literal

from chiplet.workload.families.config_keys import ConfigKeys

WindowRule = Literal[
    "none", "all", "switched", "switched-upper", "switched-even", "even", "pattern", "chunks"
]
"""Layers with a window: none of this family, all, all if ``use_sliding_window``, of these those from
``max_window_layers`` on or every other one below, every other one, all but each n-th, or those with rotary positions.
"""

_LIMITED, _FULL = {"sliding_attention", "chunked_attention"}, {"full_attention"}


def read_window(keys: ConfigKeys, layers: int, rule: WindowRule, default: int | None) -> dict[str, Any]:
    """``window`` in tokens and ``full_layers`` without it, fields of :class:`chiplet.workload.llm.Llm`; ``default``
    where the file has no window.

    Raises
    ------
    ValueError
        In one line, for keys of the wrong type, and for layers with neither full attention nor a window.
    """
    if rule == "none":
        return {}
    window = keys.optional("attention_chunk_size" if rule == "chunks" else "sliding_window", default)
    if rule.startswith("switched") and not keys.flag("use_sliding_window", False):
        window = None
    limited = _limited_layers(keys, layers, rule)
    if window is None or not any(limited):
        return {}
    full = tuple(number for number in range(layers) if not limited[number])
    # Layers of chunks are those with rotary positions.
    return {"window": window, "full_layers": full, "full_without_positions": rule == "chunks" and bool(full)}


def _limited_layers(keys: ConfigKeys, layers: int, rule: WindowRule) -> list[bool]:
    """Whether each layer has a window: as ``layer_types`` says, or by the rule of the family."""
    by_rule = _limited_by_rule(keys, layers, rule)
    types = keys.entries("layer_types", str, "strings")
    if types is None:
        return by_rule
    for kind in types:
        if kind not in _LIMITED | _FULL:
            raise keys.refusal(
                "layer_types", kind, "cannot be counted; must be sliding_attention or full_attention"
            )
    if len(types) != layers:
        raise keys.refusal("layer_types", types, f"must have one entry for each of {layers} layers")
    limited = [kind in _LIMITED for kind in types]
    if rule == "chunks" and limited != by_rule:
        raise keys.refusal(
            "layer_types",
            types,
            "must be chunked_attention in the layers with rotary positions, and only there",
        )
    return limited


def _limited_by_rule(keys: ConfigKeys, layers: int, rule: WindowRule) -> list[bool]:
    numbers = range(layers)
    if rule == "switched-upper":
        first = keys.count("max_window_layers", default=28)
        return [number >= first for number in numbers]
    if rule == "switched-even":
        last = keys.count("max_window_layers", default=28)
        return [number < last and number % 2 == 0 for number in numbers]
    if rule == "even":
        return [number % 2 == 0 for number in numbers]
    if rule == "pattern":
        each = keys.size("sliding_window_pattern", "_sliding_window_pattern", default=6)
        return [(number + 1) % each != 0 for number in numbers]
    if rule == "chunks":
        rotary = keys.entries("no_rope_layers", int, "0 and 1")
        each = keys.size("no_rope_layer_interval", default=4)
        if rotary:
            return [number < len(rotary) and bool(rotary[number]) for number in numbers]
        return [(number + 1) % each != 0 for number in numbers]
    return [True] * layers
