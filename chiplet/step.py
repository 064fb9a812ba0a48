"""One training step of a method under a schedule: time, energy and memory over all blocks and passes."""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.energy import Events, comm_events, joules, operation_events, traffic_events
from chiplet.inputs import collect_inputs
from chiplet.memory import STATE_BYTES, UPDATE_BYTES, UPDATE_OPS, BufferUse, Optimizer
from chiplet.methods.base import Method
from chiplet.methods.work import BlockName, BlockPlan, Operation
from chiplet.results import Breakdown, Buffer, Memory, Projection
from chiplet.schedule import BlockSchedule, Schedule
from chiplet.specs import SystemSpec
from chiplet.timeline import Busy, Machine, block_busy, comm_seconds
from chiplet.timing import Calibration
from chiplet.traffic import Traffic, activation_traffic, weight_bytes


@dataclass(frozen=True)
class PassAccount:
    """One pass (``forward`` or ``backward``) over one block in a step, of which there are ``layers`` alike.

    ``busy`` is the time of one of ``runs`` mini-batches in token tiles of ``tile``, ``once`` what is
    communicated once a step, ``memory_seconds`` the time of ``traffic``, and ``waiting`` how long the block
    waits for weights to come or gradients to leave.
    """

    block: BlockName
    direction: str
    operations: tuple[Operation, ...]
    layers: int
    runs: int
    tokens: int
    tile: int
    busy: Busy
    once: Busy
    traffic: Traffic
    memory_seconds: float
    waiting: float

    @property
    def on_package(self) -> Busy:
        """Time of one layer's pass without DRAM."""
        return self.busy * self.runs + self.once

    @property
    def dram_exposed(self) -> float:
        """Seconds that DRAM adds to one layer's pass."""
        return max(0.0, self.memory_seconds - self.on_package.elapsed) + self.waiting

    @property
    def seconds(self) -> float:
        """Time of the pass over all layers."""
        return (self.on_package.elapsed + self.dram_exposed) * self.layers


@dataclass(frozen=True)
class StepAccount:
    """All that a step is made of: its passes, what runs beside the layers, and the events of everything.

    ``embedding`` and ``update`` are the traffic of the embedding's rows and of the optimizer; the latter works
    ``update_vector`` seconds on the vector units.
    """

    passes: tuple[PassAccount, ...]
    embedding: Traffic
    embedding_seconds: float
    update: Traffic
    update_dram: float
    update_vector: float
    events: Events
    layer_elements: float

    @property
    def update_seconds(self) -> float:
        """Time of the weight update."""
        return max(self.update_dram, self.update_vector)

    @property
    def seconds(self) -> float:
        """Time of the step."""
        passes = self.direction_seconds("forward") + self.direction_seconds("backward")
        return passes + self.embedding_seconds + self.update_seconds

    def direction_seconds(self, direction: str) -> float:
        """Time of all passes of ``direction``."""
        return sum(each.seconds for each in self.passes if each.direction == direction)


