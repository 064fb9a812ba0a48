"""What a step on several packages is made of: its stages, what follows their last micro-batch, and the whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from chiplet.parallel.pipeline import PipelineTime
from chiplet.vectorized.elementwise import Number, first_largest


@dataclass(frozen=True)
class Stage:
    """One package of a pipeline: its layers, and its parameters, embedding and output head included."""

    number: int
    layers: int
    last: bool
    parameters: int

    @property
    def first(self) -> bool:
        """Whether it has the embedding."""
        return self.number == 0


@dataclass(frozen=True)
class Ending:
    """What follows a stage's last micro-batch, seconds: the sum of gradients over replicas (``gradients``, of
    which ``exposed`` not hidden), a tied embedding's (``tied``), ``update``, and updated weights back
    (``gather``).
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
    """What a step on several packages is made of.

    ``seconds`` are those of a micro-batch on each stage. ``early`` is how long before the pipeline's end each
    stage is done. ``state`` and ``saved`` are bytes of training state a parameter, and of activations a token,
    on the fullest stage.
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

    @cached_property
    def pace_number(self) -> Number:
        """The number of the slowest stage."""
        return first_largest(self.seconds)

    @cached_property
    def last_number(self) -> Number:
        """The number of the stage that is done last."""
        return first_largest(
            [ending.seconds - early for ending, early in zip(self.endings, self.early, strict=True)]
        )

    @property
    def pace(self) -> Stage:
        """The slowest stage."""
        return self.stages[self.pace_number]

    @property
    def done_last(self) -> Stage:
        """The stage that is done last."""
        return self.stages[self.last_number]
