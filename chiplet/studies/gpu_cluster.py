"""A cluster of GPU nodes, for the check of the model against published measurements.

Efficiencies are inputs: they stand in the machine's file and are shown with every prediction.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from chiplet.machine.base import StrictModel
from chiplet.studies.efficiency_curve import (
    EfficiencyCurve,
    Fraction,
    curve_in_words,
    efficiency_at,
    one_of_two,
)
from chiplet.studies.preset_files import load_preset

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class GpuClusterSpec(StrictModel):
    """Nodes of GPUs: a fast network inside a node and a slower one between nodes. Rates are those of one GPU.

    A GEMM reaches ``gemm_efficiency / (1 + gemm_half / smallest side)`` of ``peak_flops``, or of ``peak_flops_8bit`` if
    its operands have 8 bits, unless memory is slower. Or it reaches what ``gemm_curve`` says at the smallest side. So
    does a network: its one efficiency, or what its curve says at the bytes that a GPU sends in one collective
    (``nvlink_curve``) or to the next stage (``infiniband_curve``). ``fitted_to`` names the measured runs that the
    efficiencies are fitted to.
    """

    name: str
    gpus_per_node: Annotated[int, Field(ge=1)]
    fitted_to: list[str] = Field(default_factory=list)
    peak_flops: Rate
    peak_flops_8bit: Rate | None = None
    gemm_efficiency: Fraction | None = None
    gemm_half: Annotated[
        float | None,
        Field(ge=0, allow_inf_nan=False, description="elements of the smallest side at half efficiency"),
    ] = None
    gemm_curve: EfficiencyCurve | None = None
    memory_bytes_per_second: Rate
    memory_efficiency: Fraction
    nvlink_bytes_per_second: Rate
    nvlink_efficiency: Fraction | None = None
    nvlink_curve: EfficiencyCurve | None = None
    step_seconds: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="latency of one step of a ring in a node, s")
    ]
    infiniband_bytes_per_second: Rate
    infiniband_efficiency: Fraction | None = None
    infiniband_curve: EfficiencyCurve | None = None

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Self:
        one_of_two(self, "gemm_curve", "gemm_efficiency", "gemm_half")
        one_of_two(self, "nvlink_curve", "nvlink_efficiency")
        one_of_two(self, "infiniband_curve", "infiniband_efficiency")
        return self

    @property
    def memory_rate(self) -> float:
        """Effective memory bandwidth, bytes/s."""
        return self.memory_bytes_per_second * self.memory_efficiency

    def gemm_efficiency_at(self, side: float) -> float:
        """Share of the peak that a GEMM reaches whose smallest side has ``side`` elements."""
        if self.gemm_curve is not None:
            return efficiency_at(self.gemm_curve, side)
        assert self.gemm_efficiency is not None
        assert self.gemm_half is not None
        return self.gemm_efficiency / (1 + self.gemm_half / side)

    def node_seconds(self, sent: float) -> float:
        """Time in which a GPU sends ``sent`` bytes inside its node, s."""
        return _seconds(sent, self.nvlink_bytes_per_second, self.nvlink_efficiency, self.nvlink_curve)

    def cluster_seconds(self, sent: float) -> float:
        """Time in which a GPU sends ``sent`` bytes to another node, s."""
        return _seconds(
            sent, self.infiniband_bytes_per_second, self.infiniband_efficiency, self.infiniband_curve
        )

    @property
    def efficiencies(self) -> dict[str, str]:
        """What each efficiency is, in words, by what it belongs to."""
        gemm = (
            f"{self.gemm_efficiency:g} / (1 + {self.gemm_half:g} / smallest side)"
            if self.gemm_curve is None
            else curve_in_words(self.gemm_curve, "smallest sides")
        )
        return {
            "gemm": gemm,
            "memory": f"{self.memory_efficiency:g}",
            "nvlink": f"{self.nvlink_efficiency:g}"
            if self.nvlink_curve is None
            else curve_in_words(self.nvlink_curve, "bytes"),
            "infiniband": f"{self.infiniband_efficiency:g}"
            if self.infiniband_curve is None
            else curve_in_words(self.infiniband_curve, "bytes"),
        }


def _seconds(sent: float, peak: float, efficiency: float | None, curve: EfficiencyCurve | None) -> float:
    if not sent:
        return 0.0
    if curve is not None:
        efficiency = efficiency_at(curve, sent)
    assert efficiency is not None
    return sent / (peak * efficiency)


def load_cluster(name: str | Path) -> GpuClusterSpec:
    """The preset machine called ``name``, or the machine of the TOML file at that path.

    Raises ``ValueError``, in one line, for a file that is missing, is not TOML, or has an unknown or wrong key.
    """
    return load_preset("machine", name, GpuClusterSpec)
