"""What one training step demands of a machine, before any time: operations, DRAM traffic, counted events.

It depends on the model, the method, the schedule and the shape of the dies, not on clocks, bandwidths, latencies or
prices: machines that differ only in these share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chiplet.graph.vector_work import VectorWork, program_work
from chiplet.machine.specs import SUM_BYTES, DieSpec, PackageSpec
from chiplet.machine.terms import GemmTerms
from chiplet.methods.base import Method
from chiplet.schedule.buffers import Optimizer
from chiplet.schedule.schedule import BlockSchedule, Schedule, tile_choices
from chiplet.step.dram_traffic import DramTraffic, activation_traffic, update_traffic, weight_bytes
from chiplet.step.energy import Events, comm_events, operation_events, stationary_bytes, traffic_events
from chiplet.step.overlap import TileDemands, pass_demands
from chiplet.vectorized.elementwise import Number, choose, is_array
from chiplet.workload.operations import BlockName, BlockPasses, CommStep, Operation


@dataclass(frozen=True)
class PassDemand:
    """One pass (``forward`` or ``backward``) over one block in a step; ``layers`` layers are alike.

    Each of ``runs`` mini-batches of ``tokens`` demands ``tile_demands`` of the machine; ``once`` is communicated once
    in a step. ``traffic`` is all DRAM traffic. Each entry of ``waits`` is a number of times that the block waits until
    the traffic in the entry has ended. ``events`` are those of all layers without what depends on the token tile:
    ``stationary_bytes`` has one number, or one row of an array, for each choice of the tile.
    """

    block: BlockName
    direction: str
    operations: tuple[Operation, ...]
    layers: int
    runs: Number
    tokens: Number
    tile_demands: TileDemands
    once: tuple[CommStep, ...]
    traffic: DramTraffic
    waits: tuple[tuple[Number, DramTraffic], ...]
    events: Events
    stationary_bytes: Number


@dataclass(frozen=True)
class StepDemand:
    """What a step demands: its passes, and what runs besides the layers.

    ``embedding`` and ``update`` are the DRAM traffic of embedding rows and optimizer, ``update_work`` the work of
    the optimizer on the vector units, and ``events`` the events of these three.
    """

    passes: tuple[PassDemand, ...]
    embedding: DramTraffic
    update: DramTraffic
    update_work: VectorWork
    events: Events
    layer_elements: Number


def step_demand(
    method: Method,
    die: DieSpec,
    package: PackageSpec,
    terms: GemmTerms,
    schedule: Schedule,
    global_batch: Number,
    optimizer: Optimizer,
) -> StepDemand:
    """Demand of one training step of ``global_batch`` sequences under ``schedule``."""
    model, mesh = method.model, method.mesh
    tokens = global_batch * schedule.length
    layer_elements: Number = 0.0
    passes = []
    for part in schedule.blocks:
        layers = 1 if part.block.contract is None else model.layers
        block_passes = method.passes(part.block, part.batch, part.slices)
        traffics = _pass_traffic(block_passes, part, method, schedule, global_batch)
        runs = schedule.rounds * part.batches
        batches = tokens / part.batch.tokens
        tiles = _tiles(part, method, die)
        for direction, traffic, operations in zip(
            ("forward", "backward"), traffics, (block_passes.forward, block_passes.backward), strict=True
        ):
            times = schedule.rounds if part.resident else runs
            once = block_passes.once if direction == "backward" else ()
            events = _events(operations, method, die, batches, runs) + traffic_events(traffic, package, mesh)
            for step in once:
                events += comm_events(step, mesh.nodes)
            stationary = [
                sum(stationary_bytes(operation, die, tile) * operation.times for operation in operations)
                * batches
                * layers
                for tile in (tiles if isinstance(tiles, list) else (tiles,))
            ]
            passes.append(
                PassDemand(
                    part.block.name,
                    direction,
                    operations,
                    layers,
                    runs,
                    part.batch.tokens,
                    pass_demands(operations, die, terms, method, part.batch.tokens, tiles),
                    once,
                    traffic,
                    tuple(
                        (times * share, wait)
                        for share, wait in _unhidden(block_passes, part, method, direction)
                    ),
                    events * layers,
                    stationary if isinstance(tiles, list) else stationary[0],
                )
            )
            if part.block.contract is not None:
                layer_elements += _elements(operations, batches, runs)
            layer_elements += sum(step.elements for step in once)
    # Besides the layers: table rows read and written for the embedding, and the update of every parameter.
    element = die.element_bytes
    rows = (
        tokens * model.hidden
    )  # read for their tokens, written as input; gradients read, and their sums changed
    embedding = DramTraffic.shared(rows * (2 * element + SUM_BYTES), rows * (element + SUM_BYTES), mesh.nodes)
    update = update_traffic(model.parameters, optimizer, element, mesh.nodes)
    work_of_update = program_work(optimizer) * model.parameters
    return StepDemand(
        tuple(passes),
        embedding,
        update,
        work_of_update,
        traffic_events(embedding, package, mesh)
        + traffic_events(update, package, mesh)
        + Events(vector_operations=work_of_update.operations, sram_bytes=work_of_update.scratchpad_bytes),
        layer_elements,
    )


def _tiles(part: BlockSchedule, method: Method, die: DieSpec) -> Number:
    """Token tiles to choose from."""
    if method.token_tiled:
        return tile_choices(part.tile_limit, die.rows)
    tokens: Number = part.batch.tokens
    return tokens[None] if is_array(tokens) else [tokens]


def _pass_traffic(
    passes: BlockPasses, part: BlockSchedule, method: Method, schedule: Schedule, global_batch: Number
) -> tuple[DramTraffic, DramTraffic]:
    """DRAM traffic of a block in a step: activations of all tokens, and weights and gradients in each round, or in each
    mini-batch if they are not resident.
    """
    forward, backward = activation_traffic(passes, part, method, global_batch * schedule.length)
    stored, per_die = weight_bytes(passes, method)
    rounds = schedule.rounds * (1 if part.resident else part.batches)
    weights_in = DramTraffic(stored * rounds, per_die * rounds)
    # Gradients are written in 32 bits in each round, and read before that from the second round on.
    gradients = stored * SUM_BYTES / method.element_bytes
    gradients_out = DramTraffic.shared(gradients * (rounds - 1), gradients * rounds, method.mesh.nodes)
    if passes.block.contract is None:  # forward and backward load the weights together
        return forward + weights_in, backward + gradients_out
    return forward + weights_in, backward + weights_in + gradients_out


def _unhidden(
    passes: BlockPasses, part: BlockSchedule, method: Method, direction: str
) -> Iterator[tuple[Number, DramTraffic]]:
    """What a block waits for in each round, 1 or 0 times: loading its weights, or storing its gradients."""
    stored, per_die = weight_bytes(passes, method)
    if not (direction == "backward" and passes.block.contract is None):
        yield choose(part.weights_ahead, 0, 1), DramTraffic(stored, per_die)
    if direction == "backward":
        gradient = stored * SUM_BYTES / method.element_bytes
        yield choose(part.gradients_behind, 0, 1), DramTraffic.shared(0.0, gradient, method.mesh.nodes)


def _elements(operations: tuple[Operation, ...], batches: Number, runs: Number) -> Number:
    """Elements that a die receives in ``batches`` mini-batches; weights travel in each of ``runs``."""
    return sum(
        step.elements * (runs if step.weights else batches) * operation.times
        for operation in operations
        for step in operation.comms
    )


def _events(
    operations: tuple[Operation, ...], method: Method, die: DieSpec, batches: Number, runs: Number
) -> Events:
    total = Events()
    for operation in operations:
        events = operation_events(operation, die) * batches
        for step in operation.comms:
            events += comm_events(step, method.mesh.nodes) * (runs if step.weights else batches)
        total += events * operation.times
    return total
