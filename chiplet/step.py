"""One training step of a method under a schedule: time, energy and memory over all blocks and passes."""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.energy import Events, comm_events, joules, operation_events, traffic_events
from chiplet.inputs import collect_inputs
from chiplet.memory import STATE_BYTES, UPDATE_BYTES, UPDATE_OPS, BufferUse, Optimizer
from chiplet.methods.base import Method
from chiplet.methods.work import BlockPlan, Operation
from chiplet.results import Breakdown, Buffer, Memory, Projection
from chiplet.schedule import BlockSchedule, Schedule
from chiplet.specs import SystemSpec
from chiplet.timeline import Busy, Machine, block_busy, comm_seconds
from chiplet.timing import Calibration
from chiplet.traffic import Traffic, activation_traffic, weight_bytes


@dataclass
class _Totals:
    """Sums over the step."""

    forward: Busy
    backward: Busy
    forward_seconds: float = 0.0
    backward_seconds: float = 0.0
    dram_busy: float = 0.0
    dram_exposed: float = 0.0
    layer_elements: float = 0.0


def evaluate(
    method: Method,
    machine: Machine,
    schedule: Schedule,
    global_batch: int,
    optimizer: Optimizer,
    calibration: Calibration | None,
) -> Projection:
    """The projection of one training step of ``global_batch`` sequences run as ``schedule`` says."""
    model, mesh, system = method.model, method.mesh, machine.system
    tokens = global_batch * schedule.length
    totals = _Totals(Busy(), Busy())
    events = Events()
    tiles: dict[str, dict[str, int]] = {}
    for part in schedule.blocks:
        layers = 1 if part.block.contract is None else model.layers
        plan = method.plan(part.block, part.batch)
        times = block_busy(plan, part, machine, method)
        traffics = _pass_traffic(plan, part, method, schedule, global_batch)
        tiles[part.block.name] = {"forward": times[0][1], "backward": times[1][1]}
        runs = schedule.rounds * part.batches
        for direction, (busy, tile), traffic, operations in zip(
            ("forward", "backward"), times, traffics, (plan.forward, plan.backward), strict=True
        ):
            on_package = busy * runs
            if direction == "backward":
                on_package += _once(plan, system)
            memory = traffic.seconds(system, mesh)
            exposed = max(0.0, memory - on_package.elapsed) + _unhidden(
                plan, part, method, system, direction
            ) * (schedule.rounds)
            totals.dram_busy += memory * layers
            totals.dram_exposed += exposed * layers
            seconds = (on_package.elapsed + exposed) * layers
            if direction == "forward":
                totals.forward += on_package * layers
                totals.forward_seconds += seconds
            else:
                totals.backward += on_package * layers
                totals.backward_seconds += seconds
            counted = _events(operations, method, system, tile, tokens / part.batch.tokens, runs)
            events += (counted + traffic_events(traffic, mesh)) * layers
            if part.block.contract is not None:
                totals.layer_elements += _elements(operations, tokens / part.batch.tokens, runs)
        for step in plan.once:
            totals.layer_elements += step.elements
            events += comm_events(step, mesh.nodes) * layers
    return _result(method, machine, schedule, global_batch, optimizer, calibration, totals, events, tiles)


def _pass_traffic(
    plan: BlockPlan, part: BlockSchedule, method: Method, schedule: Schedule, global_batch: int
) -> tuple[Traffic, Traffic]:
    """Memory traffic of a block in a step: activations of all tokens, weights and gradients each round."""
    forward, backward = activation_traffic(plan, part, method, global_batch * schedule.length)
    stored, per_die = weight_bytes(plan, method)
    rounds = schedule.rounds
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


def _result(
    method: Method,
    machine: Machine,
    schedule: Schedule,
    global_batch: int,
    optimizer: Optimizer,
    calibration: Calibration | None,
    totals: _Totals,
    events: Events,
    tiles: dict[str, dict[str, int]],
) -> Projection:
    model, mesh, system = method.model, method.mesh, machine.system
    tokens = global_batch * schedule.length
    element = system.die.element_bytes
    # Beside the layers: table rows in and out for the embedding, and the update of every parameter.
    embedding = tokens * model.hidden * (3 * element + 2 * 4)
    update = model.parameters * (UPDATE_BYTES[optimizer] + element)
    edge, rest = Traffic(embedding, embedding / mesh.nodes), Traffic(update, update / mesh.nodes)
    operations = model.parameters * UPDATE_OPS[optimizer]
    vector_seconds = operations / mesh.nodes / machine.vector_operations_per_second
    update_dram = rest.seconds(system, mesh)
    update_seconds = max(update_dram, vector_seconds)
    embedding_seconds = edge.seconds(system, mesh)
    events += traffic_events(edge, mesh) + traffic_events(rest, mesh)
    events += Events(vector_operations=operations, sram_bytes=8 * model.parameters)

    busy = totals.forward + totals.backward
    step = totals.forward_seconds + totals.backward_seconds + embedding_seconds + update_seconds
    energy = joules(events, system, mesh.nodes, step)
    flops = model.forward_flops(tokens, schedule.length) + model.backward_flops(tokens, schedule.length)
    peak = 2 * system.die.macs_per_cycle * system.die.clock_hz * mesh.nodes
    measured, assumed = collect_inputs(system, calibration)
    breakdown = Breakdown(
        compute=busy.compute,
        nop_exposed=busy.nop_exposed,
        vector_exposed=busy.vector_exposed,
        dram_exposed=totals.dram_exposed + embedding_seconds,
        optimizer=update_seconds,
        vector_busy=busy.vector + vector_seconds,
        nop_busy=busy.nop,
        dram_busy=totals.dram_busy + embedding_seconds + update_dram,
        forward=totals.forward_seconds + embedding_seconds / 3,
        backward=totals.backward_seconds + embedding_seconds * 2 / 3,
        optimizer_step=update_seconds,
    )
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
        nop_elements_per_die_per_layer=totals.layer_elements,
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
        rounds=schedule.rounds,
    )
