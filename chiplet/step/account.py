"""The account of one training step: time and counted events of all blocks and passes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from chiplet.machine.link_rate import LinkRate
from chiplet.machine.memory_plane import memory_plane
from chiplet.methods.base import Method
from chiplet.schedule.buffers import Optimizer
from chiplet.schedule.schedule import Schedule
from chiplet.step.demand import StepDemand, step_demand
from chiplet.step.dram_traffic import DramTraffic
from chiplet.step.energy import Events
from chiplet.step.overlap import Busy, Machine, comm_seconds, pass_busy, pick
from chiplet.vectorized.elementwise import Number, larger
from chiplet.workload.operations import BlockName, CommStep, Operation


@dataclass(frozen=True)
class PassAccount:
    """One pass (``forward`` or ``backward``) over one block in a step; ``layers`` layers are alike.

    ``busy`` is the time of one of ``runs`` mini-batches in token tiles of ``tile``, ``once`` that of what is
    communicated once in a step, ``memory_seconds`` that of ``traffic``, and ``waiting`` the time that the block waits
    for loads of weights or stores of gradients.
    """

    block: BlockName
    direction: str
    operations: tuple[Operation, ...]
    layers: Number
    runs: Number
    tokens: Number
    tile: Number
    busy: Busy
    once: Busy
    traffic: DramTraffic
    memory_seconds: Number
    waiting: Number

    @cached_property
    def on_package(self) -> Busy:
        """Time of one layer's pass without DRAM."""
        busy: Busy = self.busy * self.runs + self.once
        return busy

    @cached_property
    def dram_exposed(self) -> Number:
        """Seconds that DRAM adds to one layer's pass."""
        return larger(0.0, self.memory_seconds - self.on_package.elapsed) + self.waiting

    @cached_property
    def layer_seconds(self) -> Number:
        """Time of one layer's pass."""
        return self.on_package.elapsed + self.dram_exposed

    @cached_property
    def seconds(self) -> Number:
        """Time of the pass over all layers."""
        return self.layer_seconds * self.layers


@dataclass(frozen=True)
class StepAccount:
    """Time and events of a step: its passes, what runs besides the layers, and the events of all of it.

    ``embedding`` and ``update`` are the DRAM traffic of embedding rows and optimizer; the optimizer takes
    ``update_vector`` seconds on the vector units. ``bubble`` and ``fabric`` are seconds that several packages add.
    Times are numbers or, for many machines, arrays.
    """

    passes: tuple[PassAccount, ...]
    embedding: DramTraffic
    embedding_seconds: Number
    update: DramTraffic
    update_dram: Number
    update_vector: Number
    events: Events
    layer_elements: Number
    bubble: Number = 0.0
    fabric: Number = 0.0

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


def account_demand(demand: StepDemand, method: Method, machine: Machine) -> StepAccount:
    """Account of ``demand`` on ``machine``, or on many machines if it has arrays."""
    system, mesh = machine.system, method.mesh
    plane = memory_plane(system, mesh)
    passes = []
    events = demand.events
    for one_pass in demand.passes:
        busy, choice = pass_busy(one_pass.tile_demands, machine, method.switches.overlap)
        waiting = sum((wait.seconds(system, mesh, plane) * times for times, wait in one_pass.waits), 0.0)
        account = PassAccount(
            one_pass.block,
            one_pass.direction,
            one_pass.operations,
            one_pass.layers,
            one_pass.runs,
            one_pass.tokens,
            pick(one_pass.tile_demands.tiles, choice),
            busy,
            _once(one_pass.once, machine.link),
            one_pass.traffic,
            one_pass.traffic.seconds(system, mesh, plane),
            waiting,
        )
        passes.append(account)
        events += one_pass.events + Events(sram_bytes=pick(one_pass.stationary_bytes, choice))
    return StepAccount(
        tuple(passes),
        demand.embedding,
        demand.embedding.seconds(system, mesh, plane),
        demand.update,
        demand.update.seconds(system, mesh, plane),
        machine.vector_seconds(demand.update_work) / mesh.nodes,
        events,
        demand.layer_elements,
    )


def account_step(
    method: Method, machine: Machine, schedule: Schedule, global_batch: int, optimizer: Optimizer
) -> StepAccount:
    """Account of one training step of ``global_batch`` sequences under ``schedule``."""
    demand = step_demand(
        method, machine.system.die, machine.system.package, machine.terms, schedule, global_batch, optimizer
    )
    return account_demand(demand, method, machine)


def _once(steps: tuple[CommStep, ...], link: LinkRate) -> Busy:
    """Time of what is communicated once in a step; it is fully exposed."""
    seconds = sum((comm_seconds(step, link) for step in steps), 0.0)
    return Busy(elapsed=seconds, nop_exposed=seconds, nop=seconds)
