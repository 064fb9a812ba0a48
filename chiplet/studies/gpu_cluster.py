"""A cluster of GPU nodes, for the check of the model against published measurements.

Efficiencies are inputs: they stand in the machine's file and are shown with every prediction.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from chiplet.machine.base import StrictModel, refusal
from chiplet.machine.configuration_keys import show_value

Fraction = Annotated[float, Field(gt=0, le=1)]
Rate = Annotated[float, Field(gt=0)]


class GpuClusterSpec(StrictModel):
    """Nodes of GPUs: a fast network inside a node and a slower one between nodes. Rates are those of one GPU.

    A GEMM reaches ``gemm_efficiency / (1 + gemm_half / smallest side)`` of ``peak_flops``, unless memory is
    slower.
    """

    name: str
    gpus_per_node: Annotated[int, Field(ge=1)]
    peak_flops: Rate
    gemm_efficiency: Fraction
    gemm_half: Annotated[float, Field(ge=0, description="elements of the smallest side at half efficiency")]
    memory_bytes_per_second: Rate
    memory_efficiency: Fraction
    nvlink_bytes_per_second: Rate
    nvlink_efficiency: Fraction
    step_seconds: Annotated[float, Field(ge=0, description="latency of one step of a ring in a node, s")]
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
    folder = resources.files("chiplet") / "presets" / "machines"
    known = sorted(
        item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")
    )
    path = Path(name)
    if str(name) in known:
        text = (folder / f"{name}.toml").read_text(encoding="utf-8")
    elif path.suffix != ".toml":
        raise ValueError(f"unknown machine {str(name)!r}: must be one of {', '.join(known)}, or a TOML file")
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"{path}: cannot read the machine: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not a TOML file: byte {error.start} is not UTF-8") from None
    try:
        return GpuClusterSpec.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise ValueError(f"{name}: {refusal(error, GpuClusterSpec, show=show_value)}") from None
    except ValueError as error:
        raise ValueError(f"{name}: not valid TOML: {error}") from None
