"""Published results that ours stand beside. They are shown, and never used in the model."""

from __future__ import annotations

from typing import Literal

from chiplet.specs import Spec


class PublishedClaim(Spec):
    """Speed and energy of the Hecaton system against Megatron tensor parallelism, as its authors publish
    them.

    The settings of their evaluation are not known to us.
    """

    model: str
    dies: int
    speedup: float
    energy_ratio: float
    status: Literal["published"] = "published"
    source: str


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
