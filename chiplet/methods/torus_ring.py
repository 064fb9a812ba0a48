"""Megatron's 1-D tensor parallelism with hierarchical all-reduces over rings along both dimensions of the mesh."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from chiplet.methods.ring import RingSwitches, TensorParallel
from chiplet.vectorized.meshes import mesh_cost
from nop.collective_cost import CollectiveCost, torus_ring_cost


class TorusRingSwitches(RingSwitches):
    """Switches of the torus rings."""

    dimensions: Annotated[
        Literal["one", "both"],
        Field(description="one dimension busy at a time, or halves of the data in both"),
    ] = "both"


class TorusRing(TensorParallel):
    """Tensor parallelism whose all-gathers run down the columns and along the rows, each on a folded ring."""

    name = "torus-ring"
    switches_type = TorusRingSwitches
    switches: TorusRingSwitches
    axis = "torus"

    @cached_property
    def ring_cost(self) -> CollectiveCost:
        """Rings along both dimensions."""
        return mesh_cost(torus_ring_cost, self.mesh, self.switches.dimensions == "both")
