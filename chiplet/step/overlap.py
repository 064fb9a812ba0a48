"""Time of operations and passes whose resources overlap.

A die's array, its vector unit, the links along each axis of the mesh and DRAM work at the same time. Within an
operation the token tiles of a mini-batch form a pipeline: the busiest resource sets the pace, and the time of one tile
on all other resources, at the start and the end, is exposed. Without overlap the times add up.

What an operation demands of the resources (:class:`OperationDemand`) depends on shapes only. Its time also depends on
the rates of the machine, which may be arrays: many machines at once, by the same formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chiplet.graph.vector_work import VectorWork
from chiplet.machine.link_rate import LinkRate, link_rate
from chiplet.machine.specs import SUM_BYTES, DieSpec, SystemSpec
from chiplet.machine.terms import GemmTerms
from chiplet.methods.base import Method
from chiplet.step.collective_time import comm_seconds
from chiplet.vectorized.additive import Additive
from chiplet.vectorized.elementwise import (
    Number,
    anywhere,
    ceil_div,
    choose,
    is_array,
    larger,
    rounded_down,
    smaller,
)
from chiplet.workload.operations import CommStep, GemmStep, Operation

ArrayCycles = Callable[[Number, Number, Number], Number]
"""Cycles of an m x k x n GEMM on an array, as a function of m, k and n."""


@dataclass(frozen=True)
class Machine:
    """A machine as the model of time sees it: its specification, and the terms of its array."""

    system: SystemSpec
    terms: GemmTerms

    @cached_property
    def link(self) -> LinkRate:
        """Rate and latency of its links."""
        return link_rate(self.system)

    def vector_seconds(self, work: VectorWork) -> Number:
        """Time of a die's vector unit for ``work``, s."""
        vector, word_values = self.system.vector, self.system.memory.word_bytes // SUM_BYTES
        lanes = choose(vector.lanes > 0, vector.lanes, word_values)
        functions = choose(vector.function_lanes > 0, vector.function_lanes, lanes)
        return work.cycles(lanes, functions) / self.system.die.clock_hz


@dataclass(frozen=True)
class Busy(Additive):
    """Seconds of a part of the schedule: elapsed, and by resource.

    ``compute`` is the time of the array; ``nop_exposed`` and ``vector_exposed`` are what NoP and vector unit add to
    it, so these three add up to ``elapsed``. ``vector`` and ``nop`` are the busy times of the vector unit and of the
    busiest axis.
    """

    elapsed: Number = 0.0
    compute: Number = 0.0
    nop_exposed: Number = 0.0
    vector_exposed: Number = 0.0
    vector: Number = 0.0
    nop: Number = 0.0


@dataclass(frozen=True)
class OperationDemand:
    """What one operation demands of each resource for a mini-batch, cut into token tiles of one size.

    ``cycles`` of the array, ``vector`` work of the busiest die, and for each axis in ``axes`` its collectives, each
    with the number of equal parts in which it is sent; ``parts`` is the number of parts that overlap one another.
    """

    cycles: Number
    vector: VectorWork
    axes: tuple[tuple[tuple[CommStep, Number], ...], ...]
    parts: Number


def gemm_cycles(step: GemmStep, array: ArrayCycles, tile: Number) -> Number:
    """Cycles of the GEMMs of ``step``, cut into token tiles of ``tile``; ``array(m, k, n)`` are the cycles of one."""
    if step.split is None:
        return step.count * array(step.m, step.k, step.n)
    whole = rounded_down(step.tokens / tile)
    left_over = step.tile_tokens(step.tokens - whole * tile)
    tile = step.tile_tokens(tile)

    def cycles(size: Number, there: Any) -> Number:
        if not anywhere(there):
            return 0.0
        whole_tile = array(size, step.k, step.n) if step.split == "m" else array(step.m, size, step.n)
        return choose(there, whole_tile, 0.0)

    return step.count * (whole * cycles(tile, whole > 0) + cycles(left_over, left_over > 0))


def array_of(die: DieSpec, terms: GemmTerms) -> ArrayCycles:
    """Cycles of an m x k x n GEMM on the array of ``die``, as a function of m, k and n."""
    return terms.counter(rows=die.rows, cols=die.cols, stages=die.stages)


def gemm_seconds(step: GemmStep, machine: Machine, tile: Number) -> Number:
    """Time of :func:`gemm_cycles`."""
    die = machine.system.die
    return gemm_cycles(step, array_of(die, machine.terms), tile) / die.clock_hz


