"""Packages that train together, and the links between them: frozen and validated models."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chiplet.machine.base import StrictModel


class FabricSpec(StrictModel):
    """Links between packages: ports of each package into a switched network without oversubscription."""

    ports: Annotated[int, Field(ge=1, le=65_536, description="ports of a package")] = 8
    port_bytes_per_second: Annotated[
        float, Field(ge=1e3, le=1e15, description="bandwidth of a port in one direction, bytes/s")
    ] = 50.0e9
    latency_seconds: Annotated[
        float,
        Field(ge=0, le=1, description="latency from package to package, adapters and switches included, s"),
    ] = 1.0e-6
    pj_per_bit: Annotated[
        float, Field(ge=0, le=1e6, description="energy of one bit from package to package, pJ")
    ] = 45.0

    @property
    def bytes_per_second(self) -> float:
        """Bandwidth of a package in one direction, bytes/s."""
        return self.ports * self.port_bytes_per_second


class ParallelSpec(StrictModel):
    """Packages that train together: replicas of a pipeline, whose stages are packages that share each sequence."""

    data: Annotated[
        int, Field(ge=1, le=2**20, description="replicas of the model that share the global batch")
    ] = 1
    pipeline: Annotated[
        int, Field(ge=1, le=2**20, description="packages that share the layers of a replica")
    ] = 1
    context: Annotated[
        int, Field(ge=1, le=2**20, description="packages of a stage that share the tokens of each sequence")
    ] = 1
    exchange: Annotated[
        Literal["all-gather", "ring"],
        Field(
            description="keys and values of a shared sequence are gathered before the attention, or go around a ring "
            "behind it"
        ),
    ] = "all-gather"
    interleave: Annotated[
        int,
        Field(ge=1, le=2**20, description="chunks of consecutive layers that each package of a pipeline has"),
    ] = 1
    micro_batch: Annotated[
        int, Field(ge=0, le=2**20, description="sequences of a micro-batch; 0: the quickest")
    ] = 0
    overlap: Annotated[
        bool, Field(description="traffic between packages runs behind computation where it can")
    ] = True
    gradients: Annotated[
        Literal["32-bit", "operand"],
        Field(description="gradients are summed over replicas as 32-bit numbers or in the operand type"),
    ] = "32-bit"
    shard_optimizer: Annotated[
        bool, Field(description="each replica keeps and updates its share of master weights and moments")
    ] = False

    @model_validator(mode="after")
    def _only_a_pipeline_interleaves(self) -> Self:
        if self.pipeline == 1 and self.interleave > 1:
            raise ValueError(f"interleave = {self.interleave} needs a pipeline of at least 2 packages")
        return self

    @property
    def packages(self) -> int:
        """Packages in all."""
        return self.data * self.pipeline * self.context

    @property
    def copies(self) -> int:
        """Packages with the same weights, over which gradients are summed."""
        return self.data * self.context
