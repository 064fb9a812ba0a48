"""Time of a pipeline of packages or nodes under the 1F1B schedule, and of all-reduces between them.

The pipeline of the projection and that of the published Megatron-LM runs are both worked out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chiplet.vectorized.elementwise import Number, larger, rounded_down
from nop.collective_cost import line_cost


@dataclass(frozen=True)
class PipelineTime:
    """Time of a pipeline, seconds: all micro-batches on the slowest stage, what transfers add to their pace,
    and, once a step, filling and draining: other stages at work (``bubble``) and transfers (``fill``).
    """

    working: Number
    transfers: Number
    bubble: Number
    fill: Number

    @property
    def total(self) -> Number:
        """Time from the first micro-batch in to the last one out."""
        return self.working + self.transfers + self.bubble + self.fill


def pipeline_time(
    stages: Sequence[Number], *, micro_batches: Number, interleave: int, crossing: Number, overlap: bool
) -> PipelineTime:
    """Time of ``micro_batches`` that each take ``stages`` seconds on the stages, forward and backward.

    1F1B with ``interleave`` chunks of layers a stage (Narayanan et al., arXiv 2104.04473): the slowest stage
    sets the pace, and the others add what they take for one micro-batch, over ``interleave``. A micro-batch
    crosses to the next stage in ``crossing`` seconds, forward and backward, once for each chunk; without
    ``overlap`` stages wait for that. With it, transfers run behind other micro-batches as far as 1F1B has
    them in work: on the way through an empty pipeline and back nothing hides them, and without interleaving
    as many micro-batches as there are stages wait once for the way to the last stage and back. Beyond that a
    stage's transfers take as long as its ports need.
    """
    slowest, last = larger(*stages), len(stages) - 1
    moving = 2 * interleave * crossing
    if not overlap:
        transfers, fill = micro_batches * moving, 2 * last * crossing
    else:
        ahead = larger(0, micro_batches - 2) if interleave == 1 and last else 0
        rounds = rounded_down(ahead / len(stages))
        waited = 2 * crossing * (last * rounds + ahead - rounds * len(stages))
        transfers = larger(waited, micro_batches * (moving - slowest))
        fill = 2 * (len(stages) * interleave - 1) * crossing
    return PipelineTime(
        working=micro_batches * slowest,
        transfers=transfers,
        bubble=(sum(stages) - slowest) / interleave,
        fill=fill,
    )


def in_flight(stage: int, *, stages: int, micro_batches: int, interleave: int) -> float:
    """Most micro-batches whose activations stage number ``stage`` holds at a time under 1F1B.

    Interleaved it is counted in chunks of its layers; the first stage then holds p + (p - 1) / v of them, p
    stages of v chunks (Korthikanti et al., arXiv 2205.05198).
    """
    if interleave == 1:
        return min(micro_batches, stages - stage)
    ahead = 2 * (stages - stage - 1) + (interleave - 1) * stages
    return min(micro_batches * interleave, ahead + 1) / interleave


def stage_layers(layers: int, stages: int) -> list[int]:
    """Layers of each stage: equal parts, one more on the first stages if there is a rest."""
    least, longer = divmod(layers, stages)
    return [least + 1] * longer + [least] * (stages - longer)


def ring_seconds(nodes: int, data_bytes: float, *, rate: Number, latency: Number) -> Number:
    """Time of a reduce-scatter or an all-gather of ``data_bytes`` around a ring of ``nodes``, whose neighbours
    are all one hop apart: (nodes - 1) (data_bytes / nodes / rate + latency).
    """
    return line_cost(nodes, "chain").seconds(data_bytes / nodes, rate, latency)