def account_step(
    method: Method, machine: Machine, schedule: Schedule, global_batch: int, optimizer: Optimizer
) -> StepAccount:
    """Account of one training step of ``global_batch`` sequences run as ``schedule`` says."""
    model, mesh, system = method.model, method.mesh, machine.system
    tokens = global_batch * schedule.length
    events = Events()
    layer_elements = 0.0
    passes = []
    for part in schedule.blocks:
        layers = 1 if part.block.contract is None else model.layers
        plan = method.plan(part.block, part.batch, part.slices)
        times = block_busy(plan, part, machine, method)
        traffics = _pass_traffic(plan, part, method, schedule, global_batch)
        runs = schedule.rounds * part.batches
        for direction, (busy, tile), traffic, operations in zip(
            ("forward", "backward"), times, traffics, (plan.forward, plan.backward), strict=True
        ):
            passes.append(
                PassAccount(
                    part.block.name,
                    direction,
                    operations,
                    layers,
                    runs,
                    part.batch.tokens,
                    tile,
                    busy,
                    _once(plan, system) if direction == "backward" else Busy(),
                    traffic,
                    traffic.seconds(system, mesh),
                    _unhidden(plan, part, method, system, direction)
                    * (schedule.rounds if part.resident else runs),
                )
            )
            counted = _events(operations, method, system, tile, tokens / part.batch.tokens, runs)
            events += (counted + traffic_events(traffic, mesh)) * layers
            if part.block.contract is not None:
                layer_elements += _elements(operations, tokens / part.batch.tokens, runs)
        for step in plan.once:
            layer_elements += step.elements
            events += comm_events(step, mesh.nodes) * layers
    # Beside the layers: table rows in and out for the embedding, and the update of every parameter.
    element = system.die.element_bytes
    embedding_bytes = tokens * model.hidden * (3 * element + 2 * 4)
    update_bytes = model.parameters * (UPDATE_BYTES[optimizer] + element)
    embedding = Traffic(embedding_bytes, embedding_bytes / mesh.nodes)
    update = Traffic(update_bytes, update_bytes / mesh.nodes)
    operations_of_update = model.parameters * UPDATE_OPS[optimizer]
    events += traffic_events(embedding, mesh) + traffic_events(update, mesh)
    events += Events(vector_operations=operations_of_update, sram_bytes=8 * model.parameters)
    return StepAccount(
        tuple(passes),
        embedding,
        embedding.seconds(system, mesh),
        update,
        update.seconds(system, mesh),
        operations_of_update / mesh.nodes / machine.vector_operations_per_second,
        events,
        layer_elements,
    )


def _pass_traffic(
    plan: BlockPlan, part: BlockSchedule, method: Method, schedule: Schedule, global_batch: int
) -> tuple[Traffic, Traffic]:
    """Memory traffic of a block in a step: activations of all tokens, weights and gradients each round, or each
    mini-batch where they do not stay.
    """
    forward, backward = activation_traffic(plan, part, method, global_batch * schedule.length)
    stored, per_die = weight_bytes(plan, method)
    rounds = schedule.rounds * (1 if part.resident else part.batches)
    load = Traffic(stored * rounds, per_die * rounds)
    # Gradients are written in 32 bits each round, and from the second round on read before.
    gradient = 4 / method.element_bytes * (2 * rounds - 1)
    store = Traffic(stored * gradient, stored * gradient / method.mesh.nodes)
    if plan.block.contract is None:  # forward and backward share one load
        return forward + load, backward + store
    return forward + load, backward + load + store


def _unhidden(
    plan: BlockPlan, part: BlockSchedule, method: Method, system: SystemSpec, direction: str
) -> float:
    """Seconds a round for which a block waits for its weights, or for its gradients to leave."""
    stored, per_die = weight_bytes(plan, method)
    seconds = 0.0
    if not part.weights_ahead and not (direction == "backward" and plan.block.contract is None):
        seconds += Traffic(stored, per_die).seconds(system, method.mesh)
    if not part.gradients_behind and direction == "backward":
        gradient = stored * 4 / method.element_bytes
        seconds += Traffic(gradient, gradient / method.mesh.nodes).seconds(system, method.mesh)
    return seconds


def _once(plan: BlockPlan, system: SystemSpec) -> Busy:
    """Time of what is communicated once a step; nothing hides it."""
    seconds = sum(comm_seconds(step, system) for step in plan.once)
    return Busy(elapsed=seconds, nop_exposed=seconds, nop=seconds)


def _elements(operations: tuple[Operation, ...], batches: float, runs: int) -> float:
    """Elements that a die receives in ``batches`` mini-batches of tokens; weights travel in every run."""
    return sum(
        step.elements * (runs if step.weights else batches)
        for operation in operations
        for step in operation.comms
    )


