"""A cluster of GPU nodes, for the check of the model against published measurements.

Efficiencies are inputs: they stand in the machine's file and are shown with every prediction.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from chiplet.machine.base import StrictModel
from chiplet.studies.preset_files import load_preset

Fraction = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class GpuClusterSpec(StrictModel):
    """Nodes of GPUs: a fast network inside a node and a slower one between nodes. Rates are those of one GPU.

    A GEMM reaches ``gemm_efficiency / (1 + gemm_half / smallest side)`` of ``peak_flops``, or of ``peak_flops_8bit`` if
    its operands have 8 bits, unless memory is slower. ``fitted_to`` names the measured runs that the efficiencies are
    fitted to.
    """

    name: str
    gpus_per_node: Annotated[int, Field(ge=1)]
    fitted_to: list[str] = Field(default_factory=list)
    peak_flops: Rate
    peak_flops_8bit: Rate | None = None
    gemm_efficiency: Fraction
    gemm_half: Annotated[
        float,
        Field(ge=0, allow_inf_nan=False, description="elements of the smallest side at half efficiency"),
    ]
    memory_bytes_per_second: Rate
    memory_efficiency: Fraction
    nvlink_bytes_per_second: Rate
    nvlink_efficiency: Fraction
    step_seconds: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="latency of one step of a ring in a node, s")
    ]
    infiniband_bytes_per_second: Rate
    infiniband_efficiency: Fraction

    @property
    def memory_rate(self) -> float:
        """Effective memory bandwidth, bytes/s."""
        return self.memory_bytes_per_second * self.memory_efficiency

    @property
    def node_rate(self) -> float:
        """Effective bandwidth of a GPU inside its node, in one direction, bytes/s."""
        return self.nvlink_bytes_per_second * self.nvlink_efficiency

    @property
    def cluster_rate(self) -> float:
        """Effective bandwidth of a GPU between nodes, in one direction, bytes/s."""
        return self.infiniband_bytes_per_second * self.infiniband_efficiency


def load_cluster(name: str | Path) -> GpuClusterSpec:
    """The preset machine called ``name``, or the machine of the TOML file at that path.

    Raises ``ValueError``, in one line, for a file that is missing, is not TOML, or has an unknown or wrong key.
    """
    return load_preset("machine", name, GpuClusterSpec)
