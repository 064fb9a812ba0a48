"""Time of a pipeline of packages or nodes under the 1F1B schedule, and of all-reduces between them.

The pipeline of the projection and that of the published Megatron-LM runs are both worked out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nop.cost import line_cost


@dataclass(frozen=True)
class PipelineTime:
    """Time of a pipeline, seconds: all micro-batches on the slowest stage, what transfers add to their pace,
    and, once a step, filling and draining: other stages at work (``bubble``) and transfers (``fill``).
    """

    working: float
    transfers: float
    bubble: float
    fill: float

    @property
    def total(self) -> float:
        """Time from the first micro-batch in to the last one out."""
        return self.working + self.transfers + self.bubble + self.fill


def pipeline_time(
    stages: Sequence[float], *, micro_batches: int, interleave: int, crossing: float, overlap: bool
) -> PipelineTime:
    """Time of ``micro_batches`` that each take ``stages`` seconds on the stages, forward and backward.

    1F1B with ``interleave`` chunks of layers a stage (Narayanan et al., arXiv 2104.04473): the slowest stage
    sets the pace, and the others add what they take for one micro-batch, over ``interleave``. A micro-batch
    crosses to the next stage in ``crossing`` seconds, forward and backward, once for each chunk. With
    ``overlap`` that runs behind other micro-batches, except while the pipeline fills and drains.
    """
    slowest = max(stages)
    moving = 2 * interleave * crossing
    pace = max(slowest, moving) if overlap else slowest + moving
    return PipelineTime(
        working=micro_batches * slowest,
        transfers=micro_batches * (pace - slowest),
        bubble=(sum(stages) - slowest) / interleave,
        fill=2 * (len(stages) - 1) * crossing,
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
    each, rest = divmod(layers, stages)
    return [each + 1] * rest + [each] * (stages - rest)


def ring_seconds(nodes: int, data_bytes: float, *, rate: float, latency: float) -> float:
    """Time of a reduce-scatter or an all-gather of ``data_bytes`` around a ring of ``nodes``, whose neighbours
    are all one hop apart: (nodes - 1) (data_bytes / nodes / rate + latency).
    """
    return line_cost(nodes, "chain").seconds(data_bytes / nodes, rate, latency)