def _events(
    operations: tuple[Operation, ...],
    method: Method,
    system: SystemSpec,
    tile: int,
    batches: float,
    runs: int,
) -> Events:
    total = Events()
    for operation in operations:
        total += operation_events(operation, system, tile) * batches
        for step in operation.comms:
            total += comm_events(step, method.mesh.nodes) * (runs if step.weights else batches)
    return total


def summarize(
    account: StepAccount,
    method: Method,
    machine: Machine,
    schedule: Schedule,
    global_batch: int,
    optimizer: Optimizer,
    calibration: Calibration | None,
) -> Projection:
    """The projection that ``account`` amounts to."""
    model, mesh, system = method.model, method.mesh, machine.system
    tokens = global_batch * schedule.length
    busy = sum((each.on_package * each.layers for each in account.passes), Busy())
    step = account.seconds
    energy = joules(account.events, system, mesh.nodes, step)
    flops = model.forward_flops(tokens, schedule.length) + model.backward_flops(tokens, schedule.length)
    peak = 2 * system.die.macs_per_cycle * system.die.clock_hz * mesh.nodes
    measured, assumed = collect_inputs(system, calibration)
    embedding = account.embedding_seconds
    breakdown = Breakdown(
        compute=busy.compute,
        nop_exposed=busy.nop_exposed,
        vector_exposed=busy.vector_exposed,
        dram_exposed=sum(each.dram_exposed * each.layers for each in account.passes) + embedding,
        optimizer=account.update_seconds,
        vector_busy=busy.vector + account.update_vector,
        nop_busy=busy.nop,
        dram_busy=sum(each.memory_seconds * each.layers for each in account.passes)
        + embedding
        + account.update_dram,
        forward=account.direction_seconds("forward") + embedding / 3,
        backward=account.direction_seconds("backward") + embedding * 2 / 3,
        optimizer_step=account.update_seconds,
    )
    tiles: dict[str, dict[str, int]] = {}
    for each in account.passes:
        tiles.setdefault(each.block, {})[each.direction] = each.tile
    return Projection(
        model=model.name,
        dies=mesh.nodes,
        mesh=str(mesh),
        method=method.name,
        switches=method.switches.model_dump(),
        optimizer=optimizer,
        global_batch=global_batch,
        sequence_length=schedule.length,
        step_seconds=step,
        tokens_per_second=tokens / step,
        mfu=flops / (step * peak),
        energy_joules=sum(energy.values()),
        energy=energy,
        breakdown=breakdown,
        memory=_memory(method, schedule, optimizer, tiles),
        nop_elements_per_die_per_layer=account.layer_elements,
        compute_to_nop=busy.compute / busy.nop if busy.nop else 0.0,
        measured_inputs=measured,
        assumed_inputs=assumed,
    )


def _memory(
    method: Method, schedule: Schedule, optimizer: Optimizer, tiles: dict[str, dict[str, int]]
) -> Memory:
    names = [use.name for use in schedule.blocks[0].buffers]
    fullest: dict[str, BufferUse] = {
        name: max((part.buffers[place] for part in schedule.blocks), key=lambda use: use.needed)
        for place, name in enumerate(names)
    }
    model, dies, element = method.model, method.mesh.nodes, method.element_bytes
    return Memory(
        buffers={
            name.replace(" ", "_"): Buffer(needed_bytes=use.needed, available_bytes=use.available)
            for name, use in fullest.items()
        },
        dram=Buffer(needed_bytes=schedule.dram.needed, available_bytes=schedule.dram.available),
        weight_bytes_per_die=model.parameters * element / dies,
        state_bytes_per_die=model.parameters * (element + STATE_BYTES[optimizer]) / dies,
        mini_batch_tokens={part.block.name: part.batch.tokens for part in schedule.blocks},
        token_tiles=tiles,
        parts={part.block.name: part.parts for part in schedule.blocks},
        slices={part.block.name: part.slices for part in schedule.blocks},
        rounds=schedule.rounds,
    )
