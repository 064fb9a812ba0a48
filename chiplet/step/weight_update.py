"""The update of the weights behind the backward pass: what of it is left to wait for.

The backward pass of a block begins with its second linear, whose gradients are complete when the last mini-batch of the
last round has gone through it. While the array goes on with what is left of the block, DRAM and vector unit update the
weights of that linear beside what the pass asks of them. The gradients of the others are complete with the pass, and
these weights are updated beside the pass over the next block. So a pass of e seconds on the package, with m seconds of
DRAM and v of the vector unit, takes max(e, m + M, v + V), where the update asks M and V: that of its own second linear,
and of the other linears of the block before it. Behind its second linear it takes no less than its own weights ask
there. Behind the last block of the backward pass nothing goes on: weights of its first linears, and those of the
embedding, are waited for, and so are gains and biases, which are few. A tied embedding has the gradients of the head,
too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chiplet.methods.base import Method
from chiplet.step.dram_traffic import weight_bytes
from chiplet.step.fused_blocks import PassAccount
from chiplet.vectorized.elementwise import Number, choose, is_array, larger
from chiplet.workload.llm import Llm

__all__ = ["WeightUpdate"]


@dataclass(frozen=True)
class WeightUpdate:
    """The update of all weights of a package.

    Attributes
    ----------
    dram, vector
        Seconds that it asks of DRAM with the memory plane, and of the vector units.
    first, second
        Of each block in one layer, by its label, the part of the parameters that its second linear has, and the others.
    behind
        For each block how often its backward pass follows that of another one; "" is none.
    last
        Part of the parameters that nothing follows.
    last_round
        Part of the sequences that are in the last round.
    """

    dram: Number
    vector: Number
    first: Mapping[str, Number]
    second: Mapping[str, Number]
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
            return cls(dram, vector, {}, {}, {}, 1.0, last_round)
        blocks = method.blocks()
        weights = {block.label: weight_bytes(block, method)[0] / method.element_bytes for block in blocks}
        second = {
            block.label: 0.0 if block.contract is None else block.contract.weights / parameters
            for block in blocks
        }
        order = _backward_order(method.model, layers, [label for label in ends if label in weights])
        if method.model.tied:
            weights["head"] = 0.0
        pairs: dict[str, Counter[str]] = {label: Counter() for label in weights}
        for before, label in pairwise(["", *order]):
            pairs[label][before] += 1
        first = {label: number / parameters - second[label] for label, number in weights.items()}
        hidden = sum(first[label] for label in order[:-1]) + sum(second[label] for label in order)
        return cls(dram, vector, first, second, pairs, 1 - hidden, last_round)

    def exposed(self, backward: PassAccount) -> Number:
        """What updates add to a backward pass in all layers, s."""
        befores = self.behind.get(backward.block)
        if not befores:
            return 0.0
        package, memory, later = backward.on_package, backward.memory_seconds, backward.later
        there = larger(package.elapsed, memory)
        own = self.second[backward.block]
        # DRAM has its traffic evenly over a pass.
        behind_second = later.elapsed / choose(package.elapsed > 0, package.elapsed, 1.0)
        least: Number = 0.0
        if is_array(own) or own:
            least = larger(
                0.0,
                behind_second * (memory - there) + own * self.dram,
                later.vector - behind_second * there + own * self.vector,
            )
        total: Number = 0.0
        for label, count in befores.items():
            share = own + (self.first[label] if label else 0.0)
            of_dram = self.last_round * (memory - there) + share * self.dram
            of_vector = self.last_round * (package.vector - there) + share * self.vector
            total = total + count * larger(least, of_dram, of_vector)
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