def operation_demand(
    operation: Operation,
    array: ArrayCycles,
    rows: Number,
    method: Method,
    tokens: Number,
    tile: Number,
) -> OperationDemand:
    """The demand of ``operation`` for a mini-batch of ``tokens`` in token tiles of ``tile``, on an array of ``rows``
    rows with the cycles of :func:`array_of`.
    """
    parts = method.tile_count(tokens, tile)
    repeats = parts if method.token_tiled else 1
    axes: dict[str, tuple[tuple[CommStep, Number], ...]] = {}
    for step in operation.comms:
        axes[step.axis] = (*axes.get(step.axis, ()), (step, 1 if step.weights else repeats))
    if operation.strip_rows is not None:
        parts = ceil_div(operation.strip_rows, rows)
    return OperationDemand(
        sum(gemm_cycles(step, array, tile) for step in operation.gemms),
        operation.vector_work,
        tuple(axes.values()),
        parts,
    )


def demand_busy(demand: OperationDemand, machine: Machine, overlap: bool) -> Busy:
    """Time of ``demand``; with ``overlap`` its resources work at the same time."""
    system = machine.system
    link = machine.link
    compute = demand.cycles / system.die.clock_hz
    vector = machine.vector_seconds(demand.vector)
    axes = [sum(comm_seconds(step, link, repeats) for step, repeats in axis) for axis in demand.axes]
    nop = larger(0.0, *axes)
    beyond = sum(axes, vector)
    if overlap:
        busiest = larger(compute, vector, nop)
        total = busiest + (compute + beyond - busiest) / demand.parts
        beyond = total - compute
        vector_exposed = choose(vector > nop, smaller(beyond, vector), 0.0)
    else:
        total = compute + beyond
        vector_exposed = vector
    return Busy(total, compute, beyond - vector_exposed, vector_exposed, vector, nop)


def operation_busy(operation: Operation, machine: Machine, method: Method, tokens: int, tile: int) -> Busy:
    """Time of ``operation`` for a mini-batch of ``tokens`` in token tiles of ``tile``."""
    die = machine.system.die
    demand = operation_demand(operation, array_of(die, machine.terms), die.rows, method, tokens, tile)
    return demand_busy(demand, machine, method.switches.overlap)


@dataclass(frozen=True)
class TileDemands:
    """Demands of a pass over a mini-batch for every choice of the token tile.

    ``rows[i][j]`` is the demand of operation j in token tiles of ``tiles[i]``, and ``times[j]`` how often it runs. For
    many machines ``tiles`` and the demands are arrays of tiles x machines, and there is one row only.
    """

    tiles: Number
    rows: tuple[tuple[OperationDemand, ...], ...]
    times: tuple[Number, ...]


def pass_demands(
    operations: Sequence[Operation],
    die: DieSpec,
    terms: GemmTerms,
    method: Method,
    tokens: Number,
    tiles: Number,
) -> TileDemands:
    """The demands of ``operations`` for every choice of the token tile."""
    array = array_of(die, terms)
    return TileDemands(
        tiles,
        tuple(
            tuple(
                operation_demand(operation, array, die.rows, method, tokens, tile) for operation in operations
            )
            for tile in (tiles if isinstance(tiles, list) else (tiles,))
        ),
        tuple(operation.times for operation in operations),
    )


def pass_busy(
    demands: TileDemands, machine: Machine, overlap: bool, first_later: int
) -> tuple[Busy, Busy, Number]:
    """Time of a pass over one mini-batch with the fastest token tile, of that what the operations from ``first_later``
    on elapse and take of the vector unit, and the place of that tile.
    """
    times, later = [], []
    for row in demands.rows:
        total, elapsed, vector = Busy(), 0.0, 0.0
        for number, (demand, count) in enumerate(zip(row, demands.times, strict=True)):
            one = demand_busy(demand, machine, overlap)
            if is_array(count) or count != 1:
                one = one * count
            total += one
            if number >= first_later:
                elapsed, vector = elapsed + one.elapsed, vector + one.vector
        times.append(total)
        later.append((elapsed, vector))
    if not isinstance(demands.tiles, list):
        import numpy as np

        (every,), (every_later,) = times, later
        shape = np.broadcast_shapes(every.elapsed.shape, demands.tiles.shape)
        choice = np.broadcast_to(every.elapsed, shape).argmin(axis=0)
        elapsed, vector = (pick(value, choice) for value in every_later)
        busy = Busy(*(pick(value, choice) for value in every.numbers))
        return busy, Busy(elapsed=elapsed, vector=vector), choice
    choice = min(range(len(times)), key=lambda index: times[index].elapsed)
    elapsed, vector = later[choice]
    return times[choice], Busy(elapsed=elapsed, vector=vector), choice


def pick(values: Number, choice: Number) -> Number:
    """The one of ``values`` (one for each token tile) that belongs to the chosen tile."""
    if not is_array(choice):
        return values[choice]
    if not is_array(values) or values.ndim <= choice.ndim:  # the same for every token tile
        return values
    import numpy as np

    lanes = np.broadcast_to(values, (len(values), *choice.shape))
    return np.take_along_axis(lanes, choice[None], axis=0)[0]
