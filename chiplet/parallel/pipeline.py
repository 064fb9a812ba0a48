"""Time of a pipeline of packages or nodes under the 1F1B schedule, and of all-reduces between them.

Both the projection and the check against published Megatron-LM runs use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chiplet.vectorized.elementwise import Number, larger, rounded_down


@dataclass(frozen=True)
class PipelineTime:
    """Time of a pipeline, seconds.

    ``working``: all micro-batches on the slowest stage; ``transfers``: what transfers add to their pace. Filling and
    draining, once in a step: ``bubble`` is the work of the other stages, ``fill`` the transfers.
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
    """Time of ``micro_batches``, each of which takes ``stages`` seconds on the stages, forward and backward.

    1F1B with ``interleave`` chunks of layers in a stage (Narayanan et al., arXiv 2104.04473): the slowest stage sets
    the pace, and every other stage adds its time for one micro-batch, divided by ``interleave``. A micro-batch crosses
    to the next stage in ``crossing`` seconds, forward and backward, once for each chunk. Without ``overlap`` stages
    wait for that. With it, transfers run behind other micro-batches as far as 1F1B has these in progress: through the
    empty pipeline and back they are fully exposed, and without interleaving each group of as many micro-batches as
    there are stages waits once for the way to the last stage and back. Beyond that, transfers take as long as the ports
    of a stage need.
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
    """Most micro-batches whose activations stage number ``stage`` holds at the same time under 1F1B.

    With interleaving it is counted in chunks of the stage's layers: with p stages of v chunks the first stage holds
    p + (p - 1) / v micro-batches (Korthikanti et al., arXiv 2205.05198).
    """
    if interleave == 1:
        return min(micro_batches, stages - stage)
    ahead = 2 * (stages - stage - 1) + (interleave - 1) * stages
    return min(micro_batches * interleave, ahead + 1) / interleave


def stage_layers(layers: int, stages: int) -> list[int]:
    """Layers of each stage: equal parts, with one more on the first stages if there is a remainder."""
    least, longer = divmod(layers, stages)
    return [least + 1] * longer + [least] * (stages - longer)


def stage_numbers(layers: int, stages: int, chunks: int) -> list[tuple[int, ...]]:
    """Numbers of the layers of each stage: consecutive ones, in ``chunks`` that take turns, as equal as can be."""
    sizes = [stage_layers(own, chunks) for own in stage_layers(layers, stages)]
    numbers: list[tuple[int, ...]] = [()] * stages
    start = 0
    for chunk in range(chunks):
        for stage, of_stage in enumerate(sizes):
            numbers[stage] += tuple(range(start, start + of_stage[chunk]))
            start += of_stage[chunk]
    return numbers


def ring_seconds(nodes: int, data_bytes: float, *, rate: Number, latency: Number) -> Number:
    """Time of a reduce-scatter or an all-gather of ``data_bytes`` around a ring of ``nodes`` packages, which send on
    what has come as a whole: (nodes - 1) (data_bytes / nodes / rate + latency).
    """
    return (nodes - 1) * (data_bytes / nodes / rate + latency)
