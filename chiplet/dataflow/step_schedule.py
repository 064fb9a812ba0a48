"""The schedule of a training step: which order all programs have."""

from __future__ import annotations

from collections.abc import Iterator

from chiplet.dataflow.fused_operators import fused_operators
from chiplet.dataflow.operator_cycles import operator_cycles
from chiplet.dataflow.step_order import ListSchedule, scheduled
from chiplet.graph.graph import Graph, Instance
from chiplet.graph.operators import Move
from chiplet.graph.training.sizes import StepSizes
from chiplet.machine.specs import SystemSpec

__all__ = ["step_schedule"]


def step_schedule(graph: Graph, sizes: StepSizes, system: SystemSpec, *, gradients: bool) -> ListSchedule:
    """The operators in the order of all programs; with ``gradients`` these are stored before updates use them up."""
    order = fused_operators(_order(graph, sizes, gradients=gradients))
    return scheduled(graph, order, operator_cycles(graph, order, sizes, system))


def _order(graph: Graph, sizes: StepSizes, *, gradients: bool) -> Iterator[Instance]:
    """The operators in the order of all programs; gradients are stored before updates use them up."""
    stores = [
        Instance(Move(name=f"{name}.store", direction="store", tensors=(name,)), layer)
        for name, tensor in graph.tensors.items()
        if gradients and name.endswith(".gradient")
        for layer in (range(graph.layers) if tensor.layered else (None,))
    ]
    updates = {
        operator.name
        for section in graph.sections
        if section.repeat == "step"
        for operator in section.operators
    }
    batch_is_over = False
    for instance in graph.order(sizes.tiles):
        in_batch = instance.operator.name not in updates
        if batch_is_over and not in_batch:
            yield from stores
            stores = []
        batch_is_over = in_batch
        yield instance
