"""A step on several packages: its stages, what follows their last micro-batch, and the account of it all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from chiplet.parallel.context import Exchange
from chiplet.parallel.pipeline import PipelineTime
from chiplet.vectorized.elementwise import Number, first_largest


@dataclass(frozen=True)
class Stage:
    """One package of a pipeline: the numbers of its layers, how many of them have each block, by its label, and its
    parameters, including embedding and output head.
    """

    number: int
    numbers: tuple[int, ...]
    blocks: Mapping[str, int]
    last: bool
    parameters: int

    @property
    def layers(self) -> int:
        """How many layers it has."""
        return len(self.numbers)

    @property
    def first(self) -> bool:
        """Whether this stage has the embedding."""
        return self.number == 0


@dataclass(frozen=True)
class Ending:
    """What follows the last micro-batch of a stage, seconds: the sum of gradients over replicas (``gradients``, of
    which ``exposed`` are not hidden), that of a tied embedding (``tied``), what the backward pass does not hide of the
    weight ``update``, and the all-gather of updated weights (``gather``).
    """

    gradients: Number
    exposed: Number
    tied: Number
    update: Number
    gather: Number

    @property
    def seconds(self) -> Number:
        """All that is not hidden."""
        return self.exposed + self.tied + self.update + self.gather


@dataclass(frozen=True)
class ParallelAccount:
    """Account of a step on several packages.

    ``seconds`` are those of a micro-batch on each stage. ``early`` is how long before the end of the pipeline each
    stage finishes. ``state`` and ``saved`` are bytes of training state for each parameter, and of activations for each
    token, on the fullest stage. ``exchange`` is that of keys and values for a layer.
    """

    stages: tuple[Stage, ...]
    seconds: tuple[Number, ...]
    micro_batch: Number
    micro_batches: Number
    crossing_bytes: Number
    crossing: Number
    time: PipelineTime
    endings: tuple[Ending, ...]
    early: tuple[Number, ...]
    fullest: Stage
    state: float
    saved: int
    fabric_bytes: float
    exchange: Exchange

    @cached_property
    def pace_number(self) -> Number:
        """The number of the slowest stage."""
        return first_largest(self.seconds)

    @cached_property
    def last_number(self) -> Number:
        """The number of the stage that finishes last."""
        return first_largest(
            [ending.seconds - early for ending, early in zip(self.endings, self.early, strict=True)]
        )

    def exchanged(self, layers: Number) -> Number:
        """What exchanges of keys and values add to a stage of ``layers`` layers in a step, s."""
        return self.exchange.exposed * layers * self.micro_batches

    @property
    def pace(self) -> Stage:
        """The slowest stage."""
        return self.stages[self.pace_number]

    @property
    def done_last(self) -> Stage:
        """The stage that finishes last."""
        return self.stages[self.last_number]
