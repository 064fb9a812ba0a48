"""Published results, shown beside ours. The model of the package never uses them."""

from __future__ import annotations

from typing import Literal

from chiplet.machine.base import StrictModel


class PublishedClaim(StrictModel):
    """Speed and energy of the Hecaton system against Megatron tensor parallelism, as published by its authors.

    ``status`` and ``source`` are those of speed and energy. The settings of their evaluation are not known to us, and
    ``source`` has no number of dies either: that is ours, see ``dies_source``.
    """

    model: str
    dies: int
    dies_status: Literal["inferred"] = "inferred"
    dies_source: str = "the pairs of our weak scaling, hidden size over the root of dies the same in all"
    speedup: float
    energy_ratio: float
    status: Literal["published"] = "published"
    source: str

    @property
    def dies_label(self) -> str:
        """The number of dies with how it is known, for texts."""
        return f"{self.dies} dies ({self.dies_status})"


CLAIMS: tuple[PublishedClaim, ...] = (
    PublishedClaim(
        model="llama3.1-405b",
        dies=1024,
        speedup=5.29,
        energy_ratio=3.46,
        source="arXiv 2407.05784 v2, abstract",
    ),
    PublishedClaim(
        model="llama2-70b", dies=256, speedup=4.98, energy_ratio=2.35, source="arXiv 2407.05784 v1, abstract"
    ),
)


class MegatronRun(StrictModel):
    """One published training step of Megatron-LM: tensor parallelism in a node, a pipeline across nodes.

    ``recompute`` is full, or selective together with sequence parallelism.
    """

    name: str
    heads: int
    hidden: int
    layers: int
    gpus: int
    pipeline: int
    interleave: int
    micro_batch: int
    global_batch: int
    recompute: Literal["full", "selective"]
    seconds: float
    source: str = "Korthikanti et al., arXiv 2205.05198, tables 3 and 5"


_RECOMPUTE: tuple[Literal["full", "selective"], ...] = ("full", "selective")

MEGATRON_LENGTH = 2048
"""Tokens of a sequence in the published runs."""

MEGATRON_VOCABULARY = 51_200
"""Vocabulary of the published runs."""

MEGATRON_FITTED = (("22B", "full"), ("1T", "full"))
"""The runs to which the two efficiencies of the preset machine are fitted: model and recomputation."""

MEGATRON_RUNS: tuple[MegatronRun, ...] = tuple(
    MegatronRun(
        name=name,
        heads=heads,
        hidden=hidden,
        layers=layers,
        gpus=gpus,
        pipeline=pipeline,
        interleave=interleave,
        micro_batch=micro,
        global_batch=batch,
        recompute=recompute,
        seconds=seconds,
    )
    for name, heads, hidden, layers, gpus, pipeline, interleave, micro, batch, times in (
        ("22B", 64, 6144, 48, 8, 1, 1, 4, 4, (1.42, 1.10)),
        ("175B", 96, 12288, 96, 64, 8, 3, 1, 64, (18.13, 13.75)),
        ("530B", 128, 20480, 105, 280, 35, 3, 1, 280, (49.05, 37.83)),
        ("1T", 160, 25600, 128, 512, 64, 1, 1, 512, (94.42, 71.49)),
    )
    for recompute, seconds in zip(_RECOMPUTE, times, strict=True)
)
"""Training steps on A100-80GB nodes, seconds."""
