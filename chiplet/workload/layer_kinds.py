"""Layers that are alike in their attention or in their FFN: what holds for one of them holds for all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chiplet.workload.layer import Layer


@dataclass(frozen=True)
class LayerKind:
    """The layers ``numbers`` of a model, whose ``block`` is that of ``layer``; a range has all layers.

    ``label`` is the name of the block, and what sets it apart where layers differ.
    """

    block: str
    label: str
    layer: Layer
    numbers: range | frozenset[int]

    def count(self, numbers: Collection[int]) -> int:
        """How many of the layers ``numbers`` are of this kind."""
        if isinstance(self.numbers, range):
            return len(numbers)
        return sum(number in self.numbers for number in numbers)


def layer_kinds(
    model: Layer,
    layers: int,
    block: str,
    labels: tuple[str, str],
    without: Sequence[int],
    changes: Mapping[str, Any],
) -> tuple[LayerKind, ...]:
    """The kinds of the ``layers`` of ``model`` by their ``block``, in the order of their first layers.

    The layers ``without`` what the others have differ by ``changes``; ``labels`` are of the others and of these.
    """
    if not without:
        return (LayerKind(block, block, model, range(layers)),)
    lacking = frozenset(without)
    values = {name: getattr(model, name) for name in Layer.model_fields}
    kinds = (
        LayerKind(block, f"{block}_{labels[0]}", Layer(**values), frozenset(range(layers)) - lacking),
        LayerKind(block, f"{block}_{labels[1]}", Layer(**(values | dict(changes))), lacking),
    )
    return tuple(sorted(kinds, key=lambda kind: min(kind.numbers)))


def neighbours(
    layers: int, attention: Sequence[LayerKind], ffn: Sequence[LayerKind]
) -> dict[str, tuple[str, ...]]:
    """For each label those of the blocks that run before or after it in any of the ``layers``."""
    if len(attention) == len(ffn) == 1:
        return {attention[0].label: (ffn[0].label,), ffn[0].label: (attention[0].label,)}
    beside: dict[str, dict[str, None]] = {kind.label: {} for kind in (*attention, *ffn)}
    before: list[str] = []
    for number in range(layers):
        for kinds in (attention, ffn):
            (label,) = (kind.label for kind in kinds if number in kind.numbers)
            for other in before:
                beside[label][other] = beside[other][label] = None
            before = [label]
    return {label: tuple(others) for label, others in beside.items()}
