"""The baseline: Megatron's 1-D tensor parallelism over one flat ring through all dies of the mesh."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from chiplet.methods.ring import RingSwitches, TensorParallel
from chiplet.vectorized.meshes import mesh_cost
from nop.collective_cost import CollectiveCost, flat_ring_cost


class FlatRingSwitches(RingSwitches):
    """Switches of the flat ring."""

    direction: Annotated[
        Literal["one", "both"],
        Field(description="chunks travel around the ring one way, or both ways at once"),
    ] = "both"


class FlatRing(TensorParallel):
    """Tensor parallelism over one ring, in steps of one hop if the mesh allows it."""

    name = "flat-ring"
    switches_type = FlatRingSwitches
    switches: FlatRingSwitches
    axis = "ring"

    @cached_property
    def ring_cost(self) -> CollectiveCost:
        """One ring through all dies."""
        return mesh_cost(flat_ring_cost, self.mesh, self.switches.direction == "both")
