"""The account of one training step: its blocks, and what runs besides the layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from chiplet.graph.vector_work import VectorWork
from chiplet.machine.memory_plane import MemoryPlane
from chiplet.machine.specs import SUM_BYTES
from chiplet.methods.base import Method
from chiplet.schedule.buffers import Optimizer
from chiplet.schedule.schedule import StepWork
from chiplet.step.collective_time import comm_seconds
from chiplet.step.dram_traffic import DramTraffic, update_traffic
from chiplet.step.energy import Events, comm_events, traffic_events
from chiplet.step.fused_blocks import BlockAccount, PassAccount
from chiplet.step.overlap import Machine
from chiplet.step.weight_update import WeightUpdate
from chiplet.vectorized.elementwise import Number, larger


@dataclass(frozen=True)
class StepAccount:
    """Time and events of a step: its passes, what runs besides the layers, and the events of all of it.

    ``embedding`` and ``update`` are the DRAM traffic of embedding rows and optimizer. Behind the rows that are loaded,
    ``embedding_nop`` seconds of collectives go on. The optimizer takes ``update_dram`` seconds of its traffic and
    ``update_vector`` seconds of the vector units. It adds ``update_seconds`` to the step, what the backward pass does
    not hide. ``bubble`` and ``fabric`` are seconds that several packages add. Times are numbers or, for many machines,
    arrays.
    """

    passes: tuple[PassAccount, ...]
    embedding: DramTraffic
    embedding_dram: Number
    embedding_nop: Number
    update: DramTraffic
    update_dram: Number
    update_vector: Number
    update_seconds: Number
    events: Events
    layer_elements: Number
    bubble: Number = 0.0
    fabric: Number = 0.0

    @property
    def embedding_seconds(self) -> Number:
        """Time of the embedding, forward and backward."""
        return larger(self.embedding_dram, self.embedding_nop)

    @property
    def seconds(self) -> Number:
        """Time of the step."""
        passes = self.direction_seconds("forward") + self.direction_seconds("backward")
        return passes + self.embedding_seconds + self.update_seconds + self.bubble + self.fabric

    def direction_seconds(self, direction: str) -> Number:
        """Time of all passes of ``direction``."""
        return sum((one_pass.seconds for one_pass in self.passes if one_pass.direction == direction), 0.0)


@dataclass(frozen=True)
class StepUpdate:
    """The update of every parameter of a package: its DRAM traffic, its work on all vector units, and its time."""

    traffic: DramTraffic
    work: VectorWork
    time: WeightUpdate

    @classmethod
    def of(
        cls, method: Method, machine: Machine, plane: MemoryPlane, step: StepWork, optimizer: Optimizer
    ) -> Self:
        """The update of the whole model on one package, at the end of ``step``."""
        model, mesh = method.model, method.mesh
        traffic = update_traffic(model.parameters, optimizer, method.element_bytes, mesh.nodes)
        work = method.update_work(optimizer, model.parameters)
        time = WeightUpdate.of(
            method,
            (traffic.seconds(machine.system, mesh, plane), machine.vector_seconds(work) / mesh.nodes),
            parameters=model.parameters,
            layers=range(model.layers),
            ends=("input", "head"),
            last_round=step.last_round,
            overlap=method.switches.overlap and "overlap" not in step.without,
        )
        return cls(traffic, work, time)


def account_step(
    blocks: Sequence[BlockAccount],
    method: Method,
    machine: Machine,
    plane: MemoryPlane,
    step: StepWork,
    update: StepUpdate,
) -> StepAccount:
    """Account of one training step of ``step`` in ``blocks``.

    Besides the layers, table rows are read and written for the embedding, and sent in one piece; every parameter is
    updated.
    """
    system, mesh, model = machine.system, method.mesh, method.model
    element = system.die.element_bytes
    # Rows are read for their tokens, and written as input; gradients are read, and their sums changed.
    rows = step.tokens * model.table_features
    embedding = DramTraffic.shared(rows * (2 * element + SUM_BYTES), rows * (element + SUM_BYTES), mesh.nodes)
    work, time = update.work, update.time
    events = Events(vector_operations=work.operations, sram_bytes=work.scratchpad_bytes)
    for traffic in (embedding, update.traffic):
        events += traffic_events(traffic, system.package, mesh)
    sent = method.embedding_comms(step.tokens)
    for one in sent:
        events += comm_events(one, mesh.nodes)
    passes = tuple(one_pass for block in blocks for one_pass in block.passes)
    return StepAccount(
        passes,
        embedding,
        embedding.seconds(system, mesh, plane),
        sum((comm_seconds(one, machine.link) for one in sent), 0.0),
        update.traffic,
        time.dram,
        time.vector,
        time.seconds(passes),
        sum((block.events for block in blocks), events),
        sum(block.elements for block in blocks),
    )
