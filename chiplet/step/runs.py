"""The account of one mini-batch: both passes over a block on the package, without DRAM."""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.machine.specs import DieSpec
from chiplet.methods.base import Method
from chiplet.schedule.schedule import tile_choices
from chiplet.step.energy import Events, comm_events, operation_events, stationary_bytes
from chiplet.step.overlap import Busy, Machine, pass_busy, pass_demands, pick
from chiplet.vectorized.elementwise import Number, is_array, smaller
from chiplet.workload.operations import Batch, FusedBlock, Operation


@dataclass(frozen=True)
class RunAccount:
    """One pass over a mini-batch of ``tokens``, run ``times`` times: ``busy`` is with token tiles of ``tile``.

    ``busy``, ``events`` and ``elements`` (received by a die) are those of one run in one layer. ``later`` is what the
    operations of a backward pass elapse, and take of the vector unit, that follow the block's second linear, which has
    its gradient then.
    """

    tokens: Number
    times: Number
    operations: tuple[Operation, ...]
    tile: Number
    busy: Busy
    later: Busy
    events: Events
    elements: Number


def account_run(
    method: Method,
    machine: Machine,
    block: FusedBlock,
    batch: Batch,
    *,
    times: Number,
    slices: Number,
    tile_limit: Number,
) -> tuple[RunAccount, RunAccount]:
    """The forward and the backward pass of ``block`` over ``batch``, each with the quickest of its token tiles."""
    passes = method.passes(block, batch, slices)
    tiles = _tiles(method, block, machine.system.die, batch, tile_limit)
    forward = _account_pass(method, machine, passes.forward, len(passes.forward), batch, times, tiles)
    first_later = len(passes.backward)
    if block.contract is not None:
        names = [operation.name for operation in passes.backward]
        first_later -= names[::-1].index(block.contract.name)
    backward = _account_pass(method, machine, passes.backward, first_later, batch, times, tiles)
    return forward, backward


def _account_pass(
    method: Method,
    machine: Machine,
    operations: tuple[Operation, ...],
    first_later: int,
    batch: Batch,
    times: Number,
    tiles: Number,
) -> RunAccount:
    die, nodes = machine.system.die, method.mesh.nodes
    demands = pass_demands(operations, die, machine.terms, method, batch.tokens, tiles)
    busy, later, choice = pass_busy(demands, machine, method.switches.overlap, first_later)
    stationary = [
        sum(stationary_bytes(operation, die, tile) * operation.times for operation in operations)
        for tile in (tiles if isinstance(tiles, list) else (tiles,))
    ]
    events = Events(sram_bytes=pick(stationary if isinstance(tiles, list) else stationary[0], choice))
    elements: Number = 0.0
    for operation in operations:
        of_operation = operation_events(operation, die)
        for step in operation.comms:
            of_operation += comm_events(step, nodes)
            elements += step.elements * operation.times
        events += of_operation * operation.times
    return RunAccount(batch.tokens, times, operations, pick(tiles, choice), busy, later, events, elements)


def _tiles(method: Method, block: FusedBlock, die: DieSpec, batch: Batch, limit: Number) -> Number:
    """Token tiles to choose from."""
    if method.token_tiled:
        filling = None if block.expand.mixture is None else block.filling_tile(die.rows)
        return tile_choices(smaller(limit, batch.tokens), die.rows, filling)
    tokens: Number = batch.piece.tokens
    return tokens[None] if is_array(tokens) else [tokens]
