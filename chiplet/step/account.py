"""The account of one training step: its blocks, and what runs besides the layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chiplet.machine.memory_plane import MemoryPlane
from chiplet.machine.specs import SUM_BYTES
from chiplet.methods.base import Method
from chiplet.schedule.buffers import Optimizer
from chiplet.step.collective_time import comm_seconds
from chiplet.step.dram_traffic import DramTraffic, update_traffic
from chiplet.step.energy import Events, comm_events, traffic_events
from chiplet.step.fused_blocks import BlockAccount, PassAccount
from chiplet.step.overlap import Machine
from chiplet.vectorized.elementwise import Number, larger


@dataclass(frozen=True)
class StepAccount:
    """Time and events of a step: its passes, what runs besides the layers, and the events of all of it.

    ``embedding`` and ``update`` are the DRAM traffic of embedding rows and optimizer. Behind the rows that are loaded,
    ``embedding_nop`` seconds of collectives go on; the optimizer takes ``update_vector`` seconds on the vector units.
    ``bubble`` and ``fabric`` are seconds that several packages add.
    Times are numbers or, for many machines, arrays.
    """

    passes: tuple[PassAccount, ...]
    embedding: DramTraffic
    embedding_dram: Number
    embedding_nop: Number
    update: DramTraffic
    update_dram: Number
    update_vector: Number
    events: Events
    layer_elements: Number
    bubble: Number = 0.0
    fabric: Number = 0.0

    @property
    def embedding_seconds(self) -> Number:
        """Time of the embedding, forward and backward."""
        return larger(self.embedding_dram, self.embedding_nop)

    @property
    def update_seconds(self) -> Number:
        """Time of the weight update."""
        return larger(self.update_dram, self.update_vector)

    @property
    def seconds(self) -> Number:
        """Time of the step."""
        passes = self.direction_seconds("forward") + self.direction_seconds("backward")
        return passes + self.embedding_seconds + self.update_seconds + self.bubble + self.fabric

    def direction_seconds(self, direction: str) -> Number:
        """Time of all passes of ``direction``."""
        return sum((one_pass.seconds for one_pass in self.passes if one_pass.direction == direction), 0.0)


def account_step(
    blocks: Sequence[BlockAccount],
    method: Method,
    machine: Machine,
    plane: MemoryPlane,
    tokens: Number,
    optimizer: Optimizer,
) -> StepAccount:
    """Account of one training step of ``tokens`` tokens in ``blocks``.

    Besides the layers, table rows are read and written for the embedding, and sent in one piece; every parameter is
    updated.
    """
    system, mesh, model = machine.system, method.mesh, method.model
    element = system.die.element_bytes
    # Rows are read for their tokens, and written as input; gradients are read, and their sums changed.
    rows = tokens * model.table_features
    embedding = DramTraffic.shared(rows * (2 * element + SUM_BYTES), rows * (element + SUM_BYTES), mesh.nodes)
    update = update_traffic(model.parameters, optimizer, element, mesh.nodes)
    sent = method.embedding_comms(tokens)
    work = method.update_work(optimizer, model.parameters)
    events = Events(vector_operations=work.operations, sram_bytes=work.scratchpad_bytes)
    for traffic in (embedding, update):
        events += traffic_events(traffic, system.package, mesh)
    for step in sent:
        events += comm_events(step, mesh.nodes)
    return StepAccount(
        tuple(one_pass for block in blocks for one_pass in block.passes),
        embedding,
        embedding.seconds(system, mesh, plane),
        sum((comm_seconds(step, machine.link) for step in sent), 0.0),
        update,
        update.seconds(system, mesh, plane),
        machine.vector_seconds(work) / mesh.nodes,
        sum((block.events for block in blocks), events),
        sum(block.elements for block in blocks),
    )
