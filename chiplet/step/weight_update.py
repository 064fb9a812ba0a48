"""The update of the weights behind the backward pass: what of it is left to wait for.

The gradients of a block are complete when its backward pass of the last round is over. While the array goes on with the
next block of the backward pass, DRAM and vector unit update its weights beside what that pass asks of them. So a pass
of e seconds on the package, with m seconds of DRAM and v of the vector unit, takes max(e, m + M, v + V) together with
the update of the block before it, which asks M and V of them. Behind the last block of the backward pass nothing goes
on: its weights, and those of the embedding, whose gradients it completes, are waited for, and so are gains and biases,
which are few. A tied embedding has the gradients of the head, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chiplet.methods.base import Method
from chiplet.step.dram_traffic import weight_bytes
from chiplet.step.fused_blocks import PassAccount
from chiplet.vectorized.elementwise import Number, larger
from chiplet.workload.llm import Llm

__all__ = ["WeightUpdate"]


@dataclass(frozen=True)
class WeightUpdate:
    """The update of all weights of a package.

    Attributes
    ----------
    dram, vector
        Seconds that it asks of DRAM with the memory plane, and of the vector units.
    shares
        Of each block in one layer, by its label, the part of the parameters that can be updated when its pass is over.
    behind
        For each block how often the update of another one runs behind its backward pass.
    last
        Part of the parameters that nothing follows.
    last_round
        Part of the sequences that are in the last round.
    """

    dram: Number
    vector: Number
    shares: Mapping[str, Number]
    behind: Mapping[str, Mapping[str, int]]
    last: Number
    last_round: Number

    @classmethod
    def of(
        cls,
        method: Method,
        seconds: tuple[Number, Number],
        *,
        parameters: Number,
        layers: Sequence[int],
        ends: Sequence[str],
        last_round: Number,
        overlap: bool,
    ) -> WeightUpdate:
        """The update of ``parameters``: those of the layers with numbers ``layers``, and of ``ends``, input and head,
        as far as the model has these blocks.

        It takes ``seconds`` of DRAM and of the vector units. Without ``overlap`` it follows the backward pass.
        """
        dram, vector = seconds
        if not overlap:
            return cls(dram, vector, {}, {}, 1.0, last_round)
        weights = {
            block.label: weight_bytes(block, method)[0] / method.element_bytes for block in method.blocks()
        }
        order = _backward_order(method.model, layers, [label for label in ends if label in weights])
        if method.model.tied:
            weights["head"] = 0.0
        pairs: dict[str, Counter[str]] = {label: Counter() for label in weights}
        for before, label in pairwise(order):
            pairs[label][before] += 1
        shares = {label: number / parameters for label, number in weights.items()}
        hidden = sum(shares[label] for label in order[:-1])
        return cls(dram, vector, shares, pairs, 1 - hidden, last_round)

    def exposed(self, backward: PassAccount) -> Number:
        """What updates of other blocks add to a backward pass in all layers, s."""
        total: Number = 0.0
        package, memory = backward.on_package, backward.memory_seconds
        there = larger(package.elapsed, memory)
        for label, count in self.behind.get(backward.block, {}).items():
            share = self.shares[label]
            of_dram = self.last_round * (memory - there) + share * self.dram
            of_vector = self.last_round * (package.vector - there) + share * self.vector
            total = total + count * larger(0.0, of_dram, of_vector)
        return total

    @property
    def ending(self) -> Number:
        """What follows the backward pass, s."""
        return self.last * larger(self.dram, self.vector)

    def seconds(self, passes: Sequence[PassAccount]) -> Number:
        """What the update adds to a step with ``passes``, s."""
        return sum((self.exposed(one) for one in passes if one.direction == "backward"), self.ending)


def _backward_order(model: Llm, layers: Sequence[int], ends: Sequence[str]) -> list[str]:
    """The blocks of ``layers`` and ``ends`` in the order of the backward pass, by their labels."""
    kinds = [*model.ffn_kinds, *model.attention_kinds]
    order = [label for label in ("head",) if label in ends]
    for number in reversed(layers):
        order += [kind.label for kind in kinds if number in kind.numbers]
    return order + [label for label in ("input",) if label in ends]
