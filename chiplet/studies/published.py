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
